"""Which plugin calls: found by the hash of its token in the snapshot, without a database."""

import math
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from nimbus_sdk.contracts.identity import HEADER_ON_BEHALF_OF
from nimbus_sdk.contracts.snapshot import SnapshotPlugin

from nimbus_gateway.auth.authenticator import MAXIMUM_TOKEN_LENGTH, hash_token
from nimbus_gateway.core.on_behalf import user_behind
from nimbus_gateway.core.permissions import granted
from nimbus_gateway.errors import PermissionMissingError, RateLimitedError, UnauthenticatedError
from nimbus_gateway.http.dependencies import StateDep, require_scope
from nimbus_gateway.state import GatewayState


def caller_by_token(state: GatewayState, authorization: str | None) -> SnapshotPlugin:
    """The plugin that a bearer token belongs to, with the call counted.

    Raises:
        UnauthenticatedError: there is no token, or it is not (any more) one of a running plugin.
        RateLimitedError: the plugin calls too often.
    """
    scheme, _, token = (authorization or "").partition(" ")
    snapshot = state.snapshots.current
    if scheme.lower() == "bearer" and 0 < len(token.strip()) <= MAXIMUM_TOKEN_LENGTH:
        plugin_id = snapshot.token_index.get(hash_token(token.strip()))
        if plugin_id is not None:
            wait = state.plugin_calls.take(plugin_id)
            if wait:
                raise RateLimitedError(
                    f"The plugin makes more than {state.settings.plugin_calls} calls a minute to the core. "
                    "Send several things in one call where there is one for it, or wait.",
                    retry_after=math.ceil(wait),
                    extra={"quota": "calls"},
                )
            return snapshot.plugins[plugin_id]
    raise UnauthenticatedError("Send the plugin's token: Authorization: Bearer <token>.")


async def plugin_caller(request: Request, state: StateDep) -> SnapshotPlugin:
    """The plugin that calls; see `caller_by_token`."""
    return caller_by_token(state, request.headers.get("authorization"))


PluginDep = Annotated[SnapshotPlugin, Depends(plugin_caller)]


OnBehalf = Annotated[
    str | None,
    Header(
        alias=HEADER_ON_BEHALF_OF,
        max_length=8192,
        description="The identity token of the person to act for: then only what both may do.",
    ),
]


def plugin_with(permission: str) -> Callable[..., Coroutine[Any, Any, str]]:
    """A dependency: a plugin with the permission, as `plugin:<id>`, or whom it acts for, as `user:<id>`."""

    async def check(plugin: PluginDep, state: StateDep, on_behalf_of: OnBehalf = None) -> str:
        if not granted(permission, plugin.grants):
            raise PermissionMissingError(
                f"The plugin {plugin.detail.id} lacks the permission {permission}.", extra={"missing": permission}
            )
        if on_behalf_of is None:
            return f"plugin:{plugin.detail.id}"
        principal = await user_behind(state, plugin.detail.id, on_behalf_of)
        require_scope(principal, permission)
        return f"{principal.kind}:{principal.id}"

    return check
