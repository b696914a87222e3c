"""Taking an installation down: nothing of a plugin stays but its data."""

import structlog

from nimbus_registry.errors import StartError
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.factory import open_runtime
from nimbus_registry.settings import RegistrySettings

log = structlog.get_logger(__name__)

_GRACE = 5.0


async def tear_down(settings: RegistrySettings) -> None:
    """Stop and remove every run, network and leftover of this instance; `enabled` and the data stay.

    Raises:
        StartError: the engine does not answer, or something could not be removed.
    """
    runtime = open_runtime(settings)
    try:
        await runtime.open()
        running = {observation.plugin_id for observation in await runtime.observe()}
        left = {found.plugin_id for found in await runtime.observe_leftovers(frozenset()) if found.plugin_id}
        failures = []
        for plugin_id in sorted(running | left):
            try:
                await runtime.stop(plugin_id, _GRACE)
                await runtime.remove(plugin_id)
            except RuntimeFailure as failure:
                # The others go all the same.
                failures.append(f"{plugin_id}: {failure.message}")
            else:
                log.info("removed", plugin=plugin_id)
        if failures:
            raise StartError("not everything was removed. " + " ".join(failures))
        log.info("nothing of a plugin runs any more", removed=len(running | left))
    except RuntimeFailure as failure:
        raise StartError(failure.message) from failure
    finally:
        await runtime.close()
