"""The manifest's schedules in memory."""

from datetime import UTC, datetime

import httpx

from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.schedules import ScheduleList, ScheduleRun, ScheduleRunPage, ScheduleStatus
from nimbus_sdk.testing.refusals import Refused


class FakeSchedules:
    """The plugin's schedules. A run that is asked for is noted; `client.fire` runs it.

    Attributes:
        runs: the runs that the plugin asked for, oldest first.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.runs: list[ScheduleRun] = []
        self._manifest = manifest

    def answer(self, request: httpx.Request, rest: str) -> httpx.Response:
        """Answer one call under `/schedules`."""
        match (request.method, rest.split("/") if rest else []):
            case ("GET", []):
                return httpx.Response(200, json=ScheduleList(items=self._all()).wire())
            case ("POST", [name, "run"]):
                self._known(name)
                return httpx.Response(202, json=self._run(name).wire())
            case ("GET", [name, "runs"]):
                self._known(name)
                found = [run for run in reversed(self.runs) if run.schedule == name]
                return httpx.Response(200, json=ScheduleRunPage(items=found).wire())
        raise Refused(405, "method-not-allowed", f"{request.method} is not for this path.")

    def _all(self) -> list[ScheduleStatus]:
        return [
            ScheduleStatus(
                id=one.id,
                cron=one.cron,
                timezone=one.timezone,
                missed="once",
                last=next((run for run in reversed(self.runs) if run.schedule == one.id), None),
            )
            for one in self._manifest.schedules
        ]

    def _known(self, name: str) -> None:
        if all(one.id != name for one in self._manifest.schedules):
            raise Refused(404, "not-found", f"There is no schedule {name}.")

    def _run(self, name: str) -> ScheduleRun:
        now = datetime.now(UTC)
        run = ScheduleRun(
            id=f"run-{len(self.runs) + 1}",
            plugin_id=self._manifest.id,
            schedule=name,
            due=now,
            cause="manual",
            state="running",
            started_at=now,
        )
        self.runs.append(run)
        return run
