"""What the registry asks about the settings of plugins: it decides about versions, the settings are kept here."""

from fastapi import APIRouter
from nimbus_sdk.contracts.control import SettingsCheck, SettingsChecked, SettingsSwitch, SettingsSwitched

from nimbus_gateway.core.config.schema import defaults, unfit_settings
from nimbus_gateway.core.config.service import PluginSettings
from nimbus_gateway.core.config.turns import aside
from nimbus_gateway.core.config.versions import switch_settings
from nimbus_gateway.state import GatewayState


def settings_calls(state: GatewayState) -> APIRouter:
    """The calls, for the management listener."""
    router = APIRouter(prefix="/internal/v1/settings")

    @router.post("/switch")
    async def _switch(body: SettingsSwitch) -> SettingsSwitched:
        async with state.database.write() as session:
            return SettingsSwitched(changed=await switch_settings(session, body))

    @router.post("/check")
    async def _check(body: SettingsCheck) -> SettingsChecked:
        schema = body.settings_schema
        async with state.database.read() as session:
            stored = await PluginSettings(session, state.accounts.box, body.plugin_id, schema).stored()
        return SettingsChecked(
            problems=await aside(body.plugin_id, unfit_settings, schema, defaults(schema) | stored)
        )

    return router
