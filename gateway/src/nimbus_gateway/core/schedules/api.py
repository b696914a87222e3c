"""A plugin's own schedules, and all of them for administrators."""

from fastapi import APIRouter
from nimbus_sdk.contracts.schedules import ScheduleList, ScheduleRun, ScheduleRunPage

from nimbus_gateway.core.plugin_caller import PluginDep
from nimbus_gateway.core.schedules.service import Schedules, run_view
from nimbus_gateway.http.dependencies import AdminDep, AuditDep, CursorDep, LimitDep, ReadSessionDep, SessionDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

router = APIRouter(
    prefix="/core/v1/schedules", route_class=StrictRoute, tags=["schedules"], responses=responses(401, 429)
)


@router.get("")
async def schedules_list(plugin: PluginDep, session: ReadSessionDep) -> ScheduleList:
    """Own schedules, as the manifest declares them, with their next time and last run."""
    return ScheduleList(items=await Schedules(session, plugin.detail.id).all())


@router.post("/{schedule}/run", status_code=202, responses=responses(404, 409))
async def schedules_run(schedule: PlainText, plugin: PluginDep, session: SessionDep) -> ScheduleRun:
    """Run an own schedule now."""
    return run_view(await Schedules(session, plugin.detail.id).run_now(schedule))


@router.get("/{schedule}/runs", responses=responses(404))
async def schedules_runs(
    schedule: PlainText, plugin: PluginDep, session: ReadSessionDep, cursor: CursorDep, limit: LimitDep = 50
) -> ScheduleRunPage:
    """Runs of an own schedule, newest first; kept for 30 days."""
    found = Schedules(session, plugin.detail.id)
    await found.exists(schedule)
    rows = await found.runs(schedule, before=cursor, limit=limit + 1)
    more = str(rows[limit - 1].id) if len(rows) > limit else None
    return ScheduleRunPage(items=[run_view(row) for row in rows[:limit]], next=more)


admin_router = APIRouter(
    prefix="/api/admin/plugins/{plugin_id}/schedules",
    route_class=StrictRoute,
    tags=["plugin administration"],
    responses=responses(401, 403),
)


@admin_router.get("")
async def admin_schedules_list(plugin_id: PlainText, _: AdminDep, session: ReadSessionDep) -> ScheduleList:
    """The plugin's schedules, with their next time and last run."""
    return ScheduleList(items=await Schedules(session, plugin_id).all())


@admin_router.post("/{schedule}/run", status_code=202, responses=responses(404, 409))
async def admin_schedules_run(
    plugin_id: PlainText, schedule: PlainText, admin: AdminDep, session: SessionDep, audit: AuditDep
) -> ScheduleRun:
    """Run a schedule now."""
    run = await Schedules(session, plugin_id).run_now(schedule)
    audit.write(session, "schedule.run", admin, f"plugin:{plugin_id}", schedule=schedule)
    return run_view(run)


@admin_router.get("/{schedule}/runs", responses=responses(404))
async def admin_schedules_runs(
    *,
    plugin_id: PlainText,
    schedule: PlainText,
    _: AdminDep,
    session: ReadSessionDep,
    cursor: CursorDep,
    limit: LimitDep = 50,
) -> ScheduleRunPage:
    """Runs of a schedule, newest first; kept for 30 days."""
    found = Schedules(session, plugin_id)
    await found.exists(schedule)
    rows = await found.runs(schedule, before=cursor, limit=limit + 1)
    more = str(rows[limit - 1].id) if len(rows) > limit else None
    return ScheduleRunPage(items=[run_view(row) for row in rows[:limit]], next=more)
