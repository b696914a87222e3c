"""The snapshot with its long-poll watch, and the gateway workers that follow it."""

import asyncio
import time
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from nimbus_sdk.contracts.control import InUse, TransitionPage
from nimbus_sdk.contracts.snapshot import Snapshot
from pydantic import StringConstraints

from nimbus_registry.api.context import Context, Current
from nimbus_registry.workers import Call

router = APIRouter(prefix="/v1", tags=["snapshot"])

_NAME = r"^[A-Za-z0-9._:-]{1,100}$"
_MAX_GENERATION = 2**63 - 1


@router.get("/transitions")
async def transitions(
    context: Current,
    after: Annotated[int, Query(ge=0, le=_MAX_GENERATION, description="Id of the last one that is known.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> TransitionPage:
    """Every plugin's history in one feed, oldest first: what becomes events."""
    return await context.ledger.transitions(None, after=after, limit=limit)


@router.get("/snapshot", responses={200: {"model": Snapshot}, 204: {"description": "Nothing newer came in time."}})
async def snapshot(  # noqa: PLR0917 - the query's parameters
    context: Current,
    request: Request,
    worker: Annotated[str, Query(pattern=_NAME, description="Names the gateway worker that calls.")],
    serving: Annotated[
        int | None, Query(ge=0, le=_MAX_GENERATION, description="The generation that it serves now.")
    ] = None,
    busy: Annotated[
        list[Annotated[str, StringConstraints(max_length=300)]] | None,
        Query(max_length=100, description="Addresses it still has requests under way with, that it serves no more."),
    ] = None,
    wait: Annotated[float, Query(ge=0, le=30, description="Seconds to wait for another generation.")] = 0,
) -> Response:
    """The snapshot, when it is another than the worker serves; this call acknowledges the one it serves."""
    call = context.workers.called(worker, serving, frozenset(busy or ()))
    if await _another(context, request, call, serving, wait):
        return Response(context.ledger.snapshot_json(), media_type="application/json")
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/in-use", status_code=HTTPStatus.NO_CONTENT)
async def in_use(told: InUse, context: Current) -> None:
    """A worker tells which plugins that run on demand are in use; the others may fall asleep."""
    context.workers.told_at = time.monotonic()
    context.requests.use(told.plugins)


@router.delete("/workers/{worker}", status_code=HTTPStatus.NO_CONTENT)
async def leave(worker: Annotated[str, Path(pattern=_NAME)], context: Current) -> None:
    """A worker shuts down: nobody waits for it any more."""
    context.workers.left(worker)


async def _another(context: Context, request: Request, call: Call, serving: int | None, wait: float) -> bool:
    """Wait for a generation other than `serving`; the end of the registry or of the caller cuts the wait short."""
    ledger = context.ledger
    if ledger.generation != serving:
        return True

    async def note_the_end() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            continue
        context.workers.broke_off(call)
        ledger.pulse.fire()

    caller = asyncio.create_task(note_the_end(), name="snapshot caller")
    try:
        await ledger.pulse.until(
            lambda: ledger.generation != serving or context.stopping.is_set() or caller.done(), wait
        )
    finally:
        caller.cancel()
    return ledger.generation != serving
