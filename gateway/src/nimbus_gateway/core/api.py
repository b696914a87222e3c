"""The core's listener: what plugins call, at `/core/v1`."""

from fastapi import APIRouter, Depends, FastAPI
from nimbus_sdk.contracts.core_api import Self_
from nimbus_sdk.contracts.identity import KeySet

from nimbus_gateway.core.calls.api import router as calls_router
from nimbus_gateway.core.config.api import router as config_router
from nimbus_gateway.core.downloads.api import downloads_router, report_router
from nimbus_gateway.core.events.api import router as events_router
from nimbus_gateway.core.kv.api import router as kv_router
from nimbus_gateway.core.logs.api import router as logs_router
from nimbus_gateway.core.media.api import media_router
from nimbus_gateway.core.plugin_caller import PluginDep, plugin_with
from nimbus_gateway.core.schedules.api import router as schedules_router
from nimbus_gateway.http.application import build_application
from nimbus_gateway.http.dependencies import StateDep
from nimbus_gateway.http.parameters import refuse_unknown_parameters
from nimbus_gateway.http.problems import responses
from nimbus_gateway.state import GatewayState

_router = APIRouter(prefix="/core/v1")


@_router.get("/self", tags=["self"], responses=responses(401, 429))
async def self_get(plugin: PluginDep, state: StateDep) -> Self_:
    """The calling plugin as the core knows it."""
    return Self_(
        id=plugin.detail.id,
        version=plugin.detail.version,
        permissions=sorted(plugin.grants),
        instance=state.settings.instance,
    )


@_router.get("/keys", tags=["keys"])
async def keys_list(state: StateDep) -> KeySet:
    """The keys that identity tokens may be signed with. Public."""
    return state.signer.key_set()


def build_core_api(state: GatewayState) -> FastAPI:
    """The application of the core listener."""
    app = build_application(
        state,
        title="Nimbus core",
        description="What plugins call, with `Authorization: Bearer <plugin token>`.",
        openapi_url="/core/v1/openapi.json",
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    app.include_router(_router)
    app.include_router(config_router)
    app.include_router(report_router)  # before the actions, whose path would take it
    app.include_router(
        downloads_router(
            "/core/v1/downloads", reader=plugin_with("downloads:read"), writer=plugin_with("downloads:write")
        )
    )
    app.include_router(events_router)
    app.include_router(kv_router)
    app.include_router(calls_router)
    app.include_router(logs_router)
    app.include_router(schedules_router)
    app.include_router(
        media_router("/core/v1/media", reader=plugin_with("media:read"), writer=plugin_with("media:write"))
    )
    return app
