"""The formats of texts in a settings schema that are checked: JSON Schema's `format`. Pure, and linear in the text.

JSON Schema leaves checking to whoever reads it. The core and the test kit agree on these; all others are remarks.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urlsplit

LONGEST: Final = 8192
"""Characters of a text with a format; a longer one has none."""

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f-\xa0<>\"{}|\\^`]+")
_AT_A_HOST: Final = frozenset({"http", "https", "ws", "wss", "ftp", "ftps"})
_EMAIL: Final = re.compile(r"[^\x00-\x20\x7f@]+@[^\x00-\x20\x7f@]+")
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST_HOST: Final = 253
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _is_uri(text: str) -> bool:
    """RFC 3986 with a scheme; letters of other alphabets may stand for themselves, as in a browser."""
    if _URI.fullmatch(text) is None:
        return False
    parts = urlsplit(text)
    return parts.scheme not in _AT_A_HOST or (bool(parts.hostname) and parts.port != 0)


def _is_hostname(text: str) -> bool:
    return len(text) <= _LONGEST_HOST and all(_LABEL.fullmatch(label) for label in text.split("."))


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))


FORMATS: Final[Mapping[str, tuple[Callable[[str], object], str]]] = {
    "uri": (_is_uri, "an address with its scheme, such as https://example.org/"),
    "email": (_EMAIL.fullmatch, "an e-mail address, such as ada@example.org"),
    "hostname": (_is_hostname, "a host's name, such as media.example.org"),
    "ipv4": (IPv4Address, "an IPv4 address, such as 192.0.2.1"),
    "ipv6": (IPv6Address, "an IPv6 address, such as 2001:db8::1"),
    "date": (_is_date, "a date, such as 2026-12-31"),
}
"""Of each format: whether a text has it, which may also be a `ValueError`, and what it is in words."""


def missed_format(name: str, text: str) -> str | None:
    """What the text should be and is not, in words; None when it fits, or nobody checks this format.

    An empty text fits every format, as it does in a form: that there must be one is for `minLength` to say.
    """
    if not text or name not in FORMATS:
        return None
    fits, words = FORMATS[name]
    try:
        return None if len(text) <= LONGEST and fits(text) else words
    except ValueError:
        return words
