"""Commands that clients give: worked off one after another beside the requests."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import HTTPException

from sonarr.shows import Json, stamp

MOST_WAITING = 100
MOST_KEPT = 200
"""Commands of which clients can still ask what came of them."""
SECONDS = 600.0
"""The longest that one command may take."""

SEARCHES = ("EpisodeSearch", "MissingEpisodeSearch", "RssSync", "SeasonSearch", "SeriesSearch")
ALWAYS_FRESH = ("DownloadedEpisodesScan", "RefreshMonitoredDownloads", "RefreshSeries", "RescanSeries")
"""Nothing is to be done: every answer is made from the library and the downloads as they are."""
_NAMES = {name.casefold(): name for name in (*SEARCHES, *ALWAYS_FRESH)}

Status = Literal["queued", "started", "completed", "failed"]


@dataclass(slots=True)
class Command:
    """A command and what came of it."""

    id: int
    name: str
    body: Json
    trigger: str
    queued: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    status: Status = "queued"
    message: str = ""

    def resource(self) -> Json:
        """The command as the API shows it."""
        result: Json = {
            "id": self.id,
            "name": self.name,
            "commandName": self.name,
            "message": self.message,
            "body": {**self.body, "name": self.name, "trigger": self.trigger, "sendUpdatesToClient": False},
            "priority": "normal",
            "status": self.status,
            "result": {"completed": "successful", "failed": "unsuccessful"}.get(self.status, "unknown"),
            "queued": stamp(self.queued),
            "trigger": self.trigger,
            "stateChangeTime": stamp(self.ended or self.started or self.queued),
            "sendUpdatesToClient": False,
            "updateScheduledTask": True,
        }
        if self.started is not None:
            result["started"] = stamp(self.started)
        if self.ended is not None:
            result["ended"] = stamp(self.ended)
            result["duration"] = str(self.ended - (self.started or self.queued))
        return result


class CommandFailedError(Exception):
    """A command could not be done; the message says why."""


class Desk:
    """The commands that wait, the one that is done, and those of late."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Command] = OrderedDict()
        self._wake: asyncio.Event | None = None
        self._next = int(time.time())  # numbers of an earlier run never mean a command of this one

    def take(self, name: str, body: Json, *, trigger: str = "manual") -> Command:
        """Take a command; one like it that waits already stays the one.

        Raises:
            HTTPException: 400, there is no such command; 503, too many wait.
        """
        known = _NAMES.get(name.casefold())
        if known is None:
            raise HTTPException(
                400, f"The command {name[:60]!r} is not known here; known are {', '.join(_NAMES.values())}."
            )
        waiting = [one for one in self._kept.values() if one.status == "queued"]
        same = next((one for one in waiting if (one.name, one.body) == (known, body)), None)
        if same is not None:
            return same
        if len(waiting) >= MOST_WAITING:
            raise HTTPException(503, "Too many commands wait; try again later.", headers={"Retry-After": "30"})
        self._next += 1
        command = self._kept[self._next] = Command(self._next, known, body, trigger)
        for old in [one.id for one in self._kept.values() if one.ended is not None][: -MOST_KEPT or None]:
            del self._kept[old]
        if self._wake is not None:
            self._wake.set()
        return command

    def all(self) -> list[Command]:
        """Commands, oldest first."""
        return list(self._kept.values())

    def get(self, number: int) -> Command:
        """One command.

        Raises:
            HTTPException: 404, there was none, or it was long ago.
        """
        found = self._kept.get(number)
        if found is None:
            raise HTTPException(404, f"There is no command {number}.")
        return found

    async def run(self, do: Callable[[str, Json], Awaitable[str]]) -> None:
        """Work off commands until cancelled.

        Args:
            do: does one, by name and body; its result is the command's message.
        """
        wake = self._wake = asyncio.Event()
        while True:
            command = next((one for one in self._kept.values() if one.status == "queued"), None)
            if command is None:
                wake.clear()
                await wake.wait()
                continue
            command.status, command.started = "started", datetime.now(UTC)
            try:
                async with asyncio.timeout(SECONDS):
                    command.message = await do(command.name, command.body)
                command.status = "completed"
            except Exception as error:  # noqa: BLE001 - a command that fails says so, and the next one's turn comes
                late = f"it took longer than {SECONDS:g} seconds" if isinstance(error, TimeoutError) else ""
                command.status, command.message = "failed", late or str(error) or type(error).__name__
            finally:
                command.ended = datetime.now(UTC)


desk = Desk()


def whole_of(body: Json, name: str) -> int:
    """A whole number of a command.

    Raises:
        CommandFailedError: it is missing.
    """
    value: Any = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CommandFailedError(f"the command needs {name}, a whole number")
    return value
