"""How many items of the library one plugin has made: a bound on what it can fill the database with."""

import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.media.tables import MediaItem
from nimbus_gateway.errors import QuotaExceededError

RECOUNT_SECONDS = 30.0
FULL_SECONDS = 1.0
"""A plugin that is at its limit and goes on does not have everything counted at each call."""
_PLUGIN = "plugin:"


@dataclass(slots=True)
class _Count:
    made: int
    at: float


class MediaQuota:
    """Counts by plugin; what people and their keys make is not bounded.

    Counting is work, so a worker does it now and then and adds up in between.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: dict[str, _Count] = {}

    async def left(self, session: AsyncSession, by: str) -> int | None:
        """How many more items whoever asks may make; None without a bound."""
        if not by.startswith(_PLUGIN):
            return None
        known = self._counts.get(by)
        full = known is not None and known.made >= self.limit
        if known is None or time.monotonic() - known.at >= (FULL_SECONDS if full else RECOUNT_SECONDS):
            counted = select(sa.func.count()).where(col(MediaItem.created_by) == by)
            known = self._counts[by] = _Count((await session.exec(counted)).one(), time.monotonic())
        return max(self.limit - known.made, 0)

    def note(self, by: str, made: int) -> None:
        """Count items that were made."""
        if by in self._counts:
            self._counts[by].made += made

    async def take(self, session: AsyncSession, by: str) -> None:
        """Let one more item in.

        Raises:
            QuotaExceededError: the plugin has made as many as it may.
        """
        if await self.left(session, by) == 0:
            raise QuotaExceededError(self.refusal, extra={"quota": "media", "kept": self.limit})
        self.note(by, 1)

    @property
    def refusal(self) -> str:
        """What is said at the limit."""
        return (
            f"At most {self.limit} items of the library may be of one plugin. "
            "Delete some of them first, or ask the operator for more."
        )
