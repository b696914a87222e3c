"""Many media items in one call: lines of JSON, read as they come, stored some hundreds at a time."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from nimbus_sdk.contracts.core_api import MediaBulkItem, MediaBulkResult, MediaUpsert
from nimbus_sdk.contracts.jsontext import read_json
from pydantic import ValidationError as ModelError
from sqlmodel import col, select, tuple_
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.media.quota import MediaQuota
from nimbus_gateway.core.media.service import CHANGES_LOCK, DEEPEST, tell, title_key
from nimbus_gateway.core.media.tables import MediaItem
from nimbus_gateway.database import Database, lock, now
from nimbus_gateway.errors import PayloadTooLargeError

MOST_ITEMS = 10_000
LONGEST_LINE = 64 * 1024
AT_ONCE = 500

Line = tuple[int, bytes]
Key = tuple[str, str]


async def lines_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[Line]:
    """The lines of a body with their numbers, empty ones left out.

    Raises:
        PayloadTooLargeError: there are too many, or one is too long.
    """
    rest, number = b"", 0
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_LINE:
            line = number + 1 + len(whole)
            raise PayloadTooLargeError(f"A line has at most {LONGEST_LINE} bytes; line {line} has more.")
        for text in whole:
            number += 1
            if text.strip():
                yield _checked(number, text)
    if rest.strip():
        yield _checked(number + 1, rest)


def _checked(number: int, line: bytes) -> Line:
    if number > MOST_ITEMS:
        raise PayloadTooLargeError(f"A call takes at most {MOST_ITEMS} lines; what came before is stored.")
    if len(line) > LONGEST_LINE:
        raise PayloadTooLargeError(f"A line has at most {LONGEST_LINE} bytes; line {number} has more.")
    return number, line


@dataclass
class _Batch:
    """What one transaction does.

    Attributes:
        session: the transaction.
        by: who asks.
        known: items that are there or were made before, by kind and external id.
        room: how many items it may make; None without a bound.
        refusal: what is said of a line beyond.
        results: of its lines.
        changes: what happened to which item.
    """

    session: AsyncSession
    by: str
    known: dict[Key, MediaItem]
    room: int | None
    refusal: str
    results: list[MediaBulkItem] = field(default_factory=list)
    changes: list[tuple[str, MediaItem]] = field(default_factory=list)


async def store_lines(
    database: Database, lines: AsyncIterator[Line], *, by: str, quota: MediaQuota
) -> MediaBulkResult:
    """Store items as their lines come. A line that fails holds up no other; sent again, all is unchanged.

    Raises:
        PayloadTooLargeError: as `lines_of`.
        DatabaseUnavailableError: what came before is stored.
    """
    results: list[MediaBulkItem] = []
    waiting: list[Line] = []
    async for line in lines:
        waiting.append(line)
        if len(waiting) == AT_ONCE:
            results += await _store(database, waiting, by, quota)
            waiting = []
    if waiting:
        results += await _store(database, waiting, by, quota)
    counts = {outcome: sum(item.outcome == outcome for item in results) for outcome in _OUTCOMES}
    return MediaBulkResult.model_validate({**counts, "items": results})


_OUTCOMES = ("created", "updated", "unchanged", "failed")


async def _store(database: Database, lines: Sequence[Line], by: str, quota: MediaQuota) -> list[MediaBulkItem]:
    results: list[MediaBulkItem] = []
    wanted: list[tuple[int, MediaUpsert]] = []
    for number, text in lines:
        try:
            wanted.append((number, MediaUpsert.model_validate(_document(text))))
        except (ModelError, ValueError) as error:
            results.append(MediaBulkItem(line=number, outcome="failed", error=_words(error)))
    async with database.write() as session:
        room = await quota.left(session, by)
        # Under the lock of all changes: two calls with the same items do not get into each other's way.
        await lock(session, CHANGES_LOCK)
        batch = _Batch(session, by, await _known(session, [item for _, item in wanted]), room, quota.refusal, results)
        for number, item in wanted:
            results.append(await _upsert(batch, number, item))
        await session.flush()
        if batch.changes:
            await tell(session, list({row.id: (what, row) for what, row in reversed(batch.changes)}.values())[::-1])
    quota.note(by, sum(what == "created" for what, _ in batch.changes))
    return sorted(results, key=lambda result: result.line)


async def _known(session: AsyncSession, items: Sequence[MediaUpsert]) -> dict[Key, MediaItem]:
    keys = {(item.kind, item.external_id) for item in items}
    keys |= {
        (item.parent_kind, item.parent_external_id) for item in items if item.parent_kind and item.parent_external_id
    }
    if not keys:
        return {}
    query = select(MediaItem).where(tuple_(col(MediaItem.kind), col(MediaItem.external_id)).in_(sorted(keys)))
    return {(row.kind, row.external_id or ""): row for row in (await session.exec(query)).all()}


async def _upsert(batch: _Batch, number: int, item: MediaUpsert) -> MediaBulkItem:
    known, session = batch.known, batch.session
    key = (item.kind, item.external_id)
    parent: uuid.UUID | None = None
    if item.parent_external_id is not None:
        above = known.get((item.parent_kind or "", item.parent_external_id))
        if above is None or (item.parent_kind, item.parent_external_id) == key:
            message = "parentKind and parentExternalId name no item that is there or came before."
            return MediaBulkItem(line=number, outcome="failed", error=message)
        parent = above.id
    row = known.get(key)
    if row is None:
        if batch.room is not None:
            if batch.room == 0:
                return MediaBulkItem(line=number, outcome="failed", error=batch.refusal)
            batch.room -= 1
        row = MediaItem(
            kind=item.kind,
            external_id=item.external_id,
            title=item.title,
            title_key=title_key(item.title),
            year=item.year,
            parent_id=parent,
            details=item.metadata,
            created_by=batch.by,
        )
        known[key] = row
        session.add(row)
        batch.changes.append(("created", row))
        return MediaBulkItem(line=number, outcome="created", id=str(row.id))
    if parent is not None and parent != row.parent_id and await _below(batch, row, parent):
        return MediaBulkItem(line=number, outcome="failed", error="The item would belong to one below it.")
    before = (row.title, row.year, row.parent_id, row.details)
    # A line without a parent leaves the item where people have put it.
    after = (item.title, item.year, parent if parent is not None else row.parent_id, item.metadata)
    if before == after:
        return MediaBulkItem(line=number, outcome="unchanged", id=str(row.id))
    row.title, row.year, row.parent_id, row.details = after
    row.title_key = title_key(item.title)
    row.version += 1
    row.updated_at = now()
    session.add(row)
    batch.changes.append(("updated", row))
    return MediaBulkItem(line=number, outcome="updated", id=str(row.id))


async def _below(batch: _Batch, row: MediaItem, parent: uuid.UUID) -> bool:
    """Whether a new parent is the item itself or belongs to it, or lies too deep to tell."""
    made = {one.id: one for one in batch.known.values()}  # not all of them are in the database yet
    above: uuid.UUID | None = parent
    for _ in range(DEEPEST):
        if above is None:
            return False
        if above == row.id:
            return True
        found = made.get(above) or await batch.session.get(MediaItem, above)
        above = found.parent_id if found else None
    return True


def _document(line: bytes) -> object:
    document, problems = read_json(line)
    if problems:
        first = problems[0]
        raise ValueError(f"{first.path}: {first.message}" if first.path else first.message)
    return document


def _words(error: Exception) -> str:
    if isinstance(error, ModelError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'the line'}: {first['msg']}"[:300]
    return f"not a JSON object: {error}"[:300]
