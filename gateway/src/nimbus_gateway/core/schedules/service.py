"""Schedules within one transaction: kept as the manifests say, started when their time comes, one run at a time."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from nimbus_sdk.contracts.events import CloudEvent
from nimbus_sdk.contracts.schedules import (
    SCHEDULE_FINISHED,
    SCHEDULE_FIRED,
    ScheduleFired,
    ScheduleRun,
    ScheduleStatus,
)
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.events.outbox import CORE_SOURCE, NewEvent, emit, emit_all
from nimbus_gateway.core.events.subscribers import drop_subscribers, schedule_subscriber
from nimbus_gateway.core.events.tables import DeliveryRow, EventRow, SubscriberRow
from nimbus_gateway.core.schedules.cron import LATE, next_time, schedule_problem
from nimbus_gateway.core.schedules.tables import ScheduleRow, ScheduleRunRow
from nimbus_gateway.database import insert_ignoring, lock, now, parse_id, storable
from nimbus_gateway.errors import ConflictError, NotFoundError

RUNS_DAYS = 30
DUE_AT_ONCE = 100
Cause = Literal["time", "missed", "manual"]


def run_view(row: ScheduleRunRow) -> ScheduleRun:
    """The wire form of a run."""
    return ScheduleRun.model_validate({**row.model_dump(), "id": str(row.id)})


async def sync_schedules(
    session: AsyncSession, plugins: Mapping[str, SnapshotPlugin], *, keep_absent: bool = False
) -> None:
    """Bring the schedules to what the manifests of the plugins that are on say.

    With `keep_absent` those of plugins that are not installed stay, as while a restore is about to install them.
    """
    await lock(session, "schedules")
    rows = {(row.plugin_id, row.id): row for row in (await session.exec(select(ScheduleRow))).all()}
    for plugin_id, plugin in plugins.items():
        if not plugin.detail.enabled or plugin.detail.manifest is None:
            continue
        for wanted in plugin.detail.manifest.schedules:
            row = rows.pop((plugin_id, wanted.id), None)
            known = (row.cron, row.timezone) if row else None
            row = row or ScheduleRow(plugin_id=plugin_id, id=wanted.id, cron="", timezone="")
            row.missed = wanted.missed
            if known != (wanted.cron, wanted.timezone):
                row.cron, row.timezone = wanted.cron, wanted.timezone
                row.error = schedule_problem(row.cron, row.timezone)
                row.next_at = None if row.error else next_time(row.cron, row.timezone, now())
            session.add(row)
            name = schedule_subscriber(plugin_id, wanted.id)
            await insert_ignoring(
                session,
                SubscriberRow,
                {
                    "name": name,
                    "patterns": [],
                    "withheld": [],
                    "active": True,
                    "registration": "",
                    "delivered": 0,
                    "created_at": now(),
                },
            )
    for row in rows.values():
        present = plugins.get(row.plugin_id)
        if present is None and keep_absent:
            continue
        # What a plugin that is off missed, it runs when it is on again; what is in no manifest any more goes.
        declared = present.detail.manifest.schedules if present and present.detail.manifest else []
        if all(one.id != row.id for one in declared):
            await drop_subscribers(session, [schedule_subscriber(row.plugin_id, row.id)])
            await session.delete(row)


async def due_schedules(session: AsyncSession, plugins: Sequence[str]) -> list[tuple[str, str]]:
    """Schedules of these plugins whose time has come."""
    query = (
        select(ScheduleRow.plugin_id, ScheduleRow.id)
        .where(col(ScheduleRow.next_at) <= now(), col(ScheduleRow.plugin_id).in_(plugins))
        .order_by(col(ScheduleRow.next_at))
        .limit(DUE_AT_ONCE)
    )
    return [(plugin_id, schedule) for plugin_id, schedule in (await session.exec(query)).all()]


class Schedules:
    """The schedules of one plugin within one transaction."""

    def __init__(self, session: AsyncSession, plugin_id: str) -> None:
        self._session = session
        self._plugin_id = plugin_id

    async def all(self) -> list[ScheduleStatus]:
        """Every schedule, by id."""
        query = select(ScheduleRow).where(col(ScheduleRow.plugin_id) == self._plugin_id).order_by(col(ScheduleRow.id))
        found = []
        for row in (await self._session.exec(query)).all():
            last = await self.runs(row.id, before=None, limit=1)
            found.append(
                ScheduleStatus.model_validate(
                    {
                        **row.model_dump(exclude={"running"}),
                        "running": str(row.running) if row.running else None,
                        "last": run_view(last[0]) if last else None,
                    }
                )
            )
        return found

    async def runs(self, schedule: str, *, before: uuid.UUID | None, limit: int) -> Sequence[ScheduleRunRow]:
        """Runs of a schedule, newest first."""
        query = (
            select(ScheduleRunRow)
            .where(col(ScheduleRunRow.plugin_id) == self._plugin_id, col(ScheduleRunRow.schedule) == schedule)
            .order_by(col(ScheduleRunRow.id).desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(col(ScheduleRunRow.id) < before)
        return (await self._session.exec(query)).all()

    async def exists(self, schedule: str) -> None:
        """Raises: NotFoundError: the plugin has no such schedule."""
        if await self._session.get(ScheduleRow, (self._plugin_id, schedule)) is None:
            raise NotFoundError(f"The plugin {self._plugin_id} has no schedule {schedule[:80]!r} that is on.")

    async def run_now(self, schedule: str) -> ScheduleRunRow:
        """Start a run.

        Raises:
            NotFoundError: there is no such schedule.
            ConflictError: a run is under way.
        """
        row = await self._locked(schedule)
        if row is None:
            raise NotFoundError(f"The plugin {self._plugin_id} has no schedule {schedule[:80]!r} that is on.")
        if await self._under_way(row):
            raise ConflictError("A run of this schedule is under way; there is one at a time.")
        return await self._start(row, now(), "manual")

    async def start_due(self, schedule: str) -> None:
        """Start a run whose time has come, unless another worker did."""
        row = await self._locked(schedule)
        moment = now()
        if row is None or row.next_at is None or row.next_at > moment:
            return
        due = row.next_at
        row.next_at = next_time(row.cron, row.timezone, moment)
        self._session.add(row)
        missed = moment - due > LATE
        if missed and row.missed == "skip":
            return
        if await self._under_way(row):
            skipped = ScheduleRunRow(
                plugin_id=self._plugin_id,
                schedule=schedule,
                due=due,
                cause="time",
                state="skipped",
                finished_at=moment,
                error="The run before had not ended.",
            )
            self._session.add(skipped)
            return
        await self._start(row, due, "missed" if missed else "time")

    async def _locked(self, schedule: str) -> ScheduleRow | None:
        query = (
            select(ScheduleRow)
            .where(col(ScheduleRow.plugin_id) == self._plugin_id, col(ScheduleRow.id) == schedule)
            .with_for_update()
        )
        return (await self._session.exec(query)).one_or_none()

    async def _under_way(self, row: ScheduleRow) -> bool:
        """Whether the last run has not ended; one whose event is gone was lost, and ends here."""
        if row.running is None:
            return False
        waits = (
            select(DeliveryRow.id)
            .join(EventRow, col(DeliveryRow.event_seq) == col(EventRow.seq))
            .where(
                col(EventRow.source) == CORE_SOURCE,
                col(EventRow.id) == str(row.running),
                sa.not_(col(DeliveryRow.dead)),
            )
            .limit(1)
        )
        if (await self._session.exec(waits)).first() is not None:
            return True
        await end_run(self._session, row.running, "The plugin did not take the run.")
        return False

    async def _start(self, row: ScheduleRow, due: datetime, cause: Cause) -> ScheduleRunRow:
        run = ScheduleRunRow(plugin_id=row.plugin_id, schedule=row.id, due=due, cause=cause)
        row.running = run.id
        self._session.add(run)
        self._session.add(row)
        await self._session.flush()
        fired = ScheduleFired(schedule=row.id, run=str(run.id), due=due, cause=cause)
        target = schedule_subscriber(row.plugin_id, row.id)
        # It may have unsubscribed, when an older version of the plugin did not know the job.
        await self._session.exec(
            sa.update(SubscriberRow).where(col(SubscriberRow.name) == target).values(active=True)
        )
        await emit_all(self._session, [NewEvent(SCHEDULE_FIRED, row.id, fired.wire(), id=str(run.id), to=(target,))])
        return run


async def finish(session: AsyncSession, event: CloudEvent, error: str | None) -> None:
    """Note the end of the run that an event started, if it started one."""
    run_id = parse_id(event.id) if event.type == SCHEDULE_FIRED and event.source == CORE_SOURCE else None
    if run_id is not None:
        await end_run(session, run_id, error)


async def end_run(session: AsyncSession, run_id: uuid.UUID, error: str | None) -> None:
    """End a run and tell of it."""
    run = await session.get(ScheduleRunRow, run_id)
    if run is None or run.state != "running":
        return  # it has ended before: a start that was delivered once more ends nothing
    run.state = "done" if error is None else "failed"
    run.error = storable(error)[:500] if error else None
    run.finished_at = now()
    session.add(run)
    await session.exec(sa.update(ScheduleRow).where(col(ScheduleRow.running) == run_id).values(running=None))
    await session.flush()
    await emit(session, SCHEDULE_FINISHED, subject=run.plugin_id, data=run_view(run).wire())


async def cut_runs(session: AsyncSession) -> None:
    """Delete the history of long ago."""
    edge = now() - timedelta(days=RUNS_DAYS)
    old = sa.and_(col(ScheduleRunRow.started_at) < edge, col(ScheduleRunRow.state) != "running")
    await session.exec(sa.delete(ScheduleRunRow).where(old))
