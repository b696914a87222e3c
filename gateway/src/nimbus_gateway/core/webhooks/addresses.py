"""Which addresses a webhook may go to: the internet, and nothing in the operator's own network unless allowed."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable


class RefusedAddressError(Exception):
    """The address does not resolve, or leads to where webhooks may not go; the message says which."""


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052): it is as good as the address within."""
_NEVER = tuple(ipaddress.IPv6Network(text) for text in ("::/96", "2002::/16", "fec0::/10"))
"""IPv4-compatible, 6to4 and site-local addresses: given up long ago (RFC 4291, 7526, 3879), they lead inside only."""


def may_reach(address: str) -> bool:
    """Whether an IP address is one of the public internet. Pure."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _TRANSLATED:
            found = ipaddress.IPv4Address(found.packed[-4:])
        elif any(found in network for network in _NEVER):
            return False
    return found.is_global and not found.is_multicast


def refused(host: str, addresses: Iterable[str]) -> str | None:
    """Why none of these is gone to, in words; None when all are fine. Pure."""
    for address in addresses:
        if not may_reach(address):
            return (
                f"{host} is {address}, which is not an address of the internet. "
                "The operator allows such addresses with NIMBUS_WEBHOOK_PRIVATE_ADDRESSES=true."
            )
    return None


async def resolved(host: str, port: int, *, private: bool) -> str:
    """The IP address to connect to; the one that was looked at, so that a name cannot change in between.

    Raises:
        RefusedAddressError: see there.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise RefusedAddressError(f"The name {host!r} does not resolve.") from error
    addresses = [str(entry[4][0]) for entry in found]
    reason = None if private else refused(host, addresses)
    if reason is not None:
        raise RefusedAddressError(reason)
    return addresses[0]
