"""What a plugin does with its own settings."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from nimbus_sdk.contracts.core_api import ConfigDocument, ConfigKey, ConfigValue
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.config.service import PluginSettings
from nimbus_gateway.core.media.api import IfMatch
from nimbus_gateway.core.plugin_caller import PluginDep
from nimbus_gateway.http.dependencies import ReadSessionDep, SessionDep, StateDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.state import GatewayState

router = APIRouter(prefix="/core/v1/config", route_class=StrictRoute, tags=["config"], responses=responses(401, 429))

Key = Annotated[ConfigKey, Path()]


def settings_of(session: AsyncSession, state: GatewayState, plugin: SnapshotPlugin) -> PluginSettings:
    """The settings of a plugin, with the schema of the version that runs."""
    manifest = plugin.detail.manifest
    schema = manifest.settings if manifest else None
    return PluginSettings(session, state.accounts.box, plugin.detail.id, schema)


@router.get("")
async def config_list(plugin: PluginDep, state: StateDep, session: ReadSessionDep) -> ConfigDocument:
    """All own settings, with the schema's defaults for those that are not set."""
    return ConfigDocument(values=await settings_of(session, state, plugin).all())


@router.get("/{key}", responses=responses(404))
async def config_get(
    key: Key, response: Response, plugin: PluginDep, state: StateDep, session: ReadSessionDep
) -> ConfigValue:
    """One own setting, or its default."""
    found = await settings_of(session, state, plugin).get(key)
    response.headers["ETag"] = found.etag
    return ConfigValue(value=found.value)


@router.put("/{key}", responses=responses(409, 412))
async def config_set(
    *,
    key: Key,
    body: ConfigValue,
    response: Response,
    plugin: PluginDep,
    state: StateDep,
    session: SessionDep,
    if_match: IfMatch = None,
) -> ConfigValue:
    """Store one own setting, checked against the manifest."""
    settings = settings_of(session, state, plugin)
    stored = await settings.set(key, body.value, by=f"plugin:{plugin.detail.id}", if_match=if_match)
    response.headers["ETag"] = stored.etag
    return ConfigValue(value=stored.value)


@router.delete("/{key}", status_code=204, responses=responses(412))
async def config_delete(
    key: Key, plugin: PluginDep, state: StateDep, session: SessionDep, if_match: IfMatch = None
) -> None:
    """Go back to the default. Also right when it was not set."""
    await settings_of(session, state, plugin).delete(key, if_match=if_match)
