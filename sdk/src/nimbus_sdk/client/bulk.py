"""Many media items, cut into calls: what a call holds is bounded, whatever comes."""

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from nimbus_sdk.contracts.core_api import MediaBulkItem, MediaBulkResult, MediaUpsert

MOST_LINES = 2_000
"""In one call. The core takes 10 000; a call that is lost is sent again, so it should not be the whole of them."""

MOST_BYTES = 4 * 1024 * 1024
CONTENT_TYPE = "application/x-ndjson"


class Call:
    """The lines of one call while they gather."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._bytes = 0

    def add(self, item: MediaUpsert) -> bool:
        """Take a line; whether the call is full by now."""
        line = json.dumps(item.wire(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._lines.append(line)
        self._bytes += len(line)
        return len(self._lines) >= MOST_LINES or self._bytes >= MOST_BYTES

    def body(self) -> bytes:
        """The body of the call."""
        return b"".join(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def calls(items: Iterable[MediaUpsert]) -> Iterator[Call]:
    """Items in calls, read as they are needed."""
    call = Call()
    for item in items:
        if call.add(item):
            yield call
            call = Call()
    if len(call):
        yield call


async def calls_of(items: Iterable[MediaUpsert] | AsyncIterable[MediaUpsert]) -> AsyncIterator[Call]:
    """The same for items that may come from somewhere slow."""
    if isinstance(items, Iterable):
        for ready in calls(items):
            yield ready
        return
    call = Call()
    async for item in items:
        if call.add(item):
            yield call
            call = Call()
    if len(call):
        yield call


def outcomes(answer: object, before: int) -> list[MediaBulkItem]:
    """What a call's answer says of its lines, counted on from the lines of the calls before. Pure."""
    found = MediaBulkResult.model_validate(answer).items
    return [item.model_copy(update={"line": item.line + before}) for item in found]
