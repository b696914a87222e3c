"""The settings of a plugin go with its versions: the registry says whose they are, the gateway keeps them.

Which version is being entered is stored before the gateway is asked, so that whoever finds it undoes it.
"""

import asyncio
import time

import structlog
from nimbus_sdk.contracts.control import SettingsSwitch
from nimbus_sdk.contracts.plugin_api import LifecycleEvent

from nimbus_registry.catalog.versions import precedence
from nimbus_registry.errors import DatabaseUnavailableError
from nimbus_registry.gateway_client import GatewayUnreachableError
from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.startup import StartFailedError
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.store.candidate import Candidate
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 5.0
"""How long the gateway may take: the plugin's requests may be held meanwhile."""
AGAIN_SECONDS = 5.0
"""After so long it is tried again to undo what a version that was entered did to the settings."""
_CALL_SECONDS = 3.0
_PAUSE = 0.25


def brings_back(candidate: Candidate, current: str) -> bool:
    """Whether a version gets the settings that it was left with: one that is gone back to does. Pure.

    A newer version goes on with those of now, which a person may have changed since.
    """
    return candidate.kind == "rollback" or precedence(candidate.manifest.version) < precedence(current)


async def enter(tools: Tools, record: PluginRecord, candidate: Candidate) -> None:
    """Keep the settings with the version that runs, and have them be those of the one that is to be started.

    Raises:
        StartFailedError: they could not be kept, so the version is not to be started.
    """
    entered = candidate.manifest.version
    if candidate.same_version or entered == record.version:
        return
    record.installation.entering = entered
    wanted = SettingsSwitch(
        plugin_id=record.id,
        leaves=record.version,
        enters=entered,
        bring_back=brings_back(candidate, record.version),
        keep=[one.manifest.version for one in record.installation.kept],
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        await tools.ledger.store(record)
        while True:
            try:
                await tools.gateway.switch_settings(wanted, timeout=_CALL_SECONDS)
            except GatewayUnreachableError as error:
                if time.monotonic() >= deadline:
                    raise StartFailedError(reasons.settings_not_kept(str(error))) from error
                await asyncio.sleep(_PAUSE)
            else:
                return
    except DatabaseUnavailableError as error:
        raise StartFailedError(reasons.settings_not_kept(str(error))) from error


async def go_back(tools: Tools, record: PluginRecord) -> bool:
    """Have the settings be again what they were when a version was entered that did not become the installed one.

    What that version had is kept with it. Returns False when the gateway does not answer; it is to be tried again.
    """
    entered = record.installation.entering
    if entered is None:
        return True
    wanted = SettingsSwitch(
        plugin_id=record.id,
        leaves=entered,
        enters=record.version,
        bring_back=True,
        keep=[one.manifest.version for one in record.installation.kept],
    )
    try:
        done = await tools.gateway.switch_settings(wanted, timeout=_CALL_SECONDS)
        if done.changed and record.upstream is not None:
            event = LifecycleEvent(event="config_changed", version=record.version)
            await tools.gateway.lifecycle(record.id, record.upstream, event, timeout=_CALL_SECONDS)
    except GatewayUnreachableError as error:
        log.warning("settings are not back yet", plugin=record.id, of=record.version, reason=str(error))
        return False
    record.installation.entering = None
    tools.ledger.touch(record)
    return True
