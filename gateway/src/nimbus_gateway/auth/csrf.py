"""Which state-changing calls with a cookie are refused: one pure rule, for plugin routes and the gateway's own."""

from collections.abc import Collection

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""


def from_own_site(*, origin: str | None, fetch_site: str | None, own_origins: Collection[str]) -> bool:
    """Whether a browser vouches that a page of this gateway sent the request.

    Args:
        origin: the ``Origin`` header.
        fetch_site: the ``Sec-Fetch-Site`` header, which a page cannot set or change.
        own_origins: origins of this gateway (``scheme://host[:port]``, lower case).
    """
    if fetch_site is not None and fetch_site.strip().lower() == "same-origin":
        return True
    return origin is not None and origin.strip().lower() in own_origins


def csrf_allowed(method: str, *, origin: str | None, fetch_site: str | None, own_origins: Collection[str]) -> bool:
    """Whether a request that is authenticated by a cookie may go on; safe methods always may."""
    return method in SAFE_METHODS or from_own_site(origin=origin, fetch_site=fetch_site, own_origins=own_origins)
