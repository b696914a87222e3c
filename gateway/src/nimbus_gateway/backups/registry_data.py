"""The registry's calls about the data of plugins, as the gateway makes them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from nimbus_sdk.contracts.backup import BACKUP_MEDIA_TYPE
from nimbus_sdk.contracts.control import ChangeResult

from nimbus_gateway.registry_answers import read_answer
from nimbus_gateway.registry_client import RegistryClient, plugin_path

CHANGE_SECONDS: Final = 480.0
"""To stop a plugin, copy its data and start it again; the registry's own deadline is shorter."""


@dataclass(frozen=True, slots=True)
class RegistryData:
    """Both raise what `RegistryClient.call` does."""

    client: RegistryClient

    async def copied(self, plugin_id: str, cause: str) -> AsyncIterator[bytes]:
        """A copy of the data as an archive; the plugin is stopped while it is made."""
        path = f"{plugin_path(plugin_id)}/data/copy"
        async with self.client.streamed("POST", path, params={"cause": cause}, timeout=CHANGE_SECONDS) as pieces:
            async for piece in pieces:
                yield piece

    async def replaced(self, plugin_id: str, archive: Iterator[bytes], cause: str) -> ChangeResult:
        """Put the data of an archive in the place of the plugin's own, all of them or none."""
        return await self._upload(plugin_id, archive, {"cause": cause})

    async def _upload(self, plugin_id: str, archive: Iterator[bytes], params: Mapping[str, str]) -> ChangeResult:
        response = await self.client.upload(
            "PUT",
            f"{plugin_path(plugin_id)}/data",
            _in_thread(archive),
            params=params,
            media_type=BACKUP_MEDIA_TYPE,
            timeout=CHANGE_SECONDS,
        )
        return read_answer(ChangeResult, response)

    async def placed(self, plugin_id: str, archive: Iterator[bytes] | None, cause: str) -> None:
        """Stop the plugin and put the data of an archive in the place of its own; without one only stop it.

        It stays so until `settled` says how it goes on, or until a minute is over.
        """
        if archive is None:
            path = f"{plugin_path(plugin_id)}/data/pause"
            await self.client.call("POST", path, params={"cause": cause}, timeout=CHANGE_SECONDS)
            return
        await self._upload(plugin_id, archive, {"cause": cause, "pause": "true"})

    async def settled(self, plugin_id: str, cause: str, *, keep: bool) -> ChangeResult:
        """Have the plugin start with what was put there, or with what it had before."""
        response = await self.client.call(
            "POST",
            f"{plugin_path(plugin_id)}/data/settle",
            params={"cause": cause, "keep": "true" if keep else "false"},
            timeout=CHANGE_SECONDS,
        )
        return read_answer(ChangeResult, response)


async def _in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
