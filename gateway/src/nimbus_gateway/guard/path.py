"""One canonical reading of a request's path.

Authorisation, matching and forwarding all use what `parse_path` returns. A path that another program could read
in a second way is refused, never repaired: dot segments, encoded dots and separators, double encoding, empty
segments, path parameters, control characters, backslashes.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from nimbus_gateway.errors import BadPathError, UriTooLongError

MAX_TARGET = 16 * 1024
"""Bytes of a request target (path and query)."""

_PLAIN = re.compile(rb"(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)+/?|/")
"""Paths with nothing to decode and nothing to doubt: the common case, decided by one expression."""

_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")
"""Printable ASCII without the fragment's ``#``."""

_RAW = re.compile(rb"/[A-Za-z0-9._~!$&'()*+,=:@/%|^{}\[\]`-]*")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|%(?:2[eEfF]|5[cC])")
_ESCAPE_LEFT = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f/\\]")


@dataclass(frozen=True, slots=True)
class CanonicalPath:
    """A path with exactly one reading.

    Attributes:
        raw: as the client wrote it; what is forwarded.
        segments: split at ``/`` and percent-decoded once; a last empty segment is a trailing slash.
    """

    raw: bytes
    segments: tuple[str, ...]

    def raw_after(self, count: int) -> bytes:
        """What is left of `raw` behind the first `count` segments, with its leading slash."""
        position = 0
        for _ in range(count):
            position = self.raw.find(b"/", position + 1)
            if position < 0:
                return b""
        return self.raw[position:]


def check_target(target: bytes) -> None:
    """Refuse a request target that is not in origin form (RFC 9112, 3.2.1) or not plain printable ASCII.

    Raises:
        UriTooLongError: longer than `MAX_TARGET`.
        BadPathError: anything else.
    """
    if len(target) <= MAX_TARGET and _TARGET.fullmatch(target):
        return
    if len(target) > MAX_TARGET:
        raise UriTooLongError(f"the address is longer than {MAX_TARGET} bytes")
    if not target.startswith(b"/"):
        raise BadPathError("write the path only: absolute addresses, CONNECT and `*` are not served")
    raise BadPathError("the address holds characters that must be percent-encoded")


def parse_path(raw: bytes) -> CanonicalPath:
    """The one reading of a path (without query).

    Raises:
        BadPathError: it has more than one; the message says what is wrong.
    """
    if _PLAIN.fullmatch(raw):
        return CanonicalPath(raw, tuple(raw[1:].decode("ascii").split("/")))
    if not _RAW.fullmatch(raw):
        raise BadPathError("the path holds characters that are not allowed in one")
    if _BAD_ESCAPE.search(raw):
        raise BadPathError("the path holds a broken escape or an encoded dot, slash or backslash")
    pieces = raw[1:].split(b"/")
    return CanonicalPath(raw, tuple(_segment(piece, last=i == len(pieces) - 1) for i, piece in enumerate(pieces)))


def _segment(piece: bytes, *, last: bool) -> str:
    if not piece and not last:
        raise BadPathError("the path holds an empty segment")
    try:
        text = unquote_to_bytes(piece).decode("utf-8")
    except UnicodeDecodeError:
        raise BadPathError("the path is not UTF-8") from None
    if text.split(";", 1)[0] in {".", ".."}:
        raise BadPathError("the path holds a dot segment")
    if _CONTROL.search(text):
        raise BadPathError("the path holds an encoded control character or separator")
    if _ESCAPE_LEFT.search(text):
        raise BadPathError("the path is encoded twice")
    return text
