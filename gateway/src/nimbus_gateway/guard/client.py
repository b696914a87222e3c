"""Who is at the other end and under which origin: X-Forwarded-* are believed from trusted proxies only."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from nimbus_gateway.settings import Network

Header = tuple[bytes, bytes]

_DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """The client as seen through trusted proxies.

    Attributes:
        address: IP address of the client.
        scheme: ``http`` or ``https``, as the client used it.
        host: the host (with port) that the client asked for.
        trusted: the peer is a trusted proxy.
    """

    address: str
    scheme: str
    host: str
    trusted: bool

    @property
    def origin(self) -> str:
        """``scheme://host[:port]``, in lower case, without the scheme's own port."""
        host = self.host.lower()
        default = ":" + _DEFAULT_PORTS.get(self.scheme, "")
        return f"{self.scheme}://{host.removesuffix(default)}"


def _address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].split("]", 1)[0]
    elif text.count(":") == 1:
        text = text.split(":", 1)[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _trusted(text: str, proxies: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in proxies)


def _last(headers: Sequence[Header], wanted: bytes) -> str | None:
    for name, value in reversed(headers):
        if name == wanted:
            return value.decode("latin-1").rsplit(",", 1)[-1].strip()
    return None


def client_info(peer: str, scheme: str, headers: Sequence[Header], proxies: Sequence[Network]) -> ClientInfo:
    """Work out the client.

    Args:
        peer: address of the connection's other end.
        scheme: scheme of the connection.
        headers: of the request, names in lower case.
        proxies: networks that are trusted.

    Returns:
        The address is the right-most one in X-Forwarded-For that is not a trusted proxy itself: what stands
        further left was written by the client.
    """
    host = _last(headers, b"host") or ""
    if not proxies or not _trusted(peer, proxies):
        return ClientInfo(peer, scheme, host, trusted=False)
    chain = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for").split(",")
    address = peer
    for hop in reversed(chain):
        found = _address(hop)
        if found is None:
            break
        address = str(found)
        if not _trusted(address, proxies):
            break
    proto = (_last(headers, b"x-forwarded-proto") or "").lower()
    return ClientInfo(
        address,
        proto if proto in _DEFAULT_PORTS else scheme,
        _last(headers, b"x-forwarded-host") or host,
        trusted=True,
    )
