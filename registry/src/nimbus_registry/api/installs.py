"""Installing plugins, and what they may do."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.install import (
    Cause,
    InstallJobList,
    InstallRequest,
    InstallResult,
    PermissionsUpdate,
    PluginPermissions,
    PluginVersionList,
    RollbackRequest,
    UninstallResult,
    UpgradeRequest,
)

from nimbus_registry.api.context import Current, PathId, problem_response

router = APIRouter(prefix="/v1", tags=["installs"])

CauseQuery = Annotated[Cause, Query()]
InstallWait = Annotated[float, Query(ge=0, le=600, description="Seconds to wait until it is installed.")]

_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: problem_response("There is no such plugin.")}
_CHANGE: dict[int | str, dict[str, Any]] = {
    202: {"model": ChangeResult, "description": "Under way."},
    404: problem_response("There is no such plugin or version."),
    409: problem_response("It failed, waits for consent, or does not fit; the members say which."),
    429: problem_response("Another change of version is under way."),
}


@router.post(
    "/plugins",
    status_code=HTTPStatus.CREATED,
    responses={
        200: {"model": InstallResult, "description": "It was installed already, just so; nothing has changed."},
        202: {"model": InstallResult, "description": "Still being fetched; the job shows how far it is."},
        409: problem_response("It cannot be fetched, does not fit this Nimbus, or is there in another version."),
        429: problem_response("Too many installations are under way."),
    },
)
async def install(
    body: InstallRequest, context: Current, response: Response, cause: CauseQuery = "api", wait: InstallWait = 30
) -> InstallResult:
    """Install a plugin from an image, a folder or a manifest. It is not enabled by that."""
    result = await context.installer.install(body, cause=cause, wait=wait)
    if result.plugin is None:
        response.status_code = HTTPStatus.ACCEPTED
    elif result.already:
        response.status_code = HTTPStatus.OK
    return result


@router.get("/installs")
async def installs(context: Current) -> InstallJobList:
    """Installations under way and those of the last minutes."""
    return InstallJobList(items=context.jobs.listed())


@router.get("/plugins/{plugin_id}/permissions", responses=_NOT_FOUND)
async def permissions(plugin_id: PathId, context: Current) -> PluginPermissions:
    """What it asks for, what was granted, and the risk."""
    return context.permissions.of(context.ledger.get(plugin_id))


@router.put("/plugins/{plugin_id}/permissions", responses=_NOT_FOUND)
async def set_permissions(
    plugin_id: PathId, body: PermissionsUpdate, context: Current, cause: CauseQuery = "api"
) -> PluginPermissions:
    """Decide what it may do."""
    result = await context.permissions.update(plugin_id, body.grant, by=cause)
    context.reconciler.notice(plugin_id)
    return result


@router.get("/plugins/{plugin_id}/versions", responses=_NOT_FOUND)
async def versions(plugin_id: PathId, context: Current) -> PluginVersionList:
    """The versions that are here."""
    return context.versions.listed(plugin_id)


@router.post("/plugins/{plugin_id}/upgrade", responses=_CHANGE)
async def upgrade(  # noqa: PLR0917 - the query's parameters
    plugin_id: PathId,
    body: UpgradeRequest,
    context: Current,
    response: Response,
    cause: CauseQuery = "api",
    wait: InstallWait = 0,
) -> ChangeResult:
    """Change to another version; 200 when every gateway worker serves it."""
    return _answer(await context.versions.upgrade(plugin_id, body, cause=cause, wait=wait), response)


@router.post("/plugins/{plugin_id}/rollback", responses=_CHANGE)
async def rollback(  # noqa: PLR0917 - the query's parameters
    plugin_id: PathId,
    body: RollbackRequest,
    context: Current,
    response: Response,
    cause: CauseQuery = "api",
    wait: InstallWait = 0,
) -> ChangeResult:
    """Go back to a version that is kept."""
    return _answer(await context.versions.rollback(plugin_id, body, cause=cause, wait=wait), response)


@router.delete("/plugins/{plugin_id}", responses={code: _CHANGE[code] for code in (404, 409, 429)})
async def uninstall(
    plugin_id: PathId,
    context: Current,
    cause: CauseQuery = "api",
    *,
    delete_data: Annotated[bool, Query(alias="deleteData", description="Delete its data too.")] = False,
    cascade: Annotated[bool, Query(description="Disable the plugins that need it first.")] = False,
    force: Annotated[bool, Query(description="Remove it although other plugins need it.")] = False,
) -> UninstallResult:
    """Stop it and take it off the list."""
    return await context.uninstaller.uninstall(
        plugin_id, delete_data=delete_data, cause=cause, cascade=cascade, force=force
    )


def _answer(result: ChangeResult, response: Response) -> ChangeResult:
    response.status_code = HTTPStatus.OK if result.settled else HTTPStatus.ACCEPTED
    return result
