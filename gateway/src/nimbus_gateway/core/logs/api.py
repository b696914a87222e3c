"""Where plugins send their log lines."""

from fastapi import APIRouter, Response
from nimbus_sdk.contracts.core_api import LogBatch

from nimbus_gateway.core.logs.service import PluginLogs
from nimbus_gateway.core.plugin_caller import PluginDep
from nimbus_gateway.http.dependencies import SessionDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

router = APIRouter(prefix="/core/v1/logs", route_class=StrictRoute, tags=["logs"], responses=responses(401, 429))


@router.post("", status_code=202, response_class=Response)
async def logs_add(body: LogBatch, plugin: PluginDep, session: SessionDep) -> Response:
    """Store a batch of lines; the newest 5000 of each plugin are kept."""
    await PluginLogs(session, plugin.detail.id).add(body.entries)
    return Response(status_code=202)
