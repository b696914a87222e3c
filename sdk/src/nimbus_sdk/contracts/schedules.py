"""Scheduled jobs: the event that starts a run of one of the manifest's `schedules`."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel

SCHEDULE_FIRED = "io.nimbus.schedule.fired.v1"
"""Type of that event. It goes to the plugin whose schedule it is, and to no other, whatever it subscribes to."""


class ScheduleFired(WireModel):
    """`data` of `io.nimbus.schedule.fired.v1`; the event's `subject` is the schedule's id."""

    schedule: str
    run: str = Field(description="Id of the run in the schedule's history.")
    due: datetime = Field(description="When the run was due; for one that a person started, when they did.")
    cause: Literal["time", "missed", "manual"] = Field(
        default="time", description="`missed`: the time passed while nobody could run it."
    )


SCHEDULE_FINISHED = "io.nimbus.schedule.finished.v1"
"""Type of the event that tells everybody of the end of a run; its `data` is the run."""

RunState = Literal["running", "done", "failed", "skipped"]


class ScheduleRun(WireModel):
    """One run of a schedule."""

    id: str = Field(description="UUIDv7; the id of the event that started it.")
    plugin_id: str
    schedule: str
    due: datetime
    cause: Literal["time", "missed", "manual"]
    state: RunState = Field(description="`skipped`: its time came while the run before had not ended.")
    started_at: datetime
    finished_at: datetime | None = None
    error: str | None = None


class ScheduleStatus(WireModel):
    """A schedule of a manifest, and how it stands."""

    id: str
    cron: str
    timezone: str
    missed: Literal["once", "skip"]
    next_at: datetime | None = Field(default=None, description="None while the plugin is off or the line is wrong.")
    running: str | None = Field(default=None, description="Id of the run that is under way.")
    last: ScheduleRun | None = None
    error: str | None = Field(default=None, description="What is wrong with the cron line or the time zone.")


class ScheduleList(WireModel):
    """Answer of `GET /core/v1/schedules`: the plugin's own schedules."""

    items: list[ScheduleStatus]


class ScheduleRunPage(WireModel):
    """Runs, newest first."""

    items: list[ScheduleRun]
    next: str | None = None
