"""The delivery queues in the database: leases of subscribers, the oldest events of one, and what came of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from nimbus_sdk.contracts.events import MOST_ATTEMPTS, CloudEvent
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.events.audience import is_addressed
from nimbus_gateway.core.events.outbox import cloud_event
from nimbus_gateway.core.events.tables import DeliveryRow, EventRow, SubscriberRow
from nimbus_gateway.database import now, storable

LEASE_SECONDS = 20.0
"""After a worker was killed, others take over its subscribers so much later. A living one renews in time."""
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 300.0
BROKEN_SECONDS = 5.0
"""What broke off for a reason nobody foresaw is tried again so much later."""
BATCH = 100


@dataclass(frozen=True, slots=True)
class Pending:
    """A delivery that is due; `addressed` to its subscriber alone, or to everybody who subscribes to the type."""

    id: int
    attempts: int
    event: CloudEvent
    addressed: bool = False


def backoff(attempts: int, jitter: float) -> float:
    """Seconds to wait after the given number of failed attempts; `jitter` is from 0 to 1. Pure."""
    longest = min(FIRST_BACKOFF * 2.0 ** (attempts - 1), LONGEST_BACKOFF)
    return longest * (0.5 + jitter / 2)


async def due_subscribers(session: AsyncSession) -> Sequence[str]:
    """Subscribers with something to deliver now that no worker delivers to; who has waited longest comes first."""
    moment = now()
    waits = (
        select(DeliveryRow.id)
        .where(col(DeliveryRow.subscriber) == col(SubscriberRow.name), sa.not_(col(DeliveryRow.dead)))
        .exists()
    )
    query = (
        select(SubscriberRow.name)
        .where(
            _free(moment),
            col(SubscriberRow.active),
            sa.or_(col(SubscriberRow.blocked_until).is_(None), col(SubscriberRow.blocked_until) <= moment),
            waits,
        )
        .order_by(sa.nulls_first(col(SubscriberRow.last_delivered_at).asc()))
    )
    return (await session.exec(query)).all()


async def lease(session: AsyncSession, name: str, owner: str) -> bool:
    """Take a subscriber for this worker; False when another was faster."""
    moment = now()
    taken = await session.exec(
        sa.update(SubscriberRow)
        .where(col(SubscriberRow.name) == name, _free(moment))
        .values(lease_owner=owner, lease_until=moment + timedelta(seconds=LEASE_SECONDS))
    )
    return taken.rowcount == 1


async def renew(session: AsyncSession, names: Collection[str], owner: str) -> None:
    """Keep subscribers for longer."""
    await session.exec(
        sa.update(SubscriberRow)
        .where(col(SubscriberRow.name).in_(names), col(SubscriberRow.lease_owner) == owner)
        .values(lease_until=now() + timedelta(seconds=LEASE_SECONDS))
    )


async def release(session: AsyncSession, name: str, owner: str) -> None:
    """Let others have a subscriber."""
    await session.exec(
        sa.update(SubscriberRow)
        .where(col(SubscriberRow.name) == name, col(SubscriberRow.lease_owner) == owner)
        .values(lease_owner=None, lease_until=None)
    )


def _free(moment: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(col(SubscriberRow.lease_until).is_(None), col(SubscriberRow.lease_until) < moment)


async def oldest(session: AsyncSession, name: str) -> list[Pending]:
    """The oldest deliveries of a subscriber, in order."""
    query = (
        select(DeliveryRow, EventRow)
        .join(EventRow, col(DeliveryRow.event_seq) == col(EventRow.seq))
        .where(col(DeliveryRow.subscriber) == name, sa.not_(col(DeliveryRow.dead)))
        .order_by(col(DeliveryRow.id))
        .limit(BATCH)
    )
    return [
        Pending(row.id or 0, row.attempts, cloud_event(event), addressed=is_addressed(event.type, event.addressed))
        for row, event in (await session.exec(query)).all()
    ]


async def arrived(session: AsyncSession, name: str, deliveries: Sequence[int]) -> None:
    """Take what was delivered out of the queue."""
    if not deliveries:
        return
    gone = await session.exec(sa.delete(DeliveryRow).where(col(DeliveryRow.id).in_(deliveries)))
    await session.exec(
        sa.update(SubscriberRow)
        .where(col(SubscriberRow.name) == name)
        .values(
            delivered=col(SubscriberRow.delivered) + gone.rowcount,
            last_delivered_at=now(),
            last_error=None,
            blocked_until=None,
        )
    )


async def failed(session: AsyncSession, name: str, pending: Pending, error: str, jitter: float) -> bool:
    """Count a failed attempt; whether the event is given up, so that the next one's turn has come."""
    error = storable(error)
    attempts = pending.attempts + 1
    dead = attempts >= MOST_ATTEMPTS
    moment = now()
    await session.exec(
        sa.update(DeliveryRow)
        .where(col(DeliveryRow.id) == pending.id)
        .values(attempts=attempts, error=error[:500], failed_at=moment, dead=dead)
    )
    blocked = None if dead else moment + timedelta(seconds=backoff(attempts, jitter))
    await session.exec(
        sa.update(SubscriberRow)
        .where(col(SubscriberRow.name) == name)
        .values(last_error=error[:500], blocked_until=blocked)
    )
    return dead


async def pause(session: AsyncSession, name: str) -> None:
    """Deliver nothing to a subscriber for a while."""
    await session.exec(
        sa.update(SubscriberRow)
        .where(col(SubscriberRow.name) == name)
        .values(blocked_until=now() + timedelta(seconds=BROKEN_SECONDS))
    )


async def unsubscribed(session: AsyncSession, name: str) -> None:
    """The subscriber wants no more events: what waits for it goes."""
    waiting = sa.and_(col(DeliveryRow.subscriber) == name, sa.not_(col(DeliveryRow.dead)))
    await session.exec(sa.delete(DeliveryRow).where(waiting))
    await session.exec(
        sa.update(SubscriberRow)
        .where(col(SubscriberRow.name) == name)
        .values(active=False, last_error="It answered 410 Gone.", blocked_until=None)
    )
