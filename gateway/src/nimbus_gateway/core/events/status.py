"""How deliveries stand, and what a person does about those that failed."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from nimbus_sdk.contracts.events import (
    DeadLetter,
    EventRecord,
    ReplayRequest,
    Subscription,
)
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.events.audience import plugin_of, wants
from nimbus_gateway.core.events.outbox import cloud_event, queue_deliveries
from nimbus_gateway.core.events.tables import DeliveryRow, EventRow, SubscriberRow, WebhookRow
from nimbus_gateway.database import WAKE, after_commit, now
from nimbus_gateway.errors import ConflictError, NotFoundError

MOST_REPLAYED = 100_000
_PAGE = 1000
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are looked for; what is None does not matter.

    Attributes:
        type_prefix: how the type begins.
        source: who says so, in full.
        text: what stands in the type, the subject or the data; ASCII letters in either case.
        since: the first moment.
        until: the moment after the last one.
    """

    type_prefix: str | None = None
    source: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self, dialect: str) -> list[sa.ColumnElement[bool]]:
        """The same for the database, each to be met. SQLite keeps JSON with everything beyond ASCII escaped."""
        found: list[sa.ColumnElement[bool]] = []
        if self.type_prefix is not None:
            found.append(col(EventRow.type).startswith(self.type_prefix, autoescape=True))
        if self.source is not None:
            found.append(col(EventRow.source) == self.source)
        if self.text is not None:
            plain = self.text.lower()
            written = json.dumps(plain, ensure_ascii=dialect == "sqlite")[1:-1]
            content = sa.cast(col(EventRow.content), sa.Text)
            found.append(
                sa.or_(
                    sa.func.lower(col(EventRow.type)).contains(plain, autoescape=True),
                    sa.func.lower(col(EventRow.subject)).contains(plain, autoescape=True),
                    sa.func.lower(content).contains(written, autoescape=True),
                )
            )
        if self.since is not None:
            found.append(col(EventRow.time) >= self.since)
        if self.until is not None:
            found.append(col(EventRow.time) < self.until)
        return found


class EventStatus:
    """The outbox as administrators see it, within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def events(self, wanted: EventFilter, *, before: int | None, limit: int) -> list[tuple[int, EventRecord]]:
        """Kept events that fit, newest first, each with its place in the order."""
        conditions = wanted.conditions(self._session.get_bind().dialect.name)
        query = select(EventRow).where(*conditions).order_by(col(EventRow.seq).desc()).limit(limit)
        if before is not None:
            query = query.where(col(EventRow.seq) < before)
        rows = (await self._session.exec(query)).all()
        counts: dict[tuple[int, bool], int] = {}
        counted = (
            select(col(DeliveryRow.event_seq), col(DeliveryRow.dead), sa.func.count())
            .where(col(DeliveryRow.event_seq).in_([row.seq for row in rows]))
            .group_by(col(DeliveryRow.event_seq), col(DeliveryRow.dead))
        )
        for seq, dead, number in (await self._session.exec(counted)).all():
            counts[seq, bool(dead)] = number
        found = []
        for row in rows:
            seq = row.seq or 0
            record = EventRecord(
                **cloud_event(row).model_dump(),
                waiting=counts.get((seq, False), 0),
                dead=counts.get((seq, True), 0),
            )
            found.append((seq, record))
        return found

    async def subscriptions(self, names: Mapping[str, str], serving: frozenset[str]) -> list[Subscription]:
        """Who gets events and how far behind it is.

        Args:
            names: names of the plugins, by id.
            serving: ids of the plugins that can be reached now.
        """
        rows = (await self._session.exec(select(SubscriberRow).order_by(col(SubscriberRow.name)))).all()
        hooks = {f"webhook:{hook.id}": hook for hook in (await self._session.exec(select(WebhookRow))).all()}
        lags = await self._lags()
        found = []
        for row in rows:
            plugin_id = plugin_of(row.name)
            count, oldest, dead = lags.get(row.name, (0, None, 0))
            hook = hooks.get(row.name)
            reachable = plugin_id in serving if plugin_id else hook is not None and hook.enabled
            found.append(
                Subscription(
                    subscriber=row.name,
                    kind="plugin" if plugin_id else "webhook",
                    name=names.get(plugin_id, plugin_id) if plugin_id else hook.name if hook else row.name,
                    patterns=row.patterns,
                    status=_status(row, reachable=reachable),
                    lag=count,
                    lag_seconds=max((now() - oldest).total_seconds(), 0.0) if oldest else 0.0,
                    dead_letters=dead,
                    delivered=row.delivered,
                    last_delivered_at=row.last_delivered_at,
                    next_attempt_at=row.blocked_until,
                    last_error=row.last_error,
                )
            )
        return found

    async def _lags(self) -> dict[str, tuple[int, datetime | None, int]]:
        dead = col(DeliveryRow.dead)
        counted = (
            select(col(DeliveryRow.subscriber), dead, sa.func.count(), sa.func.min(col(EventRow.recorded_at)))
            .join(EventRow, col(DeliveryRow.event_seq) == col(EventRow.seq))
            .group_by(col(DeliveryRow.subscriber), dead)
        )
        found: dict[str, tuple[int, datetime | None, int]] = {}
        for name, is_dead, number, oldest in (await self._session.exec(counted)).all():
            waiting, since, given_up = found.get(name, (0, None, 0))
            found[name] = (waiting, since, number) if is_dead else (number, oldest, given_up)
        return found

    async def dead_letters(self, *, before: int | None, limit: int, subscriber: str | None) -> list[DeadLetter]:
        """Deliveries that were given up, newest first."""
        query = (
            select(DeliveryRow, EventRow)
            .join(EventRow, col(DeliveryRow.event_seq) == col(EventRow.seq))
            .where(col(DeliveryRow.dead))
            .order_by(col(DeliveryRow.id).desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(col(DeliveryRow.id) < before)
        if subscriber is not None:
            query = query.where(col(DeliveryRow.subscriber) == subscriber)
        return [
            DeadLetter(
                id=str(row.id),
                subscriber=row.subscriber,
                event=cloud_event(event),
                attempts=row.attempts,
                error=row.error,
                failed_at=row.failed_at or event.recorded_at,
            )
            for row, event in (await self._session.exec(query)).all()
        ]

    async def retry(self, *, subscriber: str | None = None, letter: int | None = None) -> int:
        """Deliver dead letters again: one, or all of a subscriber; how many.

        Raises:
            NotFoundError: there is no such dead letter.
        """
        which: list[sa.ColumnElement[bool]] = [sa.and_(col(DeliveryRow.dead))]
        if letter is not None:
            which.append(col(DeliveryRow.id) == letter)
        if subscriber is not None:
            which.append(col(DeliveryRow.subscriber) == subscriber)
        done = await self._session.exec(
            sa.update(DeliveryRow).where(*which).values(dead=False, attempts=0, error="", failed_at=None)
        )
        if letter is not None and done.rowcount == 0:
            raise NotFoundError("There is no such dead letter.")
        self._wake()
        return done.rowcount

    async def discard(self, letter: int) -> None:
        """Forget a dead letter.

        Raises:
            NotFoundError: there is none with this id.
        """
        which = sa.and_(col(DeliveryRow.id) == letter, col(DeliveryRow.dead))
        if (await self._session.exec(sa.delete(DeliveryRow).where(which))).rowcount == 0:
            raise NotFoundError("There is no such dead letter.")

    async def replay(self, subscriber: str, body: ReplayRequest) -> int:
        """Queue kept events for a subscriber again, oldest first, after what waits already; how many.

        Raises:
            NotFoundError: there is no such subscriber, or no such event.
            ConflictError: it takes no events, or there are too many at once.
        """
        row = await self._session.get(SubscriberRow, subscriber)
        if row is None:
            raise NotFoundError("There is no such subscription.")
        if not row.active:
            raise ConflictError("It has unsubscribed by answering 410; it subscribes again when it is restarted.")
        if body.event_id is not None:
            query = select(EventRow).where(col(EventRow.id) == body.event_id)
            if (await self._session.exec(query)).first() is None:
                raise NotFoundError("There is no event with this id; events are kept for 7 days.")
        wanted = await self._wanted(row, body)
        await queue_deliveries(
            self._session,
            [
                {"event_seq": seq, "subscriber": subscriber, "dead": False, "attempts": 0, "error": ""}
                for seq in wanted
            ],
        )
        self._wake()
        return len(wanted)

    async def _wanted(self, row: SubscriberRow, body: ReplayRequest) -> Sequence[int]:
        after, found = 0, list[int]()
        while True:
            columns = (col(EventRow.seq), col(EventRow.type), col(EventRow.subject), col(EventRow.addressed))
            query = select(*columns).where(col(EventRow.seq) > after)
            if body.event_id is not None:
                query = query.where(col(EventRow.id) == body.event_id)
            if body.since is not None:
                query = query.where(col(EventRow.recorded_at) >= body.since)
            if body.until is not None:
                query = query.where(col(EventRow.recorded_at) <= body.until)
            rows = (await self._session.exec(query.order_by(col(EventRow.seq)).limit(_PAGE))).all()
            for position, (seq, event_type, subject, addressed) in enumerate(rows):
                if position % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # each may be compared with a hundred patterns; others go on in between
                meant = (
                    wants(row.name, row.patterns, row.withheld, event_type, subject)
                    if addressed is None
                    else row.name in addressed
                )
                if meant:
                    found.append(seq or 0)
            if len(found) > MOST_REPLAYED:
                raise ConflictError(f"These are more than {MOST_REPLAYED} events. Choose a shorter range of time.")
            if len(rows) < _PAGE:
                return found
            after = rows[-1][0] or 0

    def _wake(self) -> None:
        wake = self._session.info.get(WAKE)
        if wake is not None:
            after_commit(self._session, wake)


def _status(row: SubscriberRow, *, reachable: bool) -> str:
    if not row.active:
        return "unsubscribed"
    if not reachable:
        return "waiting"
    return "retrying" if row.blocked_until is not None else "active"
