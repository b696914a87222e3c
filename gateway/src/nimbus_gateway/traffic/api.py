"""The history of requests, for administrators."""

import time
from typing import Annotated

from fastapi import APIRouter, Query
from nimbus_sdk.contracts.inspection import Span

from nimbus_gateway.http.dependencies import AdminDep, ReadSessionDep, StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.plugins.api import plugin_or_404
from nimbus_gateway.traffic.history import PluginTraffic, Traffic, TrafficHistory

router = APIRouter(
    prefix="/api/admin", route_class=StrictRoute, tags=["plugin administration"], responses=responses(401, 403)
)

SpanQuery = Annotated[Span, Query(description="How far back.")]


@router.get("/traffic")
async def admin_traffic(_: AdminDep, session: ReadSessionDep, span: SpanQuery = "1h") -> Traffic:
    """Requests to all plugins over time, and those that were asked most. A few seconds behind, kept for a day."""
    return await TrafficHistory(session, time.time()).of_all(span)


@router.get("/plugins/{plugin_id}/traffic", responses=responses(404))
async def admin_plugins_traffic(
    *, plugin_id: PlainText, _: AdminDep, state: StateDep, session: ReadSessionDep, span: SpanQuery = "1h"
) -> PluginTraffic:
    """Requests to a plugin over time: errors by cause, and latencies. A few seconds behind, kept for a day."""
    plugin_or_404(state, plugin_id)
    return await TrafficHistory(session, time.time()).of_plugin(plugin_id, span)
