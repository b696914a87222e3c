"""Header rules as tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.proxy.headers import (
    Forwarding,
    identity_headers,
    principal_headers,
    response_headers,
    rewrite_cookie,
    rewrite_location,
    sort_request,
)

PREFIX = "/api/plugins/demo"
FORWARDING = Forwarding("demo", PREFIX, "1.1.1.1", "localhost", "http")


def forwarded(*headers, principal=None):
    known = identity_headers(principal, "token") if principal is not None else []
    return [*sort_request(headers).passing, *FORWARDING.headers(), *known]


def left_of(found, name):
    return dict(found.passing).get(name)


class TestCredentials:
    @pytest.mark.parametrize(
        ("cookie", "session", "left"),
        [
            (b"nimbus_session=a", "a", None),
            (b"x=1; nimbus_session=a; y=2", "a", b"x=1; y=2"),
            (b"__Host-nimbus_session=b; nimbus_session=a", "b", None),
            (b"nimbus_session=a; __Host-nimbus_session=b", "b", None),
            (b'nimbus_session="a"', "a", None),
            (b"nimbus_session2=a;x", None, b"nimbus_session2=a; x"),
            (b" nimbus_session = a ", "a", None),
            (b";;", None, None),
        ],
    )
    def test_cookies(self, cookie, session, left):
        found = sort_request([(b"cookie", cookie)])
        assert (found.credentials.session_cookie, left_of(found, b"cookie")) == (session, left)

    @pytest.mark.parametrize(
        ("name", "value", "key", "left"),
        [
            (b"authorization", b"Bearer nbk_1", "nbk_1", None),
            (b"authorization", b"bearer  nbk_1", "nbk_1", None),
            (b"authorization", b"Bearer theirs", None, b"Bearer theirs"),
            (b"authorization", b"Basic nbk_1", None, b"Basic nbk_1"),
            (b"x-api-key", b"nbk_1", "nbk_1", None),
            (b"x-api-key", b"theirs", None, b"theirs"),
        ],
    )
    def test_keys(self, name, value, key, left):
        found = sort_request([(name, value)])
        assert found.credentials.api_key == key
        assert left_of(found, name) == left

    def test_cookies_in_two_headers_are_one_list(self):
        found = sort_request([(b"cookie", b"a=1"), (b"cookie", b"nimbus_session=s; b=2")])
        assert found.passing == [(b"cookie", b"a=1; b=2")]
        assert found.credentials.session_cookie == "s"


class TestRequestHeaders:
    @given(
        st.sampled_from(
            [b"x-nimbus-user-id", b"x-nimbus-role", b"x-forwarded-for", b"x-forwarded-host", b"x-nimbus-a"]
        ),
        st.lists(st.sampled_from(b"-_."), min_size=3, max_size=3),
    )
    def test_no_alias_of_a_reserved_name_passes(self, name, separators):
        pieces = name.split(b"-")
        alias = pieces[0] + b"".join(bytes([separators[i % 3]]) + piece for i, piece in enumerate(pieces[1:]))
        sent = forwarded((b"host", b"localhost"), (alias, b"forged"))
        assert all(value != b"forged" for _, value in sent)

    def test_connection_takes_out_only_what_the_client_sent(self):
        alice = Principal("user", "u1", "Alice", "user")
        sent = dict(
            forwarded(
                (b"host", b"localhost"),
                (b"connection", b"X-Nimbus-User-Id, x-mine , host, cookie"),
                (b"x-mine", b"1"),
                (b"cookie", b"a=1"),
                principal=alice,
            )
        )
        assert sent[b"x-nimbus-user-id"] == b"u1"
        assert b"x-mine" not in sent
        assert sent[b"host"] == b"localhost"

    @pytest.mark.parametrize(
        "name", ["te", "trailer", "keep-alive", "proxy-authorization", "upgrade", "expect", "forwarded", "proxy"]
    )
    def test_hop_by_hop(self, name):
        assert name.encode() not in dict(forwarded((name.encode(), b"x")))


class TestPrincipalHeaders:
    @pytest.mark.parametrize(
        ("principal", "expected"),
        [
            (
                Principal("user", "u1", "Zoë 100%", "admin"),
                {b"x-nimbus-user-id": b"u1", b"x-nimbus-user-name": b"Zo%C3%AB 100%25"},
            ),
            (
                Principal("api-key", "k1", "cli", "user", frozenset("ba")),
                {b"x-nimbus-user-id": b"key:k1", b"x-nimbus-scopes": b"a b"},
            ),
            (
                Principal("plugin", "other", "Other", "plugin"),
                {b"x-nimbus-caller-plugin": b"other", b"x-nimbus-role": b"plugin"},
            ),
            (
                Principal("user", "u1", "a\r\nX-Nimbus-Role: admin", "user"),
                {b"x-nimbus-user-name": b"a%0D%0AX-Nimbus-Role: admin"},
            ),
        ],
    )
    def test_values(self, principal, expected):
        assert expected.items() <= dict(principal_headers(principal)).items()


class TestCookies:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"a=1", b"a=1; Path=/api/plugins/demo"),
            (b"a=1; Path=/", b"a=1; Path=/api/plugins/demo"),
            (b"a=1; path=/x/", b"a=1; Path=/api/plugins/demo/x"),
            (b"a=1; Path=/api/plugins/demo/x", b"a=1; Path=/api/plugins/demo/x"),
            (b"a=1; Path=/api/plugins/demo2", b"a=1; Path=/api/plugins/demo/api/plugins/demo2"),
            (b"a=1; Path=/; Path=/api/plugins/demo; Secure", b"a=1; Secure; Path=/api/plugins/demo"),
            (b"a=1; Max-Age=5;HttpOnly", b"a=1; Max-Age=5; HttpOnly; Path=/api/plugins/demo"),
            (b"a=1; Domain=", b"a=1; Path=/api/plugins/demo"),
            (b"a=1; Domain=example.org", None),
            (b"a=1; DOMAIN = .example.org", None),
            (b"nimbus_session=1", None),
            (b" nimbus_session =1; Path=/x", None),
            (b"__Host-nimbus_session=1", None),
            (b"=nimbus_session=1", None),
            (b"", None),
        ],
    )
    def test_rewrite(self, value, expected):
        assert rewrite_cookie(value, PREFIX) == expected

    @given(st.binary(max_size=60))
    def test_never_wider_than_the_prefix(self, value):
        rewritten = rewrite_cookie(b"a=1; " + value, PREFIX)
        if rewritten is not None:
            attributes = [part.strip().lower() for part in rewritten.split(b";")[1:]]
            paths = [part for part in attributes if part.partition(b"=")[0].strip() == b"path"]
            assert len(paths) == 1
            assert paths[0].startswith(b"path=/api/plugins/demo")
            assert all(part.partition(b"=")[0].strip() != b"domain" for part in attributes if part.partition(b"=")[2])


class TestLocation:
    ORIGINS = ("http://localhost:8080", "http://10.213.0.2:8000")

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"/next?a=1", b"/api/plugins/demo/next?a=1"),
            (b"/", b"/api/plugins/demo/"),
            (b"next", b"next"),
            (b"?page=2", b"?page=2"),
            (b"/api/plugins/demo/x", b"/api/plugins/demo/x"),
            (b"/api/plugins/demo", b"/api/plugins/demo"),
            (b"/api/plugins/demolition", b"/api/plugins/demo/api/plugins/demolition"),
            (b"http://localhost:8080/x", b"/api/plugins/demo/x"),
            (b"HTTP://LOCALHOST:8080", b"/api/plugins/demo/"),
            (b"http://10.213.0.2:8000/x", b"/api/plugins/demo/x"),
            (b"//localhost:8080/x", b"/api/plugins/demo/x"),
            (b"http://localhost:8080/api/plugins/demo/x", b"/api/plugins/demo/x"),
            (b"http://localhost:80801/x", b"http://localhost:80801/x"),
            (b"https://example.org/x", b"https://example.org/x"),
            (b"//example.org/x", b"//example.org/x"),
        ],
    )
    def test_rewrite(self, value, expected):
        assert rewrite_location(value, PREFIX, self.ORIGINS) == expected


class TestResponseHeaders:
    def answered(self, *headers, trusted=False):
        return response_headers(headers, prefix=PREFIX, origins=tuple, trusted=trusted)

    @pytest.mark.parametrize(
        "kind",
        [
            b"text/html",
            b"TEXT/HTML; charset=x",
            b"image/svg+xml",
            b"application/xml",
            b"text/xml",
            b"application/xhtml+xml",
            b"multipart/x-mixed-replace",
            b"",
            b"nonsense",
            b"text/plain, text/html",
            b"text/plain;a=b, text/html",
            b"image/x+xml",
            b"video/x+xml; charset=utf-8",
            b"font/x+XML",
        ],
    )
    def test_documents_of_untrusted_plugins_are_sandboxed(self, kind):
        answered = self.answered((b"content-type", kind), (b"content-security-policy", b"script-src *"))
        policies = [value for name, value in answered if name == b"content-security-policy"]
        assert policies[0] == b"script-src *"
        assert policies[-1].startswith(b"sandbox ")
        assert (b"x-content-type-options", b"nosniff") in answered

    def test_an_answer_without_a_type_is_sandboxed(self):
        assert any(name == b"content-security-policy" for name, _ in self.answered())

    @pytest.mark.parametrize(
        "kind", [b"application/json", b"application/problem+json", b"image/png", b"text/event-stream", b"video/mp4"]
    )
    def test_other_types_are_left_alone(self, kind):
        assert all(name != b"content-security-policy" for name, _ in self.answered((b"content-type", kind)))

    @pytest.mark.parametrize("name", [b"clear-site-data", b"strict-transport-security", b"alt-svc", b"report-to"])
    @pytest.mark.parametrize("trusted", [True, False])
    def test_a_plugin_does_not_speak_for_the_whole_origin(self, name, trusted):
        answered = self.answered((name, b"x"), (b"content-type", b"text/plain"), trusted=trusted)
        assert name not in dict(answered)

    def test_trusted_plugins_write_their_own_policy(self):
        assert all(
            name != b"content-security-policy"
            for name, _ in self.answered((b"content-type", b"text/html"), trusted=True)
        )

    @pytest.mark.parametrize(
        "name",
        [
            b"x-nimbus-role",
            b"x_nimbus_role",
            b"connection",
            b"keep-alive",
            b"upgrade",
            b"date",
            b"service-worker-allowed",
        ],
    )
    def test_never_returned(self, name):
        assert name not in dict(self.answered((name, b"x")))
