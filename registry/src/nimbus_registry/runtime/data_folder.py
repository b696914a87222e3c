"""The data of a plugin in the process runtime, and copies of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

from nimbus_sdk.contracts.archive import ArchiveError, Source

from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.data_archive import of_folder, unpack
from nimbus_registry.runtime.settled import settled
from nimbus_registry.runtime.threads import in_thread
from nimbus_registry.runtime.trees import copy_tree, remove_tree, tree_size


class DataFolder:
    """`data` below a plugin's folder, with its copies in `snapshots`."""

    def __init__(self, root: Path) -> None:
        self._data = root / "data"
        self._snapshots = root / "snapshots"

    async def size(self) -> int:
        """Bytes that the data take on the disk."""
        return await asyncio.to_thread(tree_size, self._data)

    async def snapshot(self, name: str) -> None:
        """Copy the data under a name."""
        await asyncio.to_thread(_replace, self._data, self._snapshots / name)

    async def restore(self, name: str) -> None:
        """Make a copy the data again.

        Raises:
            RuntimeFailure: there is no such copy.
        """
        source = self._snapshots / name
        if not source.is_dir():
            raise missing(name)
        await asyncio.to_thread(_replace, source, self._data)

    async def export(self, name: str, most_bytes: int | None = None) -> AsyncGenerator[bytes, None]:
        """A copy as an archive.

        Raises:
            RuntimeFailure: there is no such copy, or it cannot be read.
        """
        source = self._snapshots / name
        if not source.is_dir():
            raise missing(name)
        try:
            async with aclosing(in_thread(of_folder(source, most_bytes))) as pieces:
                async for piece in pieces:
                    yield piece
        except (OSError, ArchiveError) as error:
            raise unreadable(error) from error

    async def take_in(self, name: str, archive: Source, most_bytes: int | None = None) -> None:
        """Make a copy from an archive, whole or not at all.

        Raises:
            ArchiveError: it is none.
            RuntimeFailure: it could not be written.
        """
        await settled(asyncio.to_thread(_unpacked, archive, self._snapshots / name, most_bytes))

    async def copies(self) -> frozenset[str]:
        """Names of the copies."""
        return await asyncio.to_thread(_names_in, self._snapshots)

    async def drop(self, name: str) -> None:
        """Delete a copy."""
        await asyncio.to_thread(remove_tree, self._snapshots / name)

    async def purge(self) -> None:
        """Delete the data and every copy.

        Raises:
            RuntimeFailure: something of them stays.
        """
        for folder in (self._data, self._snapshots):
            if folder.is_dir():
                await asyncio.to_thread(remove_tree, folder)
            if folder.is_dir():
                raise RuntimeFailure("init", "purge-failed", f"{folder} could not be deleted completely.")


def _names_in(folder: Path) -> frozenset[str]:
    with suppress(FileNotFoundError):
        return frozenset(entry.name for entry in folder.iterdir())
    return frozenset()


def unreadable(error: Exception) -> RuntimeFailure:
    """The copy is there and cannot be read to its end."""
    return RuntimeFailure("init", "snapshot-failed", f"The copy of the plugin's data could not be read: {error}")


def unwritable(error: object) -> RuntimeFailure:
    """Data that were to be restored could not be written."""
    return RuntimeFailure(
        "init",
        "restore-failed",
        f"The data to restore could not be written: {error}",
        hint="Is there room for two more copies of the plugin's data?",
    )


def missing(name: str) -> RuntimeFailure:
    """There is no copy of this name."""
    return RuntimeFailure(
        "init", "snapshot-missing", f"The copy {name!r} of the plugin's data is not there any more."
    )


def _unpacked(archive: Source, target: Path, most_bytes: int | None) -> None:
    fresh = target.with_name(f"{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in (fresh, target):
            remove_tree(old)
        unpack(archive, fresh, most_bytes)
        fresh.rename(target)
    except OSError as error:
        raise unwritable(error) from error
    finally:
        remove_tree(fresh)


def _replace(source: Path, target: Path) -> None:
    """Put a copy of a folder in the place of another, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = target.with_name(f"{target.name}.new")
    remove_tree(fresh)
    try:
        if source.is_dir():
            copy_tree(source, fresh)
        else:
            fresh.mkdir(mode=0o700)
        remove_tree(target)
        fresh.rename(target)
    except OSError as error:
        remove_tree(fresh)
        raise RuntimeFailure("init", "snapshot-failed", f"The plugin's data could not be copied: {error}") from error
