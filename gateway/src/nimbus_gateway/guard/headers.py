"""Rules for a request's head, whatever the path: limits, framing, Host."""

import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address

from nimbus_gateway.errors import BadRequestError, HeadersTooLargeError, UnknownHostError

Header = tuple[bytes, bytes]

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers together."""
MAX_HEADERS = 100

_NAME = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?")


def check_headers(headers: Sequence[Header], *, host_needed: bool = True) -> None:
    """Refuse malformed or ambiguous heads (RFC 9112: 3.2, 6.1, 6.3).

    Args:
        headers: names in lower case.
        host_needed: whether a missing Host is refused.

    Raises:
        HeadersTooLargeError: more than `MAX_HEADERS`.
        BadRequestError: the message names the rule.
    """
    if len(headers) > MAX_HEADERS:
        raise HeadersTooLargeError(f"more than {MAX_HEADERS} headers")
    for name, value in headers:
        if not _NAME.fullmatch(name):
            raise BadRequestError("a header's name holds characters that are not allowed")
        if _VALUE_CONTROL.search(value):
            raise BadRequestError("a header's value holds control characters")
    _check_framing(headers, host_needed=host_needed)


def _check_framing(headers: Sequence[Header], *, host_needed: bool) -> None:
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if hosts > 1 or (host_needed and hosts == 0):
        raise BadRequestError("a request has exactly one Host header")
    if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
        raise BadRequestError("a request has one Content-Length or one Transfer-Encoding, never both")
    for name, value in headers:
        if name == b"content-length" and not value.isdigit():
            raise BadRequestError("Content-Length is not a number")
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise BadRequestError("the only Transfer-Encoding that is understood is chunked")


def check_upgrade(headers: Sequence[Header]) -> None:
    """Refuse an upgrade with a body: the bytes behind it would be read in two ways.

    Raises:
        BadRequestError: it has one.
    """
    for name, value in headers:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
            raise BadRequestError("an upgrade request has no body")


def split_host(value: str) -> tuple[str, str | None] | None:
    """Name (lower case, IPv6 in brackets) and port of a Host header; None when it is malformed."""
    found = _HOST.fullmatch(value)
    return None if found is None else (found["name"].lower(), found["port"])


def check_host(value: str, allowed: Collection[str]) -> None:
    """Refuse hosts that the gateway does not answer to, against DNS rebinding.

    IP literals, ``*.local`` and the names in `allowed` pass; an entry ``*.example.org`` in `allowed` takes every
    name below, ``*`` everything.

    Raises:
        BadRequestError: malformed.
        UnknownHostError: names the setting to change.
    """
    parts = split_host(value)
    if parts is None:
        raise BadRequestError("the Host header is malformed")
    name = parts[0].rstrip(".")
    if name in allowed or name.endswith(".local") or "*" in allowed or _is_address(name):
        return
    if any("*." + name.split(".", depth)[depth] in allowed for depth in range(1, name.count(".") + 1)):
        return
    raise UnknownHostError(
        f"this Nimbus does not answer to {name!r}; if it should, add the name to NIMBUS_ALLOWED_HOSTS "
        "or set NIMBUS_PUBLIC_URL"
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
