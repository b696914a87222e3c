"""Who gets events: every enabled plugin, as its manifest asks and its permissions allow, and webhooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.events.audience import PLUGIN, SCHEDULE, withheld
from nimbus_gateway.core.events.tables import DeliveryRow, EventRow, SubscriberRow
from nimbus_gateway.database import lock, now

KEPT_DAYS = 7
"""Events, and deliveries that wait for a plugin that is off, are kept so long."""
DEAD_DAYS = 30


def plugin_subscriber(plugin_id: str) -> str:
    """The name of a plugin as a subscriber."""
    return f"{PLUGIN}{plugin_id}"


def schedule_subscriber(plugin_id: str, schedule: str) -> str:
    """The name under which a plugin gets the runs of one schedule: a queue aside, since a job may take long."""
    return f"{SCHEDULE}{plugin_id}:{schedule}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plugin's subscription should be."""

    patterns: tuple[str, ...]
    withheld: tuple[str, ...]
    registration: str


def wanted_subscription(plugin: SnapshotPlugin) -> Wanted | None:
    """What an enabled plugin subscribes to; None for one that is off. Pure.

    Types that tell of data which the plugin may not read are withheld.
    """
    manifest = plugin.detail.manifest
    if not plugin.detail.enabled or manifest is None:
        return None
    return Wanted(tuple(manifest.events.subscribe), withheld(plugin.grants), (plugin.token_sha256 or "")[:64])


async def sync_plugins(session: AsyncSession, plugins: Mapping[str, SnapshotPlugin]) -> None:
    """Bring the plugins' subscriptions to what the snapshot says. Every worker does; the result is the same.

    A plugin that unsubscribed by 410 subscribes again with its next start.
    """
    await lock(session, "event-subscribers")
    found = await session.exec(select(SubscriberRow).where(col(SubscriberRow.name).startswith(PLUGIN)))
    rows = {row.name: row for row in found.all()}
    for plugin_id, plugin in plugins.items():
        wanted = wanted_subscription(plugin)
        row = rows.pop(plugin_subscriber(plugin_id), None)
        if wanted is None:
            _mark_gone(session, row)
            continue
        row = row or SubscriberRow(name=plugin_subscriber(plugin_id))
        if wanted.registration and wanted.registration != row.registration:
            row.registration, row.active, row.blocked_until = wanted.registration, True, None
        if (tuple(row.patterns), tuple(row.withheld)) != (wanted.patterns, wanted.withheld):
            row.patterns, row.withheld = list(wanted.patterns), list(wanted.withheld)
        row.gone_since = None
        session.add(row)
    for row in rows.values():
        _mark_gone(session, row)


def _mark_gone(session: AsyncSession, row: SubscriberRow | None) -> None:
    if row is not None and row.gone_since is None:
        row.gone_since = now()
        session.add(row)


async def cut_events(session: AsyncSession, installed: Sequence[str] | None) -> None:
    """Delete what is older than it is kept.

    Args:
        session: the transaction.
        installed: ids of the plugins that exist; None when nobody knows.
    """
    moment = now()
    edge, dead_edge = moment - timedelta(days=KEPT_DAYS), moment - timedelta(days=DEAD_DAYS)
    old = select(EventRow.seq).where(col(EventRow.recorded_at) < edge)
    waiting = sa.and_(sa.not_(col(DeliveryRow.dead)), col(DeliveryRow.event_seq).in_(old))
    given_up = sa.and_(col(DeliveryRow.dead), col(DeliveryRow.failed_at) < dead_edge)
    await session.exec(sa.delete(DeliveryRow).where(sa.or_(waiting, given_up)))
    needed = select(DeliveryRow.event_seq).where(col(DeliveryRow.event_seq) == col(EventRow.seq))
    await session.exec(sa.delete(EventRow).where(col(EventRow.recorded_at) < edge, sa.not_(needed.exists())))
    if installed is None:
        return
    names = [plugin_subscriber(plugin_id) for plugin_id in installed]
    removed = sa.and_(
        col(SubscriberRow.name).startswith(PLUGIN),
        col(SubscriberRow.name).not_in(names),
        col(SubscriberRow.gone_since) < edge,
    )
    await drop_subscribers(session, (await session.exec(select(SubscriberRow.name).where(removed))).all())


async def forget_plugin(session: AsyncSession, plugin_id: str) -> None:
    """Forget what waits for a plugin that was uninstalled: another one of its name is not to get it."""
    jobs = col(SubscriberRow.name).startswith(schedule_subscriber(plugin_id, ""), autoescape=True)
    mine = sa.or_(col(SubscriberRow.name) == plugin_subscriber(plugin_id), jobs)
    await drop_subscribers(session, (await session.exec(select(SubscriberRow.name).where(mine))).all())


async def drop_subscribers(session: AsyncSession, names: Sequence[str]) -> None:
    """Forget subscribers with all that they were to get."""
    if names:
        await session.exec(sa.delete(DeliveryRow).where(col(DeliveryRow.subscriber).in_(names)))
        await session.exec(sa.delete(SubscriberRow).where(col(SubscriberRow.name).in_(names)))
