"""Installing plugins and deciding what they may do: for administrators."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response
from nimbus_sdk.contracts.install import (
    InstallJobList,
    InstallRequest,
    InstallResult,
    PermissionsUpdate,
    PluginPermissions,
)

from nimbus_gateway.errors import GatewayError, PluginsDisabledError
from nimbus_gateway.http.dependencies import AdminDep, AuditDep, StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.plugins.api import OWN_WORKER_SECONDS, record_action
from nimbus_gateway.plugins.registry_installs import RegistryInstalls
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.exclusion import not_while_restoring

router = APIRouter(
    prefix="/api/admin/plugins",
    route_class=StrictRoute,
    tags=["plugin installation"],
    responses=responses(401, 403),
)

InstallWaitDep = Annotated[int, Query(ge=0, le=120, description="Seconds to wait until it is installed.")]


def registry_of(state: GatewayState) -> RegistryInstalls:
    """The registry's calls, unless plugins are switched off.

    Raises:
        PluginsDisabledError: they are.
    """
    if not state.settings.enable_plugins:
        raise PluginsDisabledError("Plugins are switched off by NIMBUS_ENABLE_PLUGINS=false.")
    return RegistryInstalls(state.registry)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses={
        200: {"model": InstallResult, "description": "It was installed already, just so; nothing has changed."},
        202: {"model": InstallResult, "description": "Still being fetched; the job shows how far it is."},
        **responses(404, 409, 429, 503),
    },
)
async def admin_plugins_install(
    *,
    body: InstallRequest,
    response: Response,
    admin: AdminDep,
    state: StateDep,
    audit: AuditDep,
    wait: InstallWaitDep = 30,
) -> InstallResult:
    """Install a plugin from an image, a folder or a manifest; it is listed as disabled, with what it asks for.

    What is installed already, in the same version and with the same contents, stays as it is: 200. Another version
    is a case for the upgrade: 409.
    An image that takes longer than `wait` is fetched on: 202 with the job, whose progress comes as `install` events.
    """
    await not_while_restoring(state)
    registry = registry_of(state)
    target = body.image or body.path or str((body.manifest or {}).get("id", ""))
    try:
        result = await registry.install(body, f"{admin.kind}:{admin.id}", wait)
    except GatewayError:
        await record_action(state, audit, admin, "plugin.install", plugin_id=target, outcome="failed")
        raise
    outcome = "done" if result.plugin is not None else "under way"
    await record_action(
        state,
        audit,
        admin,
        "plugin.install",
        plugin_id=result.plugin.id if result.plugin else target,
        outcome=outcome,
    )
    if result.plugin is None:
        response.status_code = HTTPStatus.ACCEPTED
    elif result.already:
        response.status_code = HTTPStatus.OK
    await state.snapshots.wait_for(result.generation, OWN_WORKER_SECONDS)
    return result


@router.get("/installs", responses=responses(404, 503))
async def admin_plugins_installs(_: AdminDep, state: StateDep) -> InstallJobList:
    """Installations and upgrades that are being fetched, and those of the last ten minutes, newest first."""
    return await registry_of(state).jobs()


@router.get("/{plugin_id}/permissions", responses=responses(404, 409, 503))
async def admin_plugins_permissions(plugin_id: PlainText, _: AdminDep, state: StateDep) -> PluginPermissions:
    """What the plugin asks for, what was granted and by whom, and its risk."""
    return await registry_of(state).permissions(plugin_id)


@router.put("/{plugin_id}/permissions", responses=responses(404, 409, 503))
async def admin_plugins_set_permissions(
    plugin_id: PlainText, body: PermissionsUpdate, admin: AdminDep, state: StateDep, audit: AuditDep
) -> PluginPermissions:
    """Decide what the plugin may do, of what it asks for. A running plugin gets and loses it at once."""
    await not_while_restoring(state)
    result = await registry_of(state).set_permissions(plugin_id, body, f"{admin.kind}:{admin.id}")
    await record_action(state, audit, admin, "plugin.permissions", plugin_id=plugin_id, outcome="done")
    return result
