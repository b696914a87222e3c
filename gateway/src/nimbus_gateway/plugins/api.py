"""The public plugin calls: lists from the snapshot in memory, changes through the registry."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query, Response
from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.snapshot import PluginDetail, SnapshotPlugin

from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.errors import (
    DatabaseUnavailableError,
    GatewayError,
    NotFoundError,
    PluginNotFoundError,
    PluginsDisabledError,
)
from nimbus_gateway.http.dependencies import (
    Audit,
    AuditDep,
    LimitDep,
    StateDep,
    administrator_or,
    caller_with,
)
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.plugins.views import PluginChange, PluginList, UiManifest, UiManifestList, summary, ui_manifest
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.exclusion import not_while_restoring

OWN_WORKER_SECONDS = 1.0
"""How long an answer waits until this worker serves what it tells of."""

WaitDep = Annotated[int, Query(ge=0, le=120, description="Seconds to wait for the change to be complete.")]
CascadeDep = Annotated[bool, Query(description="Disable the plugins that need it first.")]
ForceDep = Annotated[bool, Query(description="Do it although other plugins need it.")]
CursorText = Annotated[PlainText | None, Query(description="`next` of the page before.")]

ReaderDep = Annotated[Principal, Depends(caller_with("plugins:read"))]
ManagerDep = Annotated[Principal, Depends(administrator_or("plugins:write"))]

CHANGE_ANSWERS = {202: {"model": PluginChange, "description": "Under way"}, **responses(404, 409, 503)}

log = structlog.get_logger(__name__)
router = APIRouter(tags=["plugins"], responses=responses(401, 403))


def plugin_or_404(state: GatewayState, plugin_id: str) -> SnapshotPlugin:
    """A plugin of the snapshot.

    Raises:
        PluginNotFoundError: there is none with this id.
    """
    found = state.snapshots.current.plugins.get(plugin_id)
    if found is None:
        raise PluginNotFoundError(f"There is no plugin {plugin_id[:80]!r}.")
    return found


def page_of_plugins(state: GatewayState, cursor: str | None, limit: int) -> tuple[list[PluginDetail], str | None]:
    """Plugins by id, after the cursor, and the cursor of the following page."""
    details = sorted((plugin.detail for plugin in state.snapshots.current.plugins.values()), key=lambda d: d.id)
    rest = [detail for detail in details if cursor is None or detail.id > cursor]
    return rest[:limit], rest[limit - 1].id if len(rest) > limit else None


def with_ports(state: GatewayState, detail: PluginDetail) -> PluginDetail:
    """A plugin with the compatibility ports that are mapped to it, which the registry does not know."""
    ports = state.compat_ports.ports_of(detail.id)
    return detail.model_copy(update={"compat_ports": ports}) if ports else detail


@router.get("/api/plugins")
async def plugins_list(_: ReaderDep, state: StateDep, cursor: CursorText = None, limit: LimitDep = 100) -> PluginList:
    """All plugins, by id."""
    details, more = page_of_plugins(state, cursor, limit)
    return PluginList(items=[summary(detail) for detail in details], next=more)


@router.get("/api/plugins/{plugin_id}", responses=responses(404))
async def plugins_get(plugin_id: str, _: ReaderDep, state: StateDep) -> PluginDetail:
    """One plugin with everything about it."""
    return with_ports(state, plugin_or_404(state, plugin_id).detail)


@router.get("/api/plugins/{plugin_id}/ui-manifest", responses=responses(404))
async def plugins_ui_manifest(plugin_id: str, principal: ReaderDep, state: StateDep) -> UiManifest:
    """The plugin's pages and navigation; 404 while it does not serve, or when it has none."""
    found = ui_manifest(plugin_or_404(state, plugin_id), admin=principal.role == "admin")
    if found is None:
        raise NotFoundError("The plugin has no user interface, or does not serve it now.")
    return found


@router.get("/api/ui/manifests")
async def ui_manifests(principal: ReaderDep, state: StateDep) -> UiManifestList:
    """Pages and navigation of all plugins that serve."""
    plugins = sorted(state.snapshots.current.plugins.values(), key=lambda plugin: plugin.detail.id)
    found = (ui_manifest(plugin, admin=principal.role == "admin") for plugin in plugins)
    return UiManifestList(items=[manifest for manifest in found if manifest is not None])


async def change_plugin(
    *,
    state: GatewayState,
    response: Response,
    audit: Audit,
    principal: Principal,
    plugin_id: str,
    verb: str,
    ask: Callable[[str], Awaitable[ChangeResult]],
) -> PluginChange:
    """Ask the registry for a change, record it, and answer once this worker serves it.

    Raises:
        PluginsDisabledError: the plugin host is off.
        PluginNotFoundError, PluginFailedError, PluginInvalidError, RegistryUnavailableError: as the registry says.
    """
    if not state.settings.enable_plugins:
        raise PluginsDisabledError("Plugins are switched off by NIMBUS_ENABLE_PLUGINS=false.")
    record = partial(record_action, state, audit, principal, f"plugin.{verb}", plugin_id=plugin_id)
    try:
        result = await ask(f"{principal.kind}:{principal.id}")
    except GatewayError:
        await record(outcome="failed")
        raise
    await record(outcome="done")
    await state.snapshots.wait_for(result.generation, OWN_WORKER_SECONDS)
    response.status_code = 200 if result.settled else 202
    return PluginChange(plugin=result.plugin, settled=result.settled)


async def record_action(
    state: GatewayState, audit: Audit, principal: Principal, action: str, *, plugin_id: str, outcome: str
) -> None:
    """Write an action into the audit log; what the registry did is true without it."""
    try:
        async with state.database.write() as session:
            audit.write(session, action, principal, f"plugin:{plugin_id[:80]}", outcome=outcome)
    except DatabaseUnavailableError:
        # The registry has its own database: what it did is true, recorded here or not.
        log.warning("an action could not be recorded", action=action, plugin=plugin_id, actor=principal.id)


@router.post("/api/plugins/{plugin_id}/enable", responses=CHANGE_ANSWERS)
async def plugins_enable(
    *,
    plugin_id: PlainText,
    response: Response,
    principal: ManagerDep,
    state: StateDep,
    audit: AuditDep,
    wait: WaitDep = 0,
    with_dependencies: Annotated[
        bool, Query(alias="withDependencies", description="Enable the disabled plugins that it needs too.")
    ] = False,
) -> PluginChange:
    """Enable a plugin. With `wait`: 200 when every worker serves it, 409 when it failed, else 202.

    409 `/problems/dependencies-unmet` lists the plugins that it needs; `canEnable` when `withDependencies` would do.
    """
    await not_while_restoring(state)
    return await change_plugin(
        state=state,
        response=response,
        audit=audit,
        principal=principal,
        plugin_id=plugin_id,
        verb="enable",
        ask=lambda cause: state.registry.enable(plugin_id, cause, wait, with_dependencies=with_dependencies),
    )


@router.post("/api/plugins/{plugin_id}/disable", responses=CHANGE_ANSWERS)
async def plugins_disable(
    *,
    plugin_id: PlainText,
    response: Response,
    principal: ManagerDep,
    state: StateDep,
    audit: AuditDep,
    wait: WaitDep = 0,
    cascade: CascadeDep = False,
    force: ForceDep = False,
) -> PluginChange:
    """Disable a plugin. With `wait`: 200 when no worker serves it any more, else 202.

    409 `/problems/plugin-needed` lists the plugins that need it; `cascade` or `force` decide about them.
    """
    return await change_plugin(
        state=state,
        response=response,
        audit=audit,
        principal=principal,
        plugin_id=plugin_id,
        verb="disable",
        ask=lambda cause: state.registry.disable(plugin_id, cause, wait, cascade=cascade, force=force),
    )
