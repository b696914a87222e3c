"""How a plugin fares, for administrators: the doctor, what it uses, and its log as a file."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from nimbus_sdk.contracts.control import MOST_LOG_LINES
from nimbus_sdk.contracts.core_api import LogLevel
from nimbus_sdk.contracts.inspection import Diagnosis, PluginMetrics, Span

from nimbus_gateway.http.dependencies import AdminDep, StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.plugins.api import plugin_or_404
from nimbus_gateway.plugins.log_lines import LogFilter
from nimbus_gateway.plugins.logs import LogFollower

router = APIRouter(
    prefix="/api/admin/plugins",
    route_class=StrictRoute,
    tags=["plugin administration"],
    responses=responses(401, 403, 404, 503),
)


@router.get("/{plugin_id}/doctor")
async def admin_plugins_doctor(plugin_id: PlainText, _: AdminDep, state: StateDep) -> Diagnosis:
    """Walk the hops from the plugin's image to its permissions; names the first that fails and what to do.

    Looks now, and takes a few seconds while the plugin runs. Nothing is changed.
    """
    plugin_or_404(state, plugin_id)
    return await state.registry.doctor(plugin_id)


@router.get("/{plugin_id}/metrics")
async def admin_plugins_metrics(
    *,
    plugin_id: PlainText,
    _: AdminDep,
    state: StateDep,
    span: Annotated[Span, Query(description="How far back.")] = "1h",
) -> PluginMetrics:
    """What the plugin uses now, its limits, and what it used over time."""
    plugin_or_404(state, plugin_id)
    return await state.registry.metrics(plugin_id, span)


@router.get(
    "/{plugin_id}/logs/download",
    response_class=Response,
    responses={200: {"description": "One line each", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def admin_plugins_logs_download(
    plugin_id: PlainText,
    _: AdminDep,
    state: StateDep,
    level: Annotated[LogLevel | None, Query(description="Lines of this level and more urgent ones.")] = None,
    q: Annotated[PlainText, Query(description="Lines that hold this text, in any case.")] = "",
) -> Response:
    """The plugin's log as a text file: time, where it came from, text.

    It holds the newest 5000 lines that the plugin printed, and as many that it sent.
    """
    plugin_or_404(state, plugin_id)
    follower = LogFollower(state, plugin_id, tail=2 * MOST_LOG_LINES, seen=None, wanted=LogFilter(level, q))
    lines = await follower.beginning()
    text = "".join(f"{line.at or '-'} {line.stream} {line.text}\n" for line in lines)
    disposition = f'attachment; filename="{plugin_id}.log"'
    return Response(text, media_type="text/plain", headers={"content-disposition": disposition})
