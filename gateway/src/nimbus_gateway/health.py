"""Whether the gateway is up, whether it can serve, and its metrics."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from nimbus_sdk.contracts.base import WireModel

from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.http.dependencies import StateDep, administrator_or
from nimbus_gateway.http.problems import responses
from nimbus_gateway.metrics import render_metrics
from nimbus_gateway.plugins.plugin_metrics import render_plugin_metrics
from nimbus_gateway.state import GatewayState

PING_SECONDS = 2.0

router = APIRouter(tags=["health"])


class Alive(WireModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Check(WireModel):
    """One dependency."""

    ok: bool
    detail: str | None = None


class Readiness(WireModel):
    """Whether requests can be served. `degraded`: they can, from memory, while a dependency is away."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, Check]


@router.get("/healthz")
async def health_live() -> Alive:
    """The process is up."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready"}})
async def health_ready(state: StateDep, response: Response) -> Readiness:
    """Ready to serve, with the state of each dependency. 503 until the first snapshot has come."""
    loaded = state.snapshots.loaded
    reachable = state.registry.reachable
    checks = {
        "database": await _database(state),
        "registry": Check(ok=reachable, detail=None if reachable else "not reachable"),
        "snapshot": Check(ok=loaded, detail=None if loaded else "none has come yet"),
    }
    if all(check.ok for check in checks.values()):
        return Readiness(status="ok", checks=checks)
    if loaded and not state.stopping.is_set():
        return Readiness(status="degraded", checks=checks)
    response.status_code = 503
    return Readiness(status="unavailable", checks=checks)


async def _database(state: GatewayState) -> Check:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await state.database.ping()
    except (DatabaseUnavailableError, TimeoutError):
        return Check(ok=False, detail="does not answer")
    return Check(ok=True)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **responses(401, 403),
    },
)
async def metrics_read(
    _: Annotated[Principal, Depends(administrator_or("metrics:read"))], state: StateDep
) -> Response:
    """Metrics of all workers together, and what plugins use."""
    plugins = await render_plugin_metrics(state)
    state.metrics.flush()
    body, media_type = await asyncio.to_thread(render_metrics)
    return Response(body + plugins, headers={"content-type": media_type})
