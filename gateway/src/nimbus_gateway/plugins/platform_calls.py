"""The management listener: calls that the registry asks the gateway to make on plugins, and metrics.

Only the gateway talks to plugins, so what is probed is the path that users take.
"""

import asyncio

from fastapi import Depends, FastAPI, Request, Response
from nimbus_sdk.contracts.control import (
    LifecycleRequest,
    LifecycleResult,
    ProbeRequest,
    ProbeResult,
    UiFetchRequest,
    UiFetchResult,
)
from nimbus_sdk.contracts.plugin_api import HEALTH_PATH, LIFECYCLE_PATH, Health
from pydantic import ValidationError as ModelError

from nimbus_gateway.core.config.control_api import settings_calls
from nimbus_gateway.errors import UnauthenticatedError
from nimbus_gateway.http.problems import add_error_handlers
from nimbus_gateway.metrics import render_metrics
from nimbus_gateway.plugins.plugin_metrics import render_plugin_metrics
from nimbus_gateway.plugins.ui_assets import UiRefusedError, fetch_ui
from nimbus_gateway.proxy.failures import UpstreamConnectError, UpstreamError
from nimbus_gateway.service_token import bearer_matches
from nimbus_gateway.state import GatewayState

MAX_ANSWER = 64 * 1024
_OK = 200
_NOT_INTERESTED = 404


async def probe(state: GatewayState, request: ProbeRequest) -> ProbeResult:
    """Call a plugin's health endpoint; never raises, the result says what came of it."""
    address = (request.upstream.host, request.upstream.port)
    headers = [(b"x-nimbus-identity", state.signer.platform_token(request.plugin_id).encode())]
    try:
        answer = await state.upstreams.fetch(
            address, "GET", HEALTH_PATH, headers, timeout=request.timeout, limit=MAX_ANSWER
        )
    except UpstreamConnectError as error:
        return ProbeResult(ok=False, hop=error.hop, detail=str(error))
    except UpstreamError as error:
        return ProbeResult(ok=False, hop="http", detail=str(error))
    try:
        health = Health.model_validate_json(answer.body)
    except ModelError:
        health = None
    if answer.status != _OK:
        detail = f"GET {HEALTH_PATH} answered {answer.status}"
        if health is not None and (failed := [check for check in health.checks if check.status == "failed"]):
            detail += ": " + "; ".join(f"{check.name}: {check.detail or 'failed'}" for check in failed)
        return ProbeResult(ok=False, status=answer.status, hop="http", detail=detail, health=health)
    if health is None:
        detail = f'GET {HEALTH_PATH} must answer JSON such as {{"status": "ok", "contract": [1]}}'
        return ProbeResult(ok=False, status=answer.status, hop="handshake", detail=detail)
    return ProbeResult(ok=True, status=answer.status, health=health)


async def deliver_lifecycle(state: GatewayState, request: LifecycleRequest) -> LifecycleResult:
    """Deliver a lifecycle event; 404 means that the plugin is not interested."""
    address = (request.upstream.host, request.upstream.port)
    headers = [
        (b"x-nimbus-identity", state.signer.platform_token(request.plugin_id).encode()),
        (b"content-type", b"application/json"),
    ]
    body = request.event.model_dump_json(by_alias=True, exclude_none=True).encode()
    try:
        answer = await state.upstreams.fetch(
            address, "POST", LIFECYCLE_PATH, headers, body=body, timeout=request.timeout, limit=MAX_ANSWER
        )
    except UpstreamError as error:
        return LifecycleResult(ok=False, detail=str(error))
    if answer.status // 100 == _OK // 100 or answer.status == _NOT_INTERESTED:
        return LifecycleResult(ok=True, status=answer.status)
    text = answer.body[:500].decode("utf-8", "replace")
    return LifecycleResult(
        ok=False, status=answer.status, detail=f"POST {LIFECYCLE_PATH} answered {answer.status}: {text}"
    )


async def fetch_plugin_ui(state: GatewayState, request: UiFetchRequest) -> UiFetchResult:
    """Fetch and keep the UI files of a plugin's version."""
    try:
        assets = await fetch_ui(
            state.upstreams,
            state.assets,
            (request.upstream.host, request.upstream.port),
            token=state.signer.platform_token(request.plugin_id),
            bundle=request.bundle,
            timeout=request.timeout,
        )
    except UiRefusedError as error:
        return UiFetchResult(ok=False, detail=str(error), errors=error.errors)
    except (UpstreamError, OSError) as error:
        return UiFetchResult(ok=False, detail=str(error))
    return UiFetchResult(ok=True, assets=assets)


def build_management_api(state: GatewayState, token: str) -> FastAPI:
    """The application of the management listener."""
    app = FastAPI(title="Nimbus gateway, management", openapi_url=None, docs_url=None, redoc_url=None)

    add_error_handlers(app)

    def authenticated(request: Request) -> None:
        if not bearer_matches(request.headers.get("authorization"), token):
            raise UnauthenticatedError("the management API needs the service token")

    needed = [Depends(authenticated)]
    app.include_router(settings_calls(state), dependencies=needed)

    @app.post("/internal/v1/probe", dependencies=needed)
    async def _probe(body: ProbeRequest) -> ProbeResult:
        return await probe(state, body)

    @app.post("/internal/v1/lifecycle", dependencies=needed)
    async def _lifecycle(body: LifecycleRequest) -> LifecycleResult:
        return await deliver_lifecycle(state, body)

    @app.post("/internal/v1/ui", dependencies=needed)
    async def _ui(body: UiFetchRequest) -> UiFetchResult:
        return await fetch_plugin_ui(state, body)

    @app.get("/metrics")
    async def _metrics() -> Response:
        plugins = await render_plugin_metrics(state)
        state.metrics.flush()
        body, kind = await asyncio.to_thread(render_metrics)
        return Response(body + plugins, headers={"content-type": kind})

    @app.get("/healthz")
    async def _health() -> dict[str, str]:
        return {"status": "ok"}

    return app
