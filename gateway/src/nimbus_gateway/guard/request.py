"""What the guard knows of a request, kept in ``scope["nimbus"]`` for everything behind it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from starlette.types import Scope

from nimbus_gateway.guard.client import ClientInfo
from nimbus_gateway.guard.path import CanonicalPath

if TYPE_CHECKING:
    from nimbus_gateway.proxy.splice import Flow, Splice

SCOPE_KEY = "nimbus"
CONNECTION_KEY = "nimbus.connection"


class ClientConnection(Protocol):
    """What the server's HTTP protocol offers to the proxy besides ASGI."""

    def on_gone(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the client has gone; the result takes the callback off."""
        ...

    def on_stopping(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the server begins to stop; the result takes the callback off."""
        ...

    def abort(self) -> None:
        """Cut the connection, so that an answer under way is seen to be incomplete."""
        ...

    transport: asyncio.Transport
    flow: "Flow"

    def write(self, data: bytes) -> None:
        """Write to the client, unless it is closing."""
        ...

    @property
    def takes_no_more(self) -> bool:
        """The client is slow: what is written to it waits."""
        ...

    def upgrade(self, head: bytes, splice: "Splice") -> None:
        """Answer an upgrade request with `head`; from now on the connection's bytes are the splice's."""
        ...


@dataclass(slots=True)
class RequestInfo:
    """One request. The fields below the line are filled in on its way, for the access log and the metrics."""

    id: str
    client: ClientInfo
    path: CanonicalPath
    own_origins: tuple[str, ...]

    compat_port: int | None = None
    plugin: str | None = None
    route: str | None = None
    user: str | None = None
    upstream_seconds: float | None = None
    outcome: str | None = None
    answered: bool = False
    upgraded: bool = False
    received: int = 0
    sent: int = 0

    @property
    def compat(self) -> bool:
        """Whether it came in on a compatibility port."""
        return self.compat_port is not None


def request_info(scope: Scope) -> RequestInfo:
    """The guard's knowledge of a scope that has passed it."""
    return cast("RequestInfo", scope[SCOPE_KEY])


def client_connection(scope: Scope) -> ClientConnection | None:
    """The server's side of the client's connection, when the server is Nimbus's own."""
    return cast("ClientConnection | None", (scope.get("extensions") or {}).get(CONNECTION_KEY))
