"""Plugins' log lines: the newest of each plugin are kept."""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from nimbus_sdk.contracts.core_api import LogEntry
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.logs.tables import PluginLogLine
from nimbus_gateway.database import now

KEPT_PER_PLUGIN = 5000


class PluginLogs:
    """Log lines of one plugin within one transaction."""

    def __init__(self, session: AsyncSession, plugin_id: str) -> None:
        self._session = session
        self._plugin_id = plugin_id

    async def add(self, entries: Sequence[LogEntry]) -> None:
        """Store lines and cut off the oldest beyond what is kept."""
        received = now()
        for entry in entries:
            line = PluginLogLine(
                plugin_id=self._plugin_id,
                level=entry.level,
                message=entry.message,
                fields=entry.fields,
                at=_moment(entry.at, received),
                received_at=received,
            )
            self._session.add(line)
        await self._session.flush()
        mine = col(PluginLogLine.plugin_id) == self._plugin_id
        newest_to_go = (
            select(PluginLogLine.id)
            .where(mine)
            .order_by(col(PluginLogLine.id).desc())
            .offset(KEPT_PER_PLUGIN)
            .limit(1)
        )
        edge = (await self._session.exec(newest_to_go)).one_or_none()
        if edge is not None:
            await self._session.exec(sa.delete(PluginLogLine).where(mine, col(PluginLogLine.id) <= edge))

    async def tail(self, count: int) -> Sequence[PluginLogLine]:
        """The newest lines, oldest of them first."""
        mine = col(PluginLogLine.plugin_id) == self._plugin_id
        query = select(PluginLogLine).where(mine).order_by(col(PluginLogLine.id).desc()).limit(count)
        return (await self._session.exec(query)).all()[::-1]

    async def after(self, line_id: int, limit: int) -> Sequence[PluginLogLine]:
        """Lines that came after the given one, oldest first."""
        newer = sa.and_(col(PluginLogLine.plugin_id) == self._plugin_id, col(PluginLogLine.id) > line_id)
        return (
            await self._session.exec(select(PluginLogLine).where(newer).order_by(col(PluginLogLine.id)).limit(limit))
        ).all()


def _moment(given: datetime | None, received: datetime) -> datetime:
    """The line's own time; the time of arrival when it has none or one that no calendar in UTC holds."""
    if given is None:
        return received
    try:
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return received
