"""What is known of a request on the short way before it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from nimbus_gateway.access_log import AccessSubject
from nimbus_gateway.auth.identity import IssuedToken
from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.guard.client import ClientInfo
from nimbus_gateway.metrics import Tally
from nimbus_gateway.proxy.admission import Target
from nimbus_gateway.proxy.gates import Gate
from nimbus_gateway.proxy.headers import Header

Caller = tuple[Principal, Credentials]
"""Who a request was let in for, and by which credentials."""


@dataclass(slots=True, eq=False)
class Chosen:
    """What a method and a path come down to as long as the route table stays the same.

    Attributes:
        forward: the path for the plugin: the client's own bytes behind the prefix.
    """

    target: Target
    forward: bytes
    path: str
    method: str
    gate: Gate
    tally: Tally


@dataclass(frozen=True, slots=True, eq=False)
class ClientEnd:
    """Who is at the other end, and the header lines that tell a plugin so.

    Attributes:
        request_id: given by a trusted proxy in front.
    """

    info: ClientInfo
    lines: bytes
    request_id: bytes | None = None


@dataclass(slots=True)
class RawRequest:
    """A request as it was read.

    Attributes:
        method: in capitals.
        target: path and query.
        headers: names in lower case.
        keep_alive: another request may follow on the connection.
    """

    method: bytes
    target: bytes
    headers: Sequence[Header]
    keep_alive: bool


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a request's headers say, whatever it asks for.

    Attributes:
        passing: lines for the plugin.
        credentials: those that the client presented.
        traceparent: a well-formed one of the client.
    """

    passing: bytes
    credentials: Credentials
    traceparent: bytes | None


@dataclass(slots=True, eq=False)
class Prepared:
    """A request with everything that its bytes, its sender's address and the route table decide.

    Whether the caller is still let in is looked up each time; `admitted` and `identity` spare what follows from it.

    Attributes:
        came_from: address and scheme of the client's connection.
        told: what its headers say.
        opening: request line and header lines for the plugin, except those that are new each time.
        credentials: those that count on the route.
        caller_key: what their caller is remembered under.
        logged: what the access log says of it.
        admitted: who was let in the last time.
        identity: for whom the last token was issued, the token, and the header lines with it.
    """

    request: RawRequest
    chosen: Chosen
    end: ClientEnd
    told: Told
    came_from: tuple[str, str]
    opening: bytes
    credentials: Credentials | None
    caller_key: str | None
    logged: AccessSubject
    admitted: Caller | None = None
    identity: tuple[Caller, IssuedToken, bytes] | None = None
