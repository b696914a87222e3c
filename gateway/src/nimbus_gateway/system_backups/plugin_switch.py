"""Switching all plugins off for a restore, and on again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from nimbus_sdk.contracts.snapshot import PluginDetail

from nimbus_gateway.backups.installation import SERVED_SECONDS
from nimbus_gateway.errors import ConflictError, GatewayError, RegistryUnavailableError
from nimbus_gateway.state import GatewayState

STOP_SECONDS: Final = 60
_RETRIES: Final = 3
_RETRY_SECONDS: Final = 1.0
_PASSING: Final = frozenset({429, 502, 503, 504})

log = structlog.get_logger("nimbus.backups")


def why(error: GatewayError) -> str:
    """The reason of an error as a sentence. Pure."""
    text = str(error.detail or error.title)
    return text if text.endswith((".", "!", "?")) else f"{text}."


@dataclass(frozen=True, slots=True)
class LeftOff:
    """A plugin that is to be on and is not. `passing`: it may be possible in a moment."""

    reason: str
    passing: bool


@dataclass(frozen=True, slots=True)
class PluginSwitch:
    """Stops and starts plugins; `cause` is who asked."""

    state: GatewayState
    cause: str

    async def stop(self, plugins: Sequence[PluginDetail]) -> None:
        """Disable them, so that none writes from now on.

        Raises:
            ConflictError: one does not stop; those before it are off.
            GatewayError: the registry refuses.
        """
        for plugin in plugins:
            result = await self.state.registry.disable(plugin.id, self.cause, STOP_SECONDS, cascade=True)
            served = result.settled and await self.state.snapshots.wait_for(result.generation, SERVED_SECONDS)
            if not served:
                raise ConflictError(f"{plugin.name} has not stopped within {STOP_SECONDS} seconds.")
        await self.check_off()

    async def check_off(self) -> None:
        """See that nobody has enabled one meanwhile.

        Raises:
            ConflictError: somebody has.
            RegistryUnavailableError: the registry does not answer.
        """
        if on := [one for one in await self.state.registry.plugins() if one.enabled]:
            raise ConflictError(f"{', '.join(one.name for one in on)} was enabled meanwhile.")

    async def start(self, wanted: Sequence[str]) -> dict[str, LeftOff]:
        """Enable plugins, those that others need first, without waiting until they run; which are not, and why."""
        left, found = list(wanted), dict[str, LeftOff]()
        for _ in range(_RETRIES):
            while left:
                found = await self._pass(left)
                if len(found) == len(left):
                    break
                left = list(found)
            if not any(one.passing for one in found.values()):
                break
            await asyncio.sleep(_RETRY_SECONDS)
        return found

    async def _pass(self, left: Sequence[str]) -> dict[str, LeftOff]:
        found = dict[str, LeftOff]()
        for number, plugin_id in enumerate(left):
            try:
                await self.state.registry.enable(plugin_id, self.cause, 0)
            except RegistryUnavailableError as error:
                return found | dict.fromkeys(left[number:], LeftOff(why(error), passing=True))
            except GatewayError as error:
                found[plugin_id] = LeftOff(why(error), error.status in _PASSING)
            except Exception:
                log.exception("a plugin could not be enabled", plugin=plugin_id)
                found[plugin_id] = LeftOff("The gateway's log says why.", passing=False)
        return found
