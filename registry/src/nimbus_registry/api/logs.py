"""What plugins print, as a stream of lines."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from nimbus_sdk.contracts.control import MOST_LOG_LINES, LogLine

from nimbus_registry.api.context import Context, Current, PathId, problem_response
from nimbus_registry.runtime.base import RuntimeFailure

router = APIRouter(prefix="/v1/plugins", tags=["logs"])

NDJSON = "application/x-ndjson"


@router.get(
    "/{plugin_id}/logs",
    response_class=StreamingResponse,
    responses={
        200: {"description": "One LogLine a line.", "content": {NDJSON: {"schema": {"type": "string"}}}},
        404: problem_response("There is no such plugin."),
    },
)
async def logs(
    plugin_id: PathId,
    context: Current,
    tail: Annotated[int, Query(ge=0, le=MOST_LOG_LINES, description="At most so many old lines.")] = 200,
    *,
    follow: Annotated[bool, Query(description="Go on with new lines until the caller hangs up.")] = False,
) -> StreamingResponse:
    """Lines that the plugin or its build printed, oldest first."""
    context.ledger.get(plugin_id)
    return StreamingResponse(_lines(context, plugin_id, tail=tail, follow=follow), media_type=NDJSON)


async def _lines(context: Context, plugin_id: str, *, tail: int, follow: bool) -> AsyncIterator[bytes]:
    try:
        async for line in context.runtime.logs(plugin_id, tail=tail, follow=follow):
            yield _encoded(line)
    except RuntimeFailure as failure:
        yield _encoded(LogLine(cursor="", stream="platform", text=f"The log cannot be read: {failure.message}"))


def _encoded(line: LogLine) -> bytes:
    text = line.text.encode("utf-8", "replace").decode("utf-8")
    return line.model_copy(update={"text": text}).model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"
