"""Whether a plugin's settings fit its manifest: one that lacks some serves all the same, and says what it needs."""

import structlog
from nimbus_sdk.contracts.control import SettingsCheck
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import Reason

from nimbus_registry.gateway_client import GatewayRefusedError, GatewayUnreachableError
from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

_CALL_SECONDS = 2.0


async def look(tools: Tools, record: PluginRecord, manifest: Manifest) -> None:
    """Ask which settings are missing or do not fit, and note it. A gateway that does not answer changes nothing.

    What cannot be checked by its schema will not be at the next look either: it is noted, and asked about again when
    the settings or the version change.
    """
    if manifest.settings is None:
        record.unfit, record.unjudged = [], None
        return
    wanted = SettingsCheck.model_validate({"pluginId": record.id, "schema": manifest.settings})
    try:
        checked = await tools.gateway.check_settings(wanted, timeout=_CALL_SECONDS)
    except GatewayUnreachableError as error:
        log.info("whether the settings fit is not known", plugin=record.id, reason=str(error))
        if isinstance(error, GatewayRefusedError) and not error.later:
            record.unfit, record.unjudged = [], str(error)
        return
    record.unfit, record.unjudged = checked.problems, None


def needed(record: PluginRecord) -> Reason | None:
    """What the plugin needs to be configured, if it does."""
    if record.unjudged is not None:
        return reasons.settings_unjudged(record.unjudged)
    return reasons.needs_configuration(record.unfit) if record.unfit else None


def explained(record: PluginRecord, reason: Reason) -> Reason:
    """A failure of a plugin that lacks settings says so: it is often why."""
    if not record.unfit or reason.hop == "engine":
        return reason
    lacks = reasons.needs_configuration(record.unfit)
    hint = " ".join(filter(None, [lacks.message, lacks.hint]))
    return reason.model_copy(update={"hint": hint, "fields": lacks.fields})
