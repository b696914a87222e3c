"""Tables of schedules and their runs."""

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from nimbus_gateway.database import Table, UtcDateTime, new_id, now


class ScheduleRow(Table, table=True):
    """A schedule of a plugin that is on. `running` is the run that has not ended."""

    __tablename__ = "schedules"
    __table_args__ = (sa.Index("ix_schedules_next_at", "next_at"),)

    plugin_id: str = Field(primary_key=True, max_length=40)
    id: str = Field(primary_key=True, max_length=40)
    cron: str = Field(max_length=120)
    timezone: str = Field(max_length=64)
    missed: str = Field(default="once", max_length=8)
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    running: uuid.UUID | None = Field(default=None)
    error: str | None = Field(default=None, max_length=300)


class ScheduleRunRow(Table, table=True):
    """One run. Its id is also that of the event that starts it."""

    __tablename__ = "schedule_runs"
    __table_args__ = (
        sa.Index("ix_schedule_runs_plugin_id_schedule_id", "plugin_id", "schedule", "id"),
        sa.Index("ix_schedule_runs_started_at", "started_at"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    plugin_id: str = Field(max_length=40)
    schedule: str = Field(max_length=40)
    due: datetime = Field(sa_type=UtcDateTime)
    cause: str = Field(max_length=16)
    state: str = Field(default="running", max_length=16)
    started_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = Field(default=None, max_length=500)
