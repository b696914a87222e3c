"""Formats of settings, and the test kit's check of them."""

import pytest
from nimbus_sdk.contracts.formats import FORMATS, LONGEST, missed_format
from nimbus_sdk.testing import FakeConfig

FITS = {
    "uri": [
        "http://example.org",
        "https://user@example.org:8443/a%20b?c=d#e",
        "http://[2001:db8::1]:80/",
        "http://bücher.example/ä",
        "mailto:ada@example.org",
        "udp://tracker.example:80",
        "file:///srv/media",
        "a" + ":" + "b" * (LONGEST - 2),
    ],
    "email": ["ada@example.org", "ada+films@localhost"],
    "hostname": ["localhost", "media.example.org", "a" * 63, "1and1.example"],
    "ipv4": ["192.0.2.1"],
    "ipv6": ["::1", "2001:db8::192.0.2.1"],
    "date": ["2026-12-31", "2028-02-29"],
}
DOES_NOT = {
    "uri": [
        "example.org",
        "//example.org",
        "http:",
        "http://",
        "http:/example.org",
        "http://:80",
        "http://[::1",
        "http://example.org:99999",
        "http://exa mple.org",
        "http://example.org/\n",
        "http://example.org/<script>",
        "1a:b",
        "a" + ":" + "b" * (LONGEST - 1),
    ],
    "email": ["ada", "@example.org", "ada@", "a@b@c", "ada @example.org", "ada@example.org\n"],
    "hostname": ["-a", "a-", "a..b", "a_b", "a" * 64, "a." * 126 + "bc", "example.org:80", "a\n"],
    "ipv4": ["192.0.2", "192.0.2.256", "::1", "192.0.2.1\n"],
    "ipv6": ["192.0.2.1", "::g"],
    "date": ["2026-02-30", "20261231", "2026-W01-1", "2026-12-31T00:00:00Z", "2026-12-31\n"],
}


def test_every_format_has_examples() -> None:
    assert FITS.keys() == DOES_NOT.keys() == FORMATS.keys()


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in FITS.items() for text in texts])
def test_what_fits(name: str, text: str) -> None:
    assert missed_format(name, text) is None


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in DOES_NOT.items() for text in texts])
def test_what_does_not(name: str, text: str) -> None:
    assert missed_format(name, text) == FORMATS[name][1]


def test_others_are_remarks() -> None:
    assert missed_format("regex", "(") is None
    assert missed_format("colour", "very") is None
    assert all(missed_format(name, "") is None for name in FORMATS)


def test_the_test_kit_refuses_what_the_core_would() -> None:
    config = FakeConfig({"type": "object", "properties": {"url": {"type": "string", "format": "uri"}}})
    config["url"] = "http://example.org/"
    with pytest.raises(ValueError, match=r"/url: 'example\.org' is not an address"):
        config["url"] = "example.org"
    with pytest.raises(ValueError, match="5 is not of type 'string'"):
        config["url"] = 5
