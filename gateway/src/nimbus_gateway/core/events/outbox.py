"""The outbox: an event and the delivery to each of its subscribers are kept with the change that they tell of."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from nimbus_sdk.contracts.events import CloudEvent
from nimbus_sdk.contracts.schedules import SCHEDULE_FINISHED
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.events.audience import wants
from nimbus_gateway.core.events.tables import DeliveryRow, EventRow, SubscriberRow
from nimbus_gateway.database import WAKE, after_commit, insert_of, new_id, now

CORE_SOURCE = "/nimbus"
_AT_ONCE = 500
_READ = "nimbus_event_subscribers"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that is to be kept.

    Attributes:
        type: such as `io.nimbus.media.created.v1`.
        subject: what it is about.
        data: any JSON value.
        source: who says so.
        id: its own when it has one; told twice, it is kept once.
        time: when it happened; now, when None.
        to: these subscribers get it, whatever they subscribed to, and nobody else.
        size: bytes that count against the quota of its source.
    """

    type: str
    subject: str | None = None
    data: Any = None
    source: str = CORE_SOURCE
    id: str | None = None
    time: datetime | None = None
    to: tuple[str, ...] | None = None
    size: int = 0


def cloud_event(row: EventRow) -> CloudEvent:
    """The wire form of a row."""
    return CloudEvent(
        id=row.id, source=row.source, type=row.type, subject=row.subject, time=row.time, data=row.content.get("data")
    )


async def emit(session: AsyncSession, event_type: str, *, subject: str | None = None, data: Any = None) -> None:  # noqa: ANN401
    """Keep one event of the core in the session's transaction."""
    await emit_all(session, [NewEvent(event_type, subject, data)])


async def emit_all(session: AsyncSession, events: Sequence[NewEvent]) -> list[str]:
    """Keep events in the session's transaction and queue their deliveries; their ids, in the same order."""
    subscribers = await _subscribers(session)
    ids: list[str] = []
    for start in range(0, len(events), _AT_ONCE):
        ids += await _keep(session, events[start : start + _AT_ONCE], subscribers)
    wake = session.info.get(WAKE)
    if wake is not None and events:
        after_commit(session, wake)
    return ids


async def _subscribers(session: AsyncSession) -> Sequence[SubscriberRow]:
    """Everybody who gets events; read once in a transaction."""
    found: Sequence[SubscriberRow] | None = session.info.get(_READ)
    if found is None:
        found = (await session.exec(select(SubscriberRow).where(col(SubscriberRow.active)))).all()
        for row in found:
            session.expunge(row)  # only read: a later flush must not write it back
        session.info[_READ] = found
    return found


async def _keep(session: AsyncSession, events: Sequence[NewEvent], subscribers: Sequence[SubscriberRow]) -> list[str]:
    moment = now()
    rows = [
        {
            "id": event.id or str(new_id()),
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": event.time or moment,
            "recorded_at": moment,
            "content": {"data": event.data},
            "addressed": None if event.to is None else list(event.to),
            "size": event.size,
        }
        for event in events
    ]
    statement = insert_of(session, EventRow).values(rows).on_conflict_do_nothing()
    returned = await session.exec(statement.returning(col(EventRow.id), col(EventRow.source), col(EventRow.seq)))
    kept = {(event_id, source): seq for event_id, source, seq in returned.all()}
    wanted: dict[tuple[str, str | None], list[str]] = {}
    deliveries: list[dict[str, Any]] = []
    for event, row in zip(events, rows, strict=True):
        seq = kept.pop((str(row["id"]), event.source), None)
        if seq is None:
            continue  # told before
        targets: Iterable[str] = event.to or ()
        if event.to is None:
            # Whom a plugin's event or a media item is about says nothing of who may hear it; a schedule's does.
            kind = (event.type, event.subject if event.type == SCHEDULE_FINISHED else None)
            if kind not in wanted:
                wanted[kind] = [one.name for one in subscribers if wants(one.name, one.patterns, one.withheld, *kind)]
                await asyncio.sleep(0)  # each may have a hundred patterns; others go on in between
            targets = wanted[kind]
        deliveries += [
            {"event_seq": seq, "subscriber": name, "dead": False, "attempts": 0, "error": ""} for name in targets
        ]
    await queue_deliveries(session, deliveries)
    return [str(row["id"]) for row in rows]


async def queue_deliveries(session: AsyncSession, deliveries: Sequence[dict[str, Any]]) -> None:
    """Add delivery rows, in this order."""
    for start in range(0, len(deliveries), _AT_ONCE):
        await session.exec(sa.insert(DeliveryRow).values(list(deliveries[start : start + _AT_ONCE])))
