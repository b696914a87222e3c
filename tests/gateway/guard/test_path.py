"""One reading of a path: for every encoding, what is matched is what is forwarded."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_gateway.errors import BadPathError, GatewayError, UriTooLongError
from nimbus_gateway.guard.path import check_target, parse_path


class TestParsePath:
    @pytest.mark.parametrize(
        ("raw", "segments"),
        [
            (b"/", ("",)),
            (b"/a", ("a",)),
            (b"/a/", ("a", "")),
            (b"/a/b.c/~d", ("a", "b.c", "~d")),
            (b"/a%20b", ("a b",)),
            (b"/caf%C3%A9", ("café",)),
            (b"/100%25", ("100%",)),
            (b"/a%3Bb", ("a;b",)),
            (b"/...", ("...",)),
            (b"/.well-known/x", (".well-known", "x")),
            (b"/a|b", ("a|b",)),
        ],
    )
    def test_good(self, raw, segments):
        path = parse_path(raw)
        assert path.segments == segments
        assert path.raw == raw

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"a",
            b"//",
            b"//a",
            b"/a//b",
            b"/.",
            b"/..",
            b"/a/..",
            b"/a/../b",
            b"/a/./b",
            b"/%2e%2e/a",
            b"/%2E%2e",
            b"/.%2e",
            b"/a%2eb",
            b"/a%2fb",
            b"/a%2Fb",
            b"/a%5cb",
            b"/a\\b",
            b"/%252e%252e",
            b"/%252f",
            b"/%25%32%65",
            b"/a;b",
            b"/..;/a",
            b"/..%3b/a",
            b"/a%00",
            b"/a\x00",
            b"/a%0d%0a",
            b"/a%0A",
            b"/a%7f",
            b"/a%",
            b"/a%2",
            b"/a%zz",
            b"/%ff",
            b"/%c0%ae%c0%ae",
            b"/%e0%80%af",
            b"/a b",
            b"/a?b",
            b"/a#b",
            b"/\xc3\xa9",
            b'/a"b',
            b"/<a>",
            b"/a%C2%85",
        ],
    )
    def test_refused(self, raw):
        with pytest.raises(BadPathError):
            parse_path(raw)

    @given(st.binary(max_size=60).map(lambda tail: b"/" + tail))
    def test_any_bytes_are_refused_or_mean_one_thing(self, raw):
        try:
            path = parse_path(raw)
        except BadPathError:
            return
        assert len(path.segments) == raw.count(b"/")
        for segment, piece in zip(path.segments, raw[1:].split(b"/"), strict=True):
            assert unquote(piece.decode("ascii")) == segment
            # Whoever decodes once more, or treats a backslash or parameter as special, sees the same segments.
            assert unquote(segment) == segment
            assert segment not in {".", ".."}
            assert not set(segment) & set("/\\\0\r\n")
            assert segment.split(";")[0] not in {".", ".."}

    @given(st.text(alphabet="/.%25efEFcC;\\a", max_size=40).map(lambda tail: f"/{tail}".encode()))
    def test_tricky_letters(self, raw):
        try:
            path = parse_path(raw)
        except BadPathError:
            return
        assert ".." not in path.segments
        assert b"%2e" not in raw.lower()
        assert b"%2f" not in raw.lower()

    @given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
    def test_names_that_people_use_pass(self, names):
        raw = "/" + "/".join(quote(name, safe="") for name in names if name.isprintable()) if names else "/"
        bad = any(
            "/" in name or "\\" in name or "%" in name or name.split(";")[0] in {".", ".."} or not name.isprintable()
            for name in names
        )
        if not bad:
            assert parse_path(raw.encode()).segments == tuple(names)


class TestRawAfter:
    @pytest.mark.parametrize(
        ("raw", "count", "rest"),
        [
            (b"/api/plugins/demo/a/b", 3, b"/a/b"),
            (b"/api/plugins/demo/", 3, b"/"),
            (b"/api/plugins/demo", 3, b""),
            (b"/%61pi/plugins/demo/caf%C3%A9", 3, b"/caf%C3%A9"),
        ],
    )
    def test_what_is_forwarded_is_what_was_matched(self, raw, count, rest):
        path = parse_path(raw)
        assert path.raw_after(count) == rest
        if rest:
            assert parse_path(rest).segments == path.segments[count:]

    @given(st.lists(st.text(alphabet="ab.%25eEfF ~é", max_size=6), max_size=4))
    def test_for_every_encoding(self, names):
        raw = b"/api/plugins/demo/" + "/".join(quote(name, safe="%") for name in names).encode()
        try:
            path = parse_path(raw)
        except BadPathError:
            return
        forwarded = path.raw_after(3)
        assert raw.endswith(forwarded)
        assert parse_path(forwarded).segments == path.segments[3:]


class TestCheckTarget:
    @pytest.mark.parametrize("target", [b"/", b"/a?b=c%20d&e=/../", b"/a?x={}|"])
    def test_good(self, target):
        check_target(target)

    @pytest.mark.parametrize(
        "target", [b"*", b"http://host/a", b"host:80", b"/a#b", b"/a\x00", b"/a?b=\xc3", b"/a b", b"/a\tb", b""]
    )
    def test_refused(self, target):
        with pytest.raises(BadPathError):
            check_target(target)

    def test_too_long(self):
        with pytest.raises(UriTooLongError) as caught:
            check_target(b"/" + b"a" * 20_000)
        assert isinstance(caught.value, GatewayError)
        assert caught.value.status == 414
