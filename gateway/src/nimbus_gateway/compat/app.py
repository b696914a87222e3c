"""What answers on the compatibility ports: the same proxy as on the public port, and nothing else of Nimbus."""

from starlette.types import Receive, Scope, Send

from nimbus_gateway.compat.credentials import compat_headers, take_api_key
from nimbus_gateway.errors import CompatPortUnmappedError
from nimbus_gateway.guard.path import CanonicalPath
from nimbus_gateway.guard.request import request_info
from nimbus_gateway.proxy.http import HttpProxy
from nimbus_gateway.proxy.websocket import WebSocketProxy, is_websocket
from nimbus_gateway.state import GatewayState


class CompatApp:
    """Behind the guard of every compatibility port."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self._http = HttpProxy(state)
        self._websocket = WebSocketProxy(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request out of the plugin that its port is mapped to.

        Raises:
            CompatPortUnmappedError: it is mapped to none.
        """
        port = scope["server"][1]
        plugin_id = self._state.compat_ports.plugin_at(port)
        if plugin_id is None:
            raise CompatPortUnmappedError(
                f"no plugin is mapped to port {port}; an administrator can map one at /api/admin/compat-ports/{port}"
            )
        info = request_info(scope)
        info.compat_port = port
        # The proxy reads a path as on the public port; what is forwarded is the client's own bytes all the same.
        info.path = CanonicalPath(
            b"/api/plugins/" + plugin_id.encode() + info.path.raw, ("api", "plugins", plugin_id, *info.path.segments)
        )
        query, key = take_api_key(scope["query_string"])
        inner = {**scope, "query_string": query, "headers": compat_headers(scope["headers"], key)}
        await (self._websocket if is_websocket(scope) else self._http)(inner, receive, send)
