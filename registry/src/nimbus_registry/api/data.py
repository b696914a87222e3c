"""The data of a plugin, out of it and into it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from nimbus_sdk.contracts.backup import BACKUP_MEDIA_TYPE
from nimbus_sdk.contracts.control import ChangeResult

from nimbus_registry.api.context import Current, PathId, problem_response
from nimbus_registry.api.installs import CauseQuery
from nimbus_registry.runtime.threads import Feed

PauseQuery = Annotated[
    bool,
    Query(description="Leave the plugin stopped then, until `…/data/settle` says how it goes on, or for a minute."),
]
KeepQuery = Annotated[bool, Query(description="Whether what was restored stays.")]

router = APIRouter(prefix="/v1/plugins", tags=["data"])

_ARCHIVE: dict[str, Any] = {BACKUP_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    404: problem_response("There is no such plugin."),
    409: problem_response("It failed, and the data are what they were."),
    413: problem_response("The data are more than the plugin may keep (NIMBUS_MAX_DATA). Nothing was changed."),
    429: problem_response("Another backup, restore or change of version is under way."),
}


@router.post(
    "/{plugin_id}/data/copy",
    response_class=StreamingResponse,
    responses={200: {"description": "An archive, unless it breaks off.", "content": _ARCHIVE}, **_ANSWERS},
)
async def copy_data(plugin_id: PathId, context: Current, cause: CauseQuery = "api") -> StreamingResponse:
    """Stop the plugin, copy its data, start it again, and hand the copy out."""
    return StreamingResponse(await context.copies.take(plugin_id, cause), media_type=BACKUP_MEDIA_TYPE)


@router.put(
    "/{plugin_id}/data",
    responses=_ANSWERS,
    openapi_extra={"requestBody": {"required": True, "content": _ARCHIVE}},
)
async def replace_data(
    plugin_id: PathId, request: Request, context: Current, *, cause: CauseQuery = "api", pause: PauseQuery = False
) -> ChangeResult:
    """Put the data of an archive in the place of the plugin's own; all of them or none."""
    return await context.copies.replace(plugin_id, Feed(request.stream()), cause, pause=pause)


@router.post("/{plugin_id}/data/pause", responses=_ANSWERS)
async def pause_for_restore(plugin_id: PathId, context: Current, cause: CauseQuery = "api") -> ChangeResult:
    """Stop a plugin for a restore that brings no data, until `…/data/settle` says how it goes on, or for a minute."""
    return await context.copies.pause(plugin_id, cause)


@router.post("/{plugin_id}/data/settle", responses=_ANSWERS)
async def settle_restore(
    plugin_id: PathId, context: Current, *, cause: CauseQuery = "api", keep: KeepQuery = True
) -> ChangeResult:
    """Have a plugin that a restore stopped start with what was restored, or as it was before."""
    return await context.copies.settle(plugin_id, cause, keep=keep)
