"""Finding the plugins that can do something."""

from typing import Annotated

from fastapi import APIRouter, Query
from nimbus_sdk.contracts.calls import CallablePlugin, CallablePluginList
from nimbus_sdk.contracts.snapshot import SERVING_STATES

from nimbus_gateway.core.permissions import granted
from nimbus_gateway.core.plugin_caller import PluginDep
from nimbus_gateway.http.dependencies import StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

router = APIRouter(
    prefix="/core/v1/plugins", route_class=StrictRoute, tags=["plugins"], responses=responses(401, 429)
)


@router.get("")
async def plugins_find(
    plugin: PluginDep,
    state: StateDep,
    capability: Annotated[
        PlainText | None, Query(description="Only plugins with this capability, such as `downloader`.")
    ] = None,
) -> CallablePluginList:
    """The other plugins that are on, by id: who can do something?"""
    found = []
    for plugin_id, other in sorted(state.snapshots.current.plugins.items()):
        manifest = other.detail.manifest
        capabilities = manifest.capabilities if manifest else []
        if not other.detail.enabled or plugin_id == plugin.detail.id:
            continue
        if capability is not None and capability not in capabilities:
            continue
        found.append(
            CallablePlugin(
                id=plugin_id,
                name=other.detail.name,
                version=other.detail.version,
                capabilities=capabilities,
                ready=other.detail.state in SERVING_STATES,
                callable=granted(f"plugins:call:{plugin_id}", plugin.grants),
            )
        )
    return CallablePluginList(items=found)
