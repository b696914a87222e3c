"""Plugins: list, look at, enable, disable, restart, scan, history."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from nimbus_sdk.contracts.control import ChangeRequest, ChangeResult, PluginPage, ScanResult, TransitionPage
from nimbus_sdk.contracts.snapshot import PluginDetail

from nimbus_registry.api.context import Current, PathId, problem_response

router = APIRouter(prefix="/v1/plugins", tags=["plugins"])

Wait = Annotated[float, Query(ge=0, le=120, description="Seconds to wait until the change is settled.")]
MAX_CURSOR = 2**63 - 1
_KNOWN_SECONDS = 2.0
"""How long a scan waits for workers to know of what it found; it succeeded in any case."""

_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: problem_response("There is no such plugin.")}
_CHANGE: dict[int | str, dict[str, Any]] = {
    202: {"model": ChangeResult, "description": "Under way."},
    **_NOT_FOUND,
    409: problem_response("It failed, or its manifest is invalid; the member `plugin` holds the plugin."),
}


@router.get("")
async def list_plugins(context: Current) -> PluginPage:
    """Every plugin, by id."""
    return PluginPage(items=context.ledger.details())


@router.post("/scan")
async def scan(context: Current) -> ScanResult:
    """Read the plugins folder now. What it found is stored, and known to the gateway, when this answers."""
    result = await context.rescan()
    await context.ledger.flush()
    await context.workers.until_serving(context.ledger.generation, _KNOWN_SECONDS)
    return result


@router.get("/{plugin_id}", responses=_NOT_FOUND)
async def get_plugin(plugin_id: PathId, context: Current) -> PluginDetail:
    """One plugin with its manifest and errors."""
    return context.ledger.detail(context.ledger.get(plugin_id))


@router.post("/{plugin_id}/enable", responses=_CHANGE)
async def enable(
    plugin_id: PathId,
    change: ChangeRequest,
    context: Current,
    response: Response,
    wait: Wait = 0,
    *,
    with_dependencies: Annotated[
        bool, Query(alias="withDependencies", description="Enable the disabled plugins that it needs too.")
    ] = False,
) -> ChangeResult:
    """Enable it; 200 when it is ready and every gateway worker serves it."""
    requests = context.requests
    result = await requests.enable(plugin_id, cause=change.cause, wait=wait, with_dependencies=with_dependencies)
    return _answer(result, response)


@router.post("/{plugin_id}/disable", responses=_CHANGE)
async def disable(
    plugin_id: PathId,
    change: ChangeRequest,
    context: Current,
    response: Response,
    wait: Wait = 0,
    *,
    cascade: Annotated[bool, Query(description="Disable the plugins that need it first.")] = False,
    force: Annotated[bool, Query(description="Disable it although other plugins need it.")] = False,
) -> ChangeResult:
    """Disable it; 200 when it is stopped and no gateway worker serves it."""
    result = await context.requests.disable(plugin_id, cause=change.cause, wait=wait, cascade=cascade, force=force)
    return _answer(result, response)


@router.post("/{plugin_id}/restart", responses=_CHANGE)
async def restart(
    plugin_id: PathId, change: ChangeRequest, context: Current, response: Response, wait: Wait = 0
) -> ChangeResult:
    """Give an enabled plugin a new run."""
    return _answer(await context.requests.restart(plugin_id, cause=change.cause, wait=wait), response)


@router.post("/{plugin_id}/configured", status_code=HTTPStatus.NO_CONTENT, responses=_NOT_FOUND)
async def configured(plugin_id: PathId, change: ChangeRequest, context: Current) -> None:
    """Its settings were changed: what depends on them is looked at now."""
    context.requests.configured(plugin_id, cause=change.cause)


@router.post("/{plugin_id}/wake", responses=_CHANGE)
async def wake(plugin_id: PathId, context: Current, response: Response, wait: Wait = 0) -> ChangeResult:
    """Somebody asks for a plugin that runs on demand; 200 when it is ready and every gateway worker serves it."""
    return _answer(await context.requests.wake(plugin_id, wait=wait), response)


@router.get("/{plugin_id}/transitions", responses=_NOT_FOUND)
async def transitions(
    plugin_id: PathId,
    context: Current,
    after: Annotated[int, Query(ge=0, le=MAX_CURSOR, description="The `next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> TransitionPage:
    """Its history, oldest first."""
    context.ledger.get(plugin_id)
    return await context.ledger.transitions(plugin_id, after=after, limit=limit)


def _answer(result: ChangeResult, response: Response) -> ChangeResult:
    response.status_code = HTTPStatus.OK if result.settled else HTTPStatus.ACCEPTED
    return result
