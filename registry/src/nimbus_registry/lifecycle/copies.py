"""The data of a plugin out of it and into it: the part of a backup that the registry has.

A backup stops the plugin, copies its data, and starts it again; what is handed out is the copy, so it does not matter
how slowly it is taken. A restore writes what comes into a copy first; only a whole one takes the place of the data,
as in a change of version: the plugin's requests are held, and the data as they were come back when it does not
become ready with the new ones. What the core keeps of the plugin belongs to them: so that it is replaced while the
plugin does not run, the restore pauses before the start, and the gateway says when it goes on.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Literal

import structlog
from nimbus_sdk.contracts.archive import ArchiveError, ArchiveTooLargeError, Source
from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.problem import FieldProblem

from nimbus_registry.errors import (
    BusyError,
    FetchFailedError,
    InvalidRequestError,
    PluginInvalidError,
    TooLargeError,
    UpgradeFailedError,
)
from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.observer import Observer
from nimbus_registry.lifecycle.requests import Requests
from nimbus_registry.lifecycle.reservation import reserved
from nimbus_registry.lifecycle.upgrade import OUTGOING
from nimbus_registry.runtime.base import Runtime, RuntimeFailure
from nimbus_registry.store.candidate import Candidate, Pause
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

INCOMING = "incoming"
"""Name of the copy that is being filled. One that a killed registry left is replaced by the next."""
CHANGE_SECONDS = 420.0
"""To stop the plugin, copy its data, and start it again. A restore that has not come to the end of that by then is
taken back, for whoever asked for it gives up as well."""
SETTLED_SECONDS = 10.0
_LOOK = 0.5


class Begun:
    """A stream whose first piece is here: it is known that it begins, and it ends well even when nobody reads it."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    def __aiter__(self) -> "Begun":
        return self

    async def __anext__(self) -> bytes:
        """The next piece."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        """End it."""
        await self._rest.aclose()


@dataclass(frozen=True, slots=True)
class DataCopies:
    """Hands the data of plugins out, and takes them in."""

    ledger: Ledger
    runtime: Runtime
    requests: Requests
    observer: Observer
    most_bytes: int

    async def take(self, plugin_id: str, cause: str) -> Begun:
        """Copy the data of a plugin; the copy as an archive, which is deleted when the iterator is closed.

        Raises:
            PluginNotFoundError, PluginInvalidError, InvalidRequestError: there are no data to copy.
            BusyError: something else is under way with it.
            UpgradeFailedError, FetchFailedError: they could not be copied.
        """
        outgoing = self._outgoing(self._with_data(plugin_id), cause)
        try:
            return Begun(await anext(outgoing), outgoing)
        except RuntimeFailure as failure:
            raise FetchFailedError(reasons.from_runtime(failure)) from failure

    async def _outgoing(self, record: PluginRecord, cause: str) -> AsyncGenerator[bytes, None]:
        with reserved(record, "backup"):
            await self._carry_out(record, self._candidate(record, "backup"), cause)
            try:
                copy = self.runtime.export_copy(record.id, OUTGOING, self._image(record), most_bytes=self.most_bytes)
                async with aclosing(copy) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                await self._drop(record, OUTGOING)

    async def replace(self, plugin_id: str, source: Source, cause: str, *, pause: bool = False) -> ChangeResult:
        """Put the data of an archive in the place of a plugin's own.

        With `pause` the plugin stays stopped then, until `settle` says how it goes on, for up to a minute.

        Raises:
            PluginNotFoundError, PluginInvalidError, BusyError: as for `take`.
            InvalidRequestError: it is no such archive, or the plugin keeps no data. Nothing was changed.
            TooLargeError: it holds more than a plugin may keep. Nothing was changed.
            UpgradeFailedError: the plugin did not become ready with these data; it has its own again.
            FetchFailedError: they could not be written. Nothing was changed.
        """
        record = self._with_data(plugin_id)
        with reserved(record, "restore"):
            try:
                await self.runtime.import_copy(
                    plugin_id, INCOMING, source, self._image(record), most_bytes=self.most_bytes
                )
                wanted = self._candidate(record, "restore", INCOMING, pause=Pause() if pause else None)
                await self._carry_out(record, wanted, cause)
            except ArchiveTooLargeError as error:
                raise TooLargeError(
                    f"The data to restore are more than {record.name} may keep: {error} (NIMBUS_MAX_DATA). "
                    "Nothing was changed."
                ) from error
            except ArchiveError as error:
                raise InvalidRequestError(FieldProblem(path="", message=f"an archive of data: {error}")) from error
            except RuntimeFailure as failure:
                raise FetchFailedError(reasons.from_runtime(failure)) from failure
            finally:
                await self._drop(record, INCOMING)
        if pause:
            return self._result(record, settled=False)
        log.info("data restored", plugin=plugin_id, cause=cause)
        return await self._served(record)

    async def pause(self, plugin_id: str, cause: str) -> ChangeResult:
        """Stop a plugin for a restore that brings no data, until `settle` says how it goes on, for up to a minute.

        Raises:
            PluginNotFoundError, PluginInvalidError, BusyError: as for `take`.
            UpgradeFailedError: it could not be stopped.
        """
        record = self.ledger.get(plugin_id)
        with reserved(record, "restore"):
            await self._carry_out(record, self._candidate(record, "restore", pause=Pause()), cause)
        return self._result(record, settled=False)

    async def settle(self, plugin_id: str, cause: str, *, keep: bool) -> ChangeResult:
        """Have a plugin that a restore stopped start with what was restored, or as it was before.

        Raises:
            PluginNotFoundError: there is no such plugin.
            UpgradeFailedError: it did not become ready with it, or nobody came in time; it is as it was before.
            BusyError: no restore of it waits.
        """
        record = self.ledger.get(plugin_id)
        wanted = record.next
        if wanted is None or wanted.pause is None or not wanted.pauses:
            if record.upgrade_failure is not None:
                raise UpgradeFailedError(self.ledger.detail(record), record.upgrade_failure)
            raise BusyError(f"No restore of {record.name} waits; its state is {record.state}.")
        if keep:
            wanted.pause.over.set()
        else:
            wanted.give_up()
        try:
            await self._until_done(record, wanted)
        except UpgradeFailedError:
            if keep:
                raise
        log.info("restore settled", plugin=plugin_id, kept=keep, cause=cause)
        return await self._served(record)

    async def _served(self, record: PluginRecord) -> ChangeResult:
        await self.requests.workers.until_serving(self.ledger.generation, SETTLED_SECONDS)
        return self._result(record, settled=True)

    def _result(self, record: PluginRecord, *, settled: bool) -> ChangeResult:
        return ChangeResult(plugin=self.ledger.detail(record), generation=self.ledger.generation, settled=settled)

    def _with_data(self, plugin_id: str) -> PluginRecord:
        record = self.ledger.get(plugin_id)
        if record.manifest is None:
            raise PluginInvalidError(self.ledger.detail(record))
        if not record.manifest.runtime.data:
            raise InvalidRequestError(FieldProblem(path="", message="a plugin that keeps data (runtime.data)"))
        return record

    def _candidate(
        self,
        record: PluginRecord,
        kind: Literal["backup", "restore"],
        copy: str | None = None,
        pause: Pause | None = None,
    ) -> Candidate:
        if record.manifest is None:
            raise PluginInvalidError(self.ledger.detail(record))
        return Candidate(
            record.manifest,
            record.source,
            record.installation.pin,
            kind=kind,
            snapshot=copy,
            carried_out=asyncio.Event(),
            abandoned=asyncio.Event(),
            pause=pause,
        )

    async def _carry_out(self, record: PluginRecord, wanted: Candidate, cause: str) -> None:
        """Have the plugin's own task do it, and wait until it is done, or until it pauses."""
        record.next, record.upgrade_failure = wanted, None
        self.requests.ask(record, cause)
        await self._until_done(record, wanted)

    async def _until_done(self, record: PluginRecord, wanted: Candidate) -> None:
        """Wait for it.

        Raises:
            UpgradeFailedError, BusyError: it was not done.
            PluginNotFoundError: the plugin is gone.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CHANGE_SECONDS
        pauses = False
        try:
            while not pauses and record.next is wanted and loop.time() < deadline:
                await self.ledger.pulse.until(lambda: record.next is not wanted or wanted.pauses, _LOOK)
                pauses = record.next is wanted and wanted.pauses
                if self.ledger.get(record.id) is not record:
                    break
        finally:
            if record.next is wanted and not pauses:
                wanted.give_up()
                if not record.busy:
                    record.next = None
        if pauses or (wanted.carried_out is not None and wanted.carried_out.is_set()):
            return
        if record.upgrade_failure is not None:
            raise UpgradeFailedError(self.ledger.detail(record), record.upgrade_failure)
        raise BusyError(
            f"The {wanted.kind} of {record.name} was not done; its state is {record.state}. Try it again."
        )

    def _image(self, record: PluginRecord) -> str | None:
        """An image that is here, for a helper that is never started."""
        run = self.observer.of(record.id, record.installation.slot)
        named = record.manifest.runtime.image if record.manifest is not None else None
        return record.installation.pin or (run.image if run is not None else None) or named

    async def _drop(self, record: PluginRecord, name: str) -> None:
        with suppress(RuntimeFailure):  # it is replaced by the next one
            await self.runtime.drop_snapshot(record.id, name)
