"""How many events of one plugin are kept, and how large: a bound on what it can fill the outbox with."""

import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.events.tables import EventRow
from nimbus_gateway.errors import QuotaExceededError

RECOUNT_SECONDS = 30.0
FULL_SECONDS = 1.0
"""A plugin that is at its limit and goes on does not have everything counted at each call."""


@dataclass(slots=True)
class _Count:
    kept: int
    size: int
    at: float


class EventQuota:
    """Counts by source. Counting is work, so a worker does it now and then and adds up in between.

    Args:
        limit: events that are kept at a time.
        size_limit: bytes of their data, types and subjects.
    """

    def __init__(self, limit: int, size_limit: int) -> None:
        self._limit = limit
        self._size_limit = size_limit
        self._counts: dict[str, _Count] = {}

    async def take(self, session: AsyncSession, source: str, more: int, size: int) -> None:
        """Let so many more events of a source in.

        Args:
            session: the transaction that keeps them.
            source: who publishes them.
            more: how many there are.
            size: their bytes.

        Raises:
            QuotaExceededError: too many, or too much, of them is kept.
        """
        known = await self._counted(session, source, more, size)
        if known.kept + more > self._limit:
            raise QuotaExceededError(
                f"At most {self._limit} events of a plugin are kept at a time, for 7 days; there are {known.kept}. "
                "Publish less, or ask the operator for more.",
                extra={"quota": "events", "kept": known.kept},
            )
        if known.size + size > self._size_limit:
            raise QuotaExceededError(
                f"At most {self._size_limit} bytes of a plugin's events are kept at a time, for 7 days; there are "
                f"{known.size}, and these would add {size}. Publish less, or ask the operator for more.",
                extra={"quota": "event-bytes", "kept": known.size},
            )
        known.kept += more
        known.size += size

    async def _counted(self, session: AsyncSession, source: str, more: int, size: int) -> _Count:
        known = self._counts.get(source)
        age = time.monotonic() - known.at if known else RECOUNT_SECONDS
        full = known is not None and (known.kept + more > self._limit or known.size + size > self._size_limit)
        if known is None or age >= (FULL_SECONDS if full else RECOUNT_SECONDS):
            mine = sa.select(col(EventRow.size)).where(col(EventRow.source) == source).limit(self._limit).subquery()
            totals = select(sa.func.count(), sa.func.coalesce(sa.func.sum(mine.c.size), 0)).select_from(mine)
            kept, total = (await session.exec(totals)).one()
            known = self._counts[source] = _Count(kept, int(total), time.monotonic())
        return known
