"""What counts as a credential on a compatibility port. Pure.

Browsers send cookies to every port of a host, so one that came in here says nothing about which page sent it: none
counts, and none goes on to the plugin. Clients of other products write their key into the address; it is read here,
once, and is gone from everything that looks at the request later.
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from nimbus_gateway.proxy.headers import Header, nimbus_key

_NAME = b"apikey"
_IN_A_HEADER = re.compile(rb"[\x21-\x7e]+")


def take_api_key(query: bytes) -> tuple[bytes, bytes | None]:
    """A query without its ``apikey`` (in any case and encoding), and the first value of it."""
    key: bytes | None = None
    others = []
    for piece in query.split(b"&"):
        name, _, value = piece.partition(b"=")
        if unquote_to_bytes(name.replace(b"+", b" ")).strip().lower() != _NAME:
            others.append(piece)
        elif key is None:
            key = unquote_to_bytes(value)
    return b"&".join(others), key


def compat_headers(headers: Sequence[Header], key: bytes | None) -> list[Header]:
    """A request's headers without cookies, and with the address's key as a header where that is one of Nimbus."""
    kept = [header for header in headers if header[0] != b"cookie"]
    if key is not None and _IN_A_HEADER.fullmatch(key) and nimbus_key(key, bearer=False) is not None:
        kept.append((b"x-api-key", key))  # behind the client's own headers: the first key counts
    return kept
