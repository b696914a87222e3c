"""What counts on a compatibility port, and which ports there are."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_gateway.compat.credentials import compat_headers, take_api_key
from nimbus_gateway.compat.service import shown_ports
from nimbus_gateway.settings import Settings, parse_ports
from pydantic import ValidationError

PIECES = st.sampled_from(
    [b"a=1", b"a", b"", b"=", b"apikey=nbk_x", b"ApiKey=nbk_y", b"%61pikey=z", b"apikey", b"b=apikey", b"xapikey=1"]
)


class TestKeyInTheAddress:
    @pytest.mark.parametrize(
        ("query", "left", "key"),
        [
            (b"", b"", None),
            (b"a=1&b=%2F", b"a=1&b=%2F", None),
            (b"apikey=nbk_k", b"", b"nbk_k"),
            (b"a=1&apikey=nbk_k&b=2", b"a=1&b=2", b"nbk_k"),
            (b"ApiKey=nbk%5Fk&a=1", b"a=1", b"nbk_k"),
            (b"%61pi%4Bey=nbk_k", b"", b"nbk_k"),
            (b"+apikey=1&apikey=2", b"", b"1"),
            (b"apikeys=1&x=apikey", b"apikeys=1&x=apikey", None),
        ],
    )
    def test_is_taken_out(self, query, left, key):
        assert take_api_key(query) == (left, key)

    @given(st.lists(PIECES, max_size=6))
    def test_nothing_of_it_is_left_and_the_rest_is_as_it_was(self, pieces):
        left, _ = take_api_key(b"&".join(pieces))
        names = [unquote_to_bytes(piece.partition(b"=")[0]).lower() for piece in left.split(b"&")]
        assert b"apikey" not in names
        own = [p for p in pieces if unquote_to_bytes(p.partition(b"=")[0]).lower() != b"apikey"]
        assert left == b"&".join(own)


class TestHeaders:
    def test_cookies_count_for_nothing(self):
        headers = [(b"cookie", b"nimbus_session=alice; a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2")]
        assert compat_headers(headers, None) == [(b"accept", b"*/*")]

    @pytest.mark.parametrize("key", [b"theirs", b"", b"nbk_a b", b"nbk_\r\nx-nimbus-role: admin", b"nbk_\xc3\xa4"])
    def test_a_key_that_is_none_of_nimbus_goes_nowhere(self, key):
        assert compat_headers([], key) == []

    def test_the_clients_own_header_counts_first(self):
        headers = compat_headers([(b"x-api-key", b"nbk_header")], b"nbk_address")
        assert headers == [(b"x-api-key", b"nbk_header"), (b"x-api-key", b"nbk_address")]


class TestRange:
    @pytest.mark.parametrize(
        ("text", "ports"),
        [("8989", (8989,)), ("8989-8991,7878", (7878, 8989, 8990, 8991)), (" 1 , 2-3", (1, 2, 3)), ("5,5", (5,))],
    )
    def test_is_read(self, text, ports):
        assert parse_ports(text) == ports
        assert Settings(compat_ports=text).compat_ports == ports

    @pytest.mark.parametrize("text", ["x", "0", "70000", "9-8", "1-", "-1", "1-1000", "1-60,101-160", "1,,2"])
    def test_what_is_none_is_refused(self, text):
        with pytest.raises(ValueError, match="port"):
            parse_ports(text)

    def test_nimbus_own_ports_are_none(self):
        with pytest.raises(ValidationError, match="8081"):
            Settings(compat_ports="8080-8090", port=9000)

    def test_is_shown_as_written(self):
        assert shown_ports((7878, 8989, 8990, 8991)) == "7878, 8989-8991"
