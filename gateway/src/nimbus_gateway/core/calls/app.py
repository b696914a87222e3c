"""Passes calls of plugins on to other plugins: the same streaming proxy that people's requests take."""

from nimbus_sdk.contracts.identity import HEADER_CALL_CHAIN, HEADER_ON_BEHALF_OF
from starlette.types import ASGIApp, Receive, Scope, Send

from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.core.calls.rules import extended_chain
from nimbus_gateway.core.on_behalf import user_behind
from nimbus_gateway.core.permissions import granted
from nimbus_gateway.core.plugin_caller import caller_by_token
from nimbus_gateway.errors import NotFoundError, PermissionMissingError
from nimbus_gateway.guard.path import CanonicalPath
from nimbus_gateway.guard.request import RequestInfo, request_info
from nimbus_gateway.proxy.admission import Target, check_principal
from nimbus_gateway.proxy.headers import Forwarding, Header, find_header, identity_headers, sort_request
from nimbus_gateway.proxy.http import HttpProxy, make_traceparent
from nimbus_gateway.state import GatewayState

_CALL = ("core", "v1", "plugins")
_CALL_SEGMENTS = 5  # core, v1, plugins, <id>, call
_CALLER = "nimbus.caller"
_CHAIN = HEADER_CALL_CHAIN.lower().encode()
_ON_BEHALF = HEADER_ON_BEHALF_OF.lower().encode()


class PluginCalls:
    """In front of the core's API: takes the calls to other plugins out, and passes everything else on."""

    def __init__(self, state: GatewayState, app: ASGIApp) -> None:
        self._state = state
        self._app = app
        self._proxy = _CallProxy(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        info = request_info(scope)
        segments = info.path.segments
        if (
            scope["type"] != "http"
            or len(segments) < _CALL_SEGMENTS
            or segments[:3] != _CALL
            or segments[4] != "call"
        ):
            await self._app(scope, receive, send)
            return
        if len(segments) == _CALL_SEGMENTS:
            raise NotFoundError("Write the other plugin's route behind /call, such as /call/search.")
        caller = caller_by_token(self._state, find_header(scope["headers"], b"authorization"))
        target = segments[3]
        permission = f"plugins:call:{target}"
        if not granted(permission, caller.grants):
            raise PermissionMissingError(
                f"The plugin {caller.detail.id} lacks the permission {permission}.", extra={"missing": permission}
            )
        chain = extended_chain(find_header(scope["headers"], _CHAIN) or "", caller.detail.id, target)
        route = info.path.raw_after(_CALL_SEGMENTS)
        info.path = CanonicalPath(
            b"/api/plugins/" + target.encode() + route, ("api", "plugins", target, *segments[_CALL_SEGMENTS:])
        )
        scope[_CALLER] = (caller.detail.id, caller.detail.name, chain)
        await self._proxy(scope, receive, send)


class _CallProxy(HttpProxy):
    """Lets plugins in instead of people."""

    async def admit(
        self, scope: Scope, info: RequestInfo, target: Target, method: str
    ) -> tuple[list[Header], tuple[Principal, Credentials] | None]:
        """Name the calling plugin, or the person that it acts for; its token has been checked already."""
        del method
        plugin_id, name, chain = scope[_CALLER]
        token = find_header(scope["headers"], _ON_BEHALF)
        principal = Principal("plugin", plugin_id, name, "plugin")
        if token is not None:
            principal = await user_behind(self._state, plugin_id, token)
        if target.route.auth != "none":
            check_principal(target.route, principal)
        sorted_request = sort_request(scope["headers"])
        client = info.client
        forwarding = Forwarding(target.plugin.id, target.plugin.prefix, client.address, client.host, client.scheme)
        headers = [
            *(header for header in sorted_request.passing if header[0] != b"authorization"),
            (b"x-request-id", info.id.encode()),
            (b"traceparent", sorted_request.traceparent or make_traceparent()),
            *forwarding.headers(),
            *identity_headers(principal, self._state.signer.token(principal, target.plugin.id)),
            (_CHAIN, ",".join(chain).encode()),
        ]
        if principal.kind != "plugin":
            headers.append((b"x-nimbus-caller-plugin", plugin_id.encode()))
        info.user = principal.subject
        return headers, None
