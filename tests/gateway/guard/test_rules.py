"""Host, headers, client address and CSRF: tables of pure decisions."""

import pytest
from nimbus_gateway.auth.csrf import csrf_allowed
from nimbus_gateway.errors import BadRequestError, HeadersTooLargeError, UnknownHostError
from nimbus_gateway.guard.client import client_info
from nimbus_gateway.guard.headers import check_headers, check_host, check_upgrade
from nimbus_gateway.settings import Settings

HOST = (b"host", b"localhost")


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "10.1.2.3:80",
            "[::1]:8080",
            "nas.local",
            "my.example.org",
            "a.b.wild.org",
            "localhost.",
        ],
    )
    def test_answered(self, host):
        check_host(host, frozenset({"localhost", "my.example.org", "*.wild.org"}))

    @pytest.mark.parametrize(
        "host", ["evil.example", "localhost.evil.example", "wild.org", "xlocal", "127.0.0.1.nip.io"]
    )
    def test_unknown_names_the_setting(self, host):
        with pytest.raises(UnknownHostError, match="NIMBUS_ALLOWED_HOSTS") as caught:
            check_host(host, frozenset({"localhost", "*.wild.org"}))
        assert caught.value.status == 421

    @pytest.mark.parametrize("host", ["", "a/?x=", "a b", "a@b", "a:b", "[::1", "a\x00", "ä", "localhost:123456"])
    def test_malformed(self, host):
        with pytest.raises(BadRequestError):
            check_host(host, frozenset({"*"}))

    def test_the_public_url_is_answered(self):
        settings = Settings(public_url="https://Nimbus.Example.org")
        check_host("nimbus.example.org", settings.hosts)


class TestHeaders:
    @pytest.mark.parametrize(
        "headers",
        [
            [HOST],
            [HOST, (b"content-length", b"0")],
            [HOST, (b"transfer-encoding", b"Chunked")],
            [HOST, (b"x-odd", b"\xff\x80 \t ok")],
        ],
    )
    def test_good(self, headers):
        check_headers(headers)

    @pytest.mark.parametrize(
        "headers",
        [
            [],
            [HOST, HOST],
            [HOST, (b"content-length", b"1"), (b"content-length", b"1")],
            [HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
            [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
            [HOST, (b"transfer-encoding", b"gzip, chunked")],
            [HOST, (b"transfer-encoding", b"identity")],
            [HOST, (b"content-length", b"+1")],
            [HOST, (b"content-length", b"1, 1")],
            [HOST, (b"x", b"a\rb")],
            [HOST, (b"x", b"a\x00")],
            [HOST, (b"x y", b"a")],
            [HOST, (b"", b"a")],
        ],
    )
    def test_refused(self, headers):
        with pytest.raises(BadRequestError):
            check_headers(headers)

    def test_too_many(self):
        with pytest.raises(HeadersTooLargeError):
            check_headers([HOST] + [(b"x", b"y")] * 100)

    @pytest.mark.parametrize("header", [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")])
    def test_an_upgrade_has_no_body(self, header):
        check_upgrade([HOST, (b"content-length", b"0")])
        with pytest.raises(BadRequestError):
            check_upgrade([HOST, header])


class TestClient:
    PROXIES = Settings(trusted_proxies="10.0.0.0/8, 127.0.0.1").proxies

    @pytest.mark.parametrize(
        ("peer", "chain", "address"),
        [
            ("8.8.8.8", "1.1.1.1", "8.8.8.8"),
            ("127.0.0.1", "1.1.1.1", "1.1.1.1"),
            ("127.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
            ("127.0.0.1", "6.6.6.6, 1.1.1.1, 10.2.3.4", "1.1.1.1"),
            ("127.0.0.1", "1.1.1.1:4711", "1.1.1.1"),
            ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
            ("127.0.0.1", "1.1.1.1, nonsense", "127.0.0.1"),
            ("127.0.0.1", "10.9.9.9", "10.9.9.9"),
            ("::ffff:127.0.0.1", "1.1.1.1", "1.1.1.1"),
        ],
    )
    def test_address(self, peer, chain, address):
        headers = [HOST, (b"x-forwarded-for", chain.encode())]
        assert client_info(peer, "http", headers, self.PROXIES).address == address

    def test_scheme_and_host_come_from_a_trusted_proxy_only(self):
        headers = [HOST, (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"media.example.org:443")]
        believed = client_info("10.0.0.1", "http", headers, self.PROXIES)
        assert (believed.scheme, believed.host, believed.origin) == (
            "https",
            "media.example.org:443",
            "https://media.example.org",
        )
        other = client_info("8.8.8.8", "http", headers, self.PROXIES)
        assert (other.scheme, other.host, other.origin) == ("http", "localhost", "http://localhost")


class TestCsrf:
    OWN = ("http://localhost:8080", "https://nimbus.example.org")

    @pytest.mark.parametrize(
        ("method", "origin", "site", "allowed"),
        [
            ("GET", "http://evil.example", "cross-site", True),
            ("HEAD", None, None, True),
            ("POST", None, None, False),
            ("POST", "http://localhost:8080", None, True),
            ("POST", "https://nimbus.example.org", "cross-site", True),
            ("POST", "http://localhost", None, False),
            ("POST", "https://localhost:8080", None, False),
            ("POST", "http://localhost:8080.evil.example", None, False),
            ("POST", "null", None, False),
            ("POST", "null", "same-origin", True),
            ("DELETE", None, "same-origin", True),
            ("DELETE", None, "same-site", False),
            ("PATCH", None, "none", False),
        ],
    )
    def test_rule(self, method, origin, site, allowed):
        assert csrf_allowed(method, origin=origin, fetch_site=site, own_origins=self.OWN) is allowed
