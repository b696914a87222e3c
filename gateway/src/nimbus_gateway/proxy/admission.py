"""Whether a request may go on to a plugin: which route takes it, and who calls."""

from collections.abc import Sequence
from dataclasses import dataclass

from nimbus_sdk.contracts.snapshot import PluginState

from nimbus_gateway.auth.csrf import SAFE_METHODS, from_own_site
from nimbus_gateway.auth.principal import Authenticator, Credentials, Principal
from nimbus_gateway.errors import (
    CsrfError,
    DatabaseUnavailableError,
    ForbiddenError,
    MethodNotAllowedError,
    PermissionMissingError,
    PluginAsleepError,
    PluginDisabledError,
    PluginHeldError,
    PluginNotFoundError,
    PluginsDisabledError,
    PluginUnavailableError,
    RouteNotFoundError,
    UnauthenticatedError,
)
from nimbus_gateway.proxy.routes import Address, CompiledPlugin, CompiledRoute, CompiledSnapshot

RETRY_SECONDS = 2


COMING_STATES: frozenset[PluginState] = frozenset(
    {"idle", "stopping", "starting", "building", "pulling", "initializing"}
)
"""Where a plugin that runs on demand is worth waiting for."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    plugin: CompiledPlugin
    route: CompiledRoute
    address: Address


def find_target(
    table: CompiledSnapshot,
    plugin_id: str,
    segments: Sequence[str],
    method: str,
    *,
    enabled: bool = True,
    compat: bool = False,
) -> Target:
    """The plugin and the route that take a request.

    Args:
        table: the compiled snapshot.
        plugin_id: from the path.
        segments: of the path under the plugin's prefix.
        method: in capitals.
        enabled: the gateway's own switch of the plugin host.
        compat: the request came in on a compatibility port, where only routes for it appear.

    Raises:
        PluginsDisabledError, PluginNotFoundError, PluginDisabledError, PluginUnavailableError: as the plugin stands.
        PluginAsleepError: it runs on demand and nobody has asked for it; `waking` starts it.
        PluginHeldError: its versions are being exchanged; `held.Held` waits for that.
        RouteNotFoundError, MethodNotAllowedError: what is not declared never reaches the plugin.
    """
    if not enabled or not table.snapshot.plugins_enabled:
        raise PluginsDisabledError("this Nimbus runs without plugins (NIMBUS_ENABLE_PLUGINS=false)")
    plugin = table.routes.get(plugin_id)
    if plugin is None:
        raise PluginNotFoundError(f"there is no plugin {plugin_id!r}")
    if compat:
        plugin = plugin.compat
    if plugin is None:
        raise RouteNotFoundError(f"the plugin {plugin_id!r} declares no routes for compatibility ports")
    detail = plugin.source.detail
    if not detail.enabled and detail.state != "invalid":
        raise PluginDisabledError(f"the plugin {plugin_id!r} is disabled; an administrator can enable it")
    if plugin.source.holding:
        raise PluginHeldError(f"the plugin {plugin_id!r} is being upgraded", retry_after=RETRY_SECONDS)
    if plugin.address is None and plugin.on_demand and detail.state in COMING_STATES:
        raise PluginAsleepError(
            f"the plugin {plugin_id!r} sleeps", plugin=plugin, route=_route(plugin, segments, method)
        )
    if plugin.address is None:
        reason = f": {detail.reason.message}" if detail.reason is not None else ""
        raise PluginUnavailableError(f"the plugin {plugin_id!r} is {detail.state}{reason}", retry_after=RETRY_SECONDS)
    return Target(plugin, _route(plugin, segments, method), plugin.address)


def _route(plugin: CompiledPlugin, segments: Sequence[str], method: str) -> CompiledRoute:
    route = plugin.match(segments, method)
    if route is None:
        raise RouteNotFoundError(f"the plugin {plugin.id!r} declares no such route")
    if isinstance(route, frozenset):
        raise MethodNotAllowedError(
            f"the route takes {', '.join(sorted(route))}", headers={"allow": ", ".join(sorted(route))}
        )
    return route


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a browser says that a request came from."""

    origin: str | None
    fetch_site: str | None
    own_origins: Sequence[str]

    @property
    def own(self) -> bool:
        """A page of this gateway sent it."""
        return from_own_site(origin=self.origin, fetch_site=self.fetch_site, own_origins=self.own_origins)


async def authorise(
    route: CompiledRoute,
    credentials: Credentials,
    authenticator: Authenticator,
    provenance: Provenance,
    *,
    method: str,
    upgrade: bool = False,
) -> Principal | None:
    """The caller that a route lets in; None is a caller without a name, on routes that ask for none.

    Args:
        route: with its rule.
        credentials: Nimbus's own, as the request brought them.
        authenticator: finds out whose they are.
        provenance: decides whether a cookie counts on a state-changing call.
        method: in capitals.
        upgrade: a WebSocket is being opened; a cookie counts only from an own page then.

    Raises:
        UnauthenticatedError, ForbiddenError, PermissionMissingError, CsrfError: not let in.
        DatabaseUnavailableError: it cannot be found out now.
    """
    usable = usable_credentials(route, credentials, provenance, method=method, upgrade=upgrade)
    if route.auth == "none":
        return await _optional(authenticator, usable)
    principal = await authenticator.authenticate(usable)
    if principal is None:
        raise UnauthenticatedError("the session has ended" if usable.api_key is None else "the API key is not valid")
    check_principal(route, principal)
    return principal


def usable_credentials(
    route: CompiledRoute, credentials: Credentials, provenance: Provenance, *, method: str, upgrade: bool = False
) -> Credentials:
    """Those of the presented credentials that count on a route; arguments as of `authorise`.

    Raises:
        UnauthenticatedError: the route asks for some, and there are none.
        CsrfError: the only one is a cookie that a foreign page sent along.
    """
    cookie = credentials.session_cookie
    cookie_counts = cookie is None or (method in SAFE_METHODS and not upgrade) or provenance.own
    if route.auth == "none":
        # Open to everybody: a caller who can be named is named, and a foreign page's cookie is worth nothing.
        return credentials if cookie_counts else Credentials(None, credentials.api_key)
    if route.auth == "session" or credentials.api_key is None:
        if cookie is None:
            raise UnauthenticatedError(_needs(route))
        if not cookie_counts:
            raise CsrfError(
                "a call that changes something, with a session cookie, must come from a page of this Nimbus "
                "(Origin or Sec-Fetch-Site: same-origin)"
            )
        return credentials if credentials.api_key is None else Credentials(cookie, None)
    return credentials if cookie is None else Credentials(None, credentials.api_key)


def check_principal(route: CompiledRoute, principal: Principal) -> None:
    """Refuse a known caller who may not call a route.

    Raises:
        ForbiddenError: the role is not enough.
        PermissionMissingError: names the scopes that an API key lacks.
    """
    if route.admin and principal.role != "admin":
        raise ForbiddenError("only administrators may do this")
    if principal.kind == "api-key" and (missing := route.scopes - principal.scopes):
        raise PermissionMissingError(f"the API key lacks the scope {', '.join(sorted(missing))}")


async def _optional(authenticator: Authenticator, credentials: Credentials) -> Principal | None:
    if credentials.session_cookie is None and credentials.api_key is None:
        return None
    try:
        return await authenticator.authenticate(credentials)
    except DatabaseUnavailableError:
        return None


def _needs(route: CompiledRoute) -> str:
    return "sign in first" if route.auth == "session" else "sign in or send an API key"
