"""What this instance made and nothing needs any more: found at the start and hourly, listed, then removed.

Images that it built, and copies of plugins' data that no version and no change under way goes back to: one is left
when the engine or the database was away at the moment it should have gone.

What containers and networks an unknown plugin left behind goes with the reconciler's pass (`Reconciler._sweep`): they
take addresses and memory. An image or a copy only takes disk; so it is removed by the second look, an hour after it
was listed, or when a person says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, Literal

import structlog
from nimbus_sdk.contracts.inspection import Orphan, OrphanList

from nimbus_registry.database import utcnow
from nimbus_registry.errors import BusyError, DatabaseUnavailableError
from nimbus_registry.lifecycle.reservation import is_free, reserved
from nimbus_registry.runtime.base import Runtime, RuntimeFailure
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 3600.0
_DEADLINE: Final = 60.0


def needed_images(records: Iterable[PluginRecord]) -> frozenset[str]:
    """Names and pins of every image that a known plugin runs by or may be rolled back to. Pure."""
    needed: set[str | None] = set()
    for record in records:
        if record.manifest is not None:
            needed.add(record.manifest.runtime.image)
        needed.add(record.installation.pin)
        for version in record.installation.kept:
            needed |= {version.pin, version.manifest.runtime.image}
    return frozenset(name for name in needed if name)


def needed_copies(record: PluginRecord) -> frozenset[str]:
    """Names of the copies of a plugin's data that it may be given back. Pure."""
    installation = record.installation
    needed = {version.snapshot for version in installation.kept}
    needed.add(installation.under_way.snapshot if installation.under_way is not None else None)
    needed.add(record.next.snapshot if record.next is not None else None)
    return frozenset(name for name in needed if name)


@dataclass(frozen=True, slots=True)
class Unneeded:
    """Something that may go: what it is, and how it is removed."""

    key: str
    name: str
    remove: Callable[[], Awaitable[None]]
    size: int | None = None
    plugin_id: str | None = None

    def orphan(self, at: datetime) -> Orphan:
        """As people see it; `at` is when it was listed."""
        kind: Literal["image", "copy"] = "image" if self.plugin_id is None else "copy"
        return Orphan(kind=kind, name=self.name, plugin_id=self.plugin_id, size=self.size, listed_at=at)


@dataclass(slots=True)
class Garbage:
    """Finds and removes what nothing needs. Use `run` inside a task of its own; it ends only by cancellation."""

    ledger: Ledger
    runtime: Runtime
    _listed: dict[str, tuple[Unneeded, datetime]] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Look now and every hour."""
        while True:
            try:
                await self.collect()
            except (RuntimeFailure, TimeoutError) as error:
                log.warning("what is unused could not be looked for", error=str(error))
            except Exception:
                log.exception("collecting what is unused failed")  # a mistake of ours must not end the registry
            await asyncio.sleep(EVERY_SECONDS)

    async def collect(self) -> OrphanList:
        """Remove what was listed before and is still unused; list what is new.

        Raises:
            RuntimeFailure: the engine does not answer.
        """
        async with self._looking, asyncio.timeout(_DEADLINE):
            found = [*await self._images(), *await self._copies()]
            known, self._listed = self._listed, {}
            removed = []
            for one in found:
                _, listed_at = known.get(one.key, (one, None))
                if listed_at is None:
                    self._listed[one.key] = (one, utcnow())
                    log.info("something is unused; it is removed an hour from now", name=one.name, size=one.size)
                elif await self._remove(one):
                    removed.append(one.orphan(listed_at))
                else:
                    self._listed[one.key] = (one, listed_at)
            return OrphanList(items=self.listed().items, removed=removed)

    async def _images(self) -> list[Unneeded]:
        images = await self.runtime.unused_images(needed_images(self.ledger.records.values()))
        return [
            Unneeded(f"image {image.id}", image.name, partial(self.runtime.remove_image, image.id), image.size)
            for image in images
        ]

    async def _copies(self) -> list[Unneeded]:
        """Copies of known plugins. Those of others belong to data that were kept when a plugin was uninstalled."""
        return [
            Unneeded(f"copy {plugin_id}/{name}", name, partial(self._drop, record, name), plugin_id=plugin_id)
            for plugin_id, names in sorted((await self.runtime.data_copies()).items())
            if (record := self.ledger.records.get(plugin_id)) is not None and is_free(record)
            for name in sorted(names - needed_copies(record))
        ]

    async def _drop(self, record: PluginRecord, name: str) -> None:
        """Delete a copy, unless it is needed after all; while that happens nothing is begun that would need it.

        Raises:
            BusyError, DatabaseUnavailableError, RuntimeFailure: it stays.
        """
        with reserved(record, "clean-up"):
            # What the database says is what a registry that is killed now goes by.
            await self.ledger.flush()
            if name in needed_copies(record):
                raise BusyError(f"{record.name} needs the copy {name} after all.")
            await self.runtime.drop_snapshot(record.id, name)

    async def _remove(self, one: Unneeded) -> bool:
        try:
            await one.remove()
        except (RuntimeFailure, BusyError, DatabaseUnavailableError) as error:
            log.warning("something unused could not be removed", name=one.name, error=str(error))
            return False
        log.info("removed something unused", name=one.name, size=one.size)
        return True

    def listed(self) -> OrphanList:
        """What goes with the next look."""
        return OrphanList(items=[one.orphan(at) for one, at in self._listed.values()])
