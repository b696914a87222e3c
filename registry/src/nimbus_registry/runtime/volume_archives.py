"""Copies of a plugin's data volume as archives: the engine reads and fills them through a container never started."""

import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final

import docker
from docker.errors import APIError
from nimbus_sdk.contracts.archive import ArchiveError, Source

from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.data_archive import of_engine, owned
from nimbus_registry.runtime.data_folder import unreadable, unwritable
from nimbus_registry.runtime.docker_engine import Engine, create_container, explain, raise_for_status
from nimbus_registry.runtime.docker_stream import StreamClient
from nimbus_registry.runtime.spec import DATA_MOUNT, PLUGIN_UID, Names, archive_options
from nimbus_registry.runtime.volumes import Volumes

FILL_SECONDS: Final = 1800.0


class VolumeArchives:
    """Archives of copies of data volumes."""

    def __init__(self, engine: Engine, volumes: Volumes) -> None:
        self._engine = engine
        self._volumes = volumes

    async def export(
        self, names: Names, name: str, image: str | None, most_bytes: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """A copy as an archive.

        Raises:
            RuntimeFailure: there is no such copy, or it cannot be read.
        """
        await self._volumes.check_snapshot(names, name)
        async with self._container(names, name, image, read_only=True) as container:
            try:
                async with aclosing(
                    self._engine.stream(lambda client: _read(client, container, most_bytes))
                ) as pieces:
                    async for piece in pieces:
                        yield piece
            except (APIError, tarfile.TarError, ArchiveError) as error:
                raise unreadable(error) from error

    async def take_in(
        self, names: Names, name: str, archive: Source, image: str | None, most_bytes: int | None = None
    ) -> None:
        """Fill a copy from an archive, whole or not at all.

        Raises:
            ArchiveError: it is none.
            RuntimeFailure: it could not be written.
        """
        await self._volumes.drop_snapshot(names, name)
        try:
            async with self._container(names, name, image, read_only=False) as container:
                await self._engine.call(lambda api: _fill(api, container, archive, most_bytes), deadline=FILL_SECONDS)
        except BaseException as error:
            with suppress(RuntimeFailure):  # the next one replaces it; what went wrong before is told
                await self._volumes.drop_snapshot(names, name)
            if isinstance(error, APIError):
                raise unwritable(explain(error)) from error
            raise

    @asynccontextmanager
    async def _container(self, names: Names, name: str, image: str | None, *, read_only: bool) -> AsyncIterator[str]:
        used = await self._volumes.helper_image() or image
        if used is None:
            raise RuntimeFailure(
                "init",
                "snapshot-failed",
                "The plugin's data cannot be reached: there is no image for the helper.",
                hint="Enable the plugin once, or set NIMBUS_HELPER_IMAGE to any image that is here.",
            )
        options = archive_options(names, image=used, volume=names.snapshot(name), read_only=read_only)
        await self._volumes.remove_container(names, names.archiver)
        try:
            await self._engine.call(lambda api: create_container(api, options, names.archiver))
            # By its name, not its id: the socket proxy lets files be written into containers of this name only.
            yield names.archiver
        finally:
            with suppress(APIError, RuntimeFailure):  # it was never started, and the next one takes its place
                await self._volumes.remove_container(names, names.archiver)


def _read(client: StreamClient, container: str, most_bytes: int | None) -> Iterator[bytes]:
    url = f"{client.base_url}/v{client.api_version}/containers/{container}/archive"
    head = {"Accept-Encoding": "identity"}
    with client.get(url, params={"path": DATA_MOUNT}, headers=head, stream=True, timeout=client.timeout) as response:
        raise_for_status(response)
        yield from of_engine(response.raw, most_bytes)


def _fill(api: docker.APIClient, container: str, archive: Source, most_bytes: int | None) -> None:
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    pieces = owned(archive, PLUGIN_UID, most_bytes)
    with api.put(url, params={"path": DATA_MOUNT}, data=pieces, timeout=FILL_SECONDS) as response:
        raise_for_status(response)
