"""A plugin's versions: what is here, upgrade, rollback, and its end. For administrators."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Body, Query, Response
from nimbus_sdk.contracts.install import PluginVersionList, RollbackRequest, UninstallResult, UpgradeRequest

from nimbus_gateway.core.config.versions import forget_owner, kept_settings
from nimbus_gateway.core.events.subscribers import forget_plugin
from nimbus_gateway.database import new_id
from nimbus_gateway.errors import DatabaseUnavailableError, GatewayError, PluginNotFoundError
from nimbus_gateway.http.dependencies import AdminDep, AuditDep, ReadSessionDep, StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.plugins.api import (
    CHANGE_ANSWERS,
    OWN_WORKER_SECONDS,
    CascadeDep,
    ForceDep,
    WaitDep,
    change_plugin,
    record_action,
)
from nimbus_gateway.plugins.install_api import registry_of
from nimbus_gateway.plugins.own_data import delete_own_data
from nimbus_gateway.plugins.views import PluginChange
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.exclusion import not_while_restoring

log = structlog.get_logger(__name__)
router = APIRouter(
    prefix="/api/admin/plugins",
    route_class=StrictRoute,
    tags=["plugin installation"],
    responses=responses(401, 403),
)


@router.get("/{plugin_id}/versions", responses=responses(404, 503))
async def admin_plugins_versions(
    plugin_id: PlainText, _: AdminDep, state: StateDep, session: ReadSessionDep
) -> PluginVersionList:
    """The version that is installed, then those that are kept, wait for consent, or were rejected.

    `settings` says which settings a version was left with; going back to it brings them back. No value is shown.
    """
    listed = await registry_of(state).versions(plugin_id)
    kept = await kept_settings(session, plugin_id)
    for one in listed.items:
        one.settings = kept.get(one.version)
    return listed


@router.post("/{plugin_id}/upgrade", responses={**CHANGE_ANSWERS, **responses(429)})
async def admin_plugins_upgrade(
    *,
    plugin_id: PlainText,
    body: UpgradeRequest,
    response: Response,
    admin: AdminDep,
    state: StateDep,
    audit: AuditDep,
    wait: WaitDep = 0,
) -> PluginChange:
    """Change to another version. A new version that does not become ready is rolled back, which answers 409.

    409 `/problems/consent-required` names the permissions that it asks for beyond those granted; it then waits, and
    is taken by `{"version": …, "grant": […]}`.
    """
    await not_while_restoring(state)
    registry = registry_of(state)
    return await change_plugin(
        state=state,
        response=response,
        audit=audit,
        principal=admin,
        plugin_id=plugin_id,
        verb="upgrade",
        ask=lambda cause: registry.upgrade(plugin_id, body, cause, wait),
    )


@router.post("/{plugin_id}/rollback", responses={**CHANGE_ANSWERS, **responses(429)})
async def admin_plugins_rollback(
    *,
    plugin_id: PlainText,
    body: Annotated[RollbackRequest | None, Body()] = None,
    response: Response,
    admin: AdminDep,
    state: StateDep,
    audit: AuditDep,
    wait: WaitDep = 0,
) -> PluginChange:
    """Go back to a version that is kept; without a body to the one before, with its data as it left them."""
    await not_while_restoring(state)
    registry = registry_of(state)
    return await change_plugin(
        state=state,
        response=response,
        audit=audit,
        principal=admin,
        plugin_id=plugin_id,
        verb="rollback",
        ask=lambda cause: registry.rollback(plugin_id, body or RollbackRequest(), cause, wait),
    )


@router.delete("/{plugin_id}", responses=responses(404, 409, 429, 503))
async def admin_plugins_uninstall(
    *,
    plugin_id: PlainText,
    admin: AdminDep,
    state: StateDep,
    audit: AuditDep,
    delete_data: Annotated[
        bool,
        Query(alias="deleteData", description="Also delete its volume with every copy, settings, keys and logs."),
    ] = False,
    cascade: CascadeDep = False,
    force: ForceDep = False,
) -> UninstallResult:
    """Stop the plugin and take it off the list. Its data are kept for when it is installed again, unless asked.

    When the data could not all be deleted, the same call again deletes the rest.
    """
    await not_while_restoring(state)
    action = "plugin.uninstall"
    options = {"deleteData": delete_data, "cascade": cascade, "force": force}
    try:
        result = await registry_of(state).uninstall(plugin_id, f"{admin.kind}:{admin.id}", options)
    except PluginNotFoundError:
        if not (delete_data and await _forget(state, plugin_id, delete_data=True)):
            await record_action(state, audit, admin, action, plugin_id=plugin_id, outcome="failed")
            raise
        result = UninstallResult(
            plugin_id=plugin_id,
            data_deleted=True,
            still_listed=False,
            generation=state.snapshots.current.generation,
        )
    except GatewayError:
        await record_action(state, audit, admin, action, plugin_id=plugin_id, outcome="failed")
        raise
    else:
        await _forget(state, plugin_id, delete_data=delete_data)
    await record_action(state, audit, admin, action, plugin_id=plugin_id, outcome="done")
    await state.snapshots.wait_for(result.generation, OWN_WORKER_SECONDS)
    return result


async def _forget(state: GatewayState, plugin_id: str, *, delete_data: bool) -> bool:
    """Delete what waits for a plugin that has gone, and what the core keeps of it; False when it kept nothing.

    Raises:
        DatabaseUnavailableError: the data that were to be deleted are still there.
    """
    try:
        async with state.database.write() as session:
            await forget_plugin(session, plugin_id)
            if not delete_data:
                await forget_owner(session, plugin_id)
                return False
            found = await delete_own_data(session, plugin_id)
            await state.accounts.changes.record(session, "compat-port", new_id())  # its ports are free
            return found > 0
    except DatabaseUnavailableError as error:
        if delete_data:
            raise
        log.warning("events that waited for a plugin stay for a week", plugin=plugin_id, reason=error.detail)
        return False
