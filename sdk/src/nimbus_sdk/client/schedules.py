"""The plugin's own schedules."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from nimbus_sdk.contracts.schedules import ScheduleList, ScheduleRun, ScheduleRunPage, ScheduleStatus

if TYPE_CHECKING:
    from nimbus_sdk.client.transport import Transport


class Schedules:
    """How the manifest's schedules stand. What they run is written under `@plugin.every`."""

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    async def all(self) -> list[ScheduleStatus]:
        """Every schedule with its next time and its last run."""
        return ScheduleList.model_validate(await self._transport.json("GET", "/schedules")).items

    async def run(self, schedule: str) -> ScheduleRun:
        """Run one now.

        Raises:
            NotFound: the manifest has no such schedule.
            Conflict: a run is under way.
        """
        return ScheduleRun.model_validate(await self._transport.json("POST", f"{_path(schedule)}/run"))

    async def runs(self, schedule: str, *, limit: int = 50) -> list[ScheduleRun]:
        """The last runs, newest first.

        Raises:
            NotFound: the manifest has no such schedule.
        """
        answer = await self._transport.json("GET", f"{_path(schedule)}/runs", params={"limit": str(limit)})
        return ScheduleRunPage.model_validate(answer).items


def _path(schedule: str) -> str:
    return f"/schedules/{quote(schedule, safe='')}"
