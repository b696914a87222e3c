"""Making the backup of a plugin, and restoring one: the gateway's own part, and the registry's asked for the data."""

import asyncio
import errno
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Final

import structlog
from nimbus_sdk.contracts.backup import (
    DATA_NAME,
    FAILED_TAIL,
    HEAD_NAME,
    KV_NAME,
    SETTINGS_NAME,
    BackupHead,
    DataLeftOut,
    RestoreResult,
    failure_in,
)
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import SnapshotPlugin

from nimbus_gateway.backups.file import LOOK_BYTES, Part, Spool, check_room, file_size, with_sums
from nimbus_gateway.backups.installation import SERVED_SECONDS, Installation
from nimbus_gateway.backups.pace import paced
from nimbus_gateway.backups.registry_data import RegistryData
from nimbus_gateway.backups.stored import put_kv, spool_kv
from nimbus_gateway.backups.verify import (
    MOST_HEAD,
    MOST_SETTINGS_BYTES,
    Place,
    Verified,
    kv_entries,
    section_chunks,
    verified,
)
from nimbus_gateway.core.config.budget import budget
from nimbus_gateway.core.config.rows import SettingRow, put_settings, stored_settings
from nimbus_gateway.core.config.schema import Schema, secret_keys, setting_problems
from nimbus_gateway.core.config.turns import aside
from nimbus_gateway.core.kv.service import KvLimits
from nimbus_gateway.database import now
from nimbus_gateway.errors import (
    BackupRefusedError,
    BackupVersionError,
    DiskFullError,
    GatewayError,
    PayloadTooLargeError,
    PluginInvalidError,
    QuotaExceededError,
)
from nimbus_gateway.plugins.registry_installs import RegistryInstalls
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system import VERSION

RESTART_SECONDS: Final = 30

log = structlog.get_logger("nimbus.backups")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is ready to be sent: its parts are on disk. Close it."""

    head: BackupHead
    parts: list[Part]

    def close(self) -> None:
        """Give the space back."""
        for part in self.parts:
            part.close()


class Backups:
    """Makes and restores backups of plugins."""

    def __init__(self, state: GatewayState, cause: str) -> None:
        self._state = state
        self._cause = cause
        self._data = RegistryData(state.registry)
        self._installs = RegistryInstalls(state.registry)
        self._installation = Installation(state, self._installs, cause)
        self._limits = KvLimits(state.settings.kv_keys, state.settings.kv_bytes)

    # -- backup -----------------------------------------------------------------------------------------------

    async def make(self, plugin: SnapshotPlugin) -> Backup:
        """Put a backup together on disk. A plugin with data is stopped while these are copied.

        Raises:
            PluginInvalidError: it has no manifest that could be kept.
            DiskFullError: there is no room for it.
            PayloadTooLargeError, QuotaExceededError: it is larger than may be, or than could be restored.
            GatewayError: what the registry says.
        """
        manifest = plugin.detail.manifest
        if manifest is None:
            raise PluginInvalidError("Its manifest has errors, so there is no version of it to keep.")
        parts: list[Part] = []
        try:
            if manifest.runtime.data:
                spool = self._spool(parts, DATA_NAME)
                with self._room():
                    async for piece in self._data.copied(plugin.detail.id, self._cause):
                        await self._keep(spool, piece)
                    _refuse_failure(await asyncio.to_thread(spool.tail, FAILED_TAIL))
            head, own = await self._own_parts(plugin, manifest)
            parts[:0] = own
            self._check_restorable(parts)
            return Backup(head, with_sums(parts))
        except BaseException:
            for part in parts:
                part.close()
            raise

    def _check_restorable(self, parts: list[Part]) -> None:
        """Refuse what `restore` would not take.

        Raises:
            PayloadTooLargeError, QuotaExceededError: it is so.
        """
        most = self._state.settings.backup_bytes
        if file_size(with_sums(parts)) > most:
            raise PayloadTooLargeError(f"The backup would be larger than {most} bytes (NIMBUS_BACKUP_BYTES).")
        sizes = {part.name: part.size for part in parts}
        for name, limit in ((HEAD_NAME, MOST_HEAD), (SETTINGS_NAME, MOST_SETTINGS_BYTES)):
            if sizes[name] > limit:
                raise QuotaExceededError(f"{name} of the backup would have {sizes[name]} bytes; {limit} are allowed.")

    async def _own_parts(self, plugin: SnapshotPlugin, manifest: Manifest) -> tuple[BackupHead, list[Part]]:
        detail = plugin.detail
        versions = await self._installs.versions(detail.id)
        digest = next((one.digest for one in versions.items if one.status == "current"), None)
        parts: list[Part] = []
        spool = self._spool(parts, KV_NAME)
        try:
            async with self._state.database.read() as session:
                rows = await stored_settings(session, detail.id)
                with self._room():
                    await spool_kv(session, detail.id, self._limits, spool)
        except BaseException:
            spool.close()
            raise
        hidden = secret_keys(manifest.settings)
        sealed = {row.key for row in rows if row.key in hidden or "sealed" in row.content}
        settings = {row.key: row.content.get("value") for row in rows if row.key not in sealed}
        head = BackupHead(
            plugin_id=detail.id,
            name=detail.name,
            version=detail.version,
            created_at=now(),
            nimbus=VERSION,
            source=detail.source,
            digest=digest,
            manifest=manifest,
            data=manifest.runtime.data,
            secrets_left_out=sorted(sealed),
        )
        return head, [Part(HEAD_NAME, _json(head.wire())), Part(SETTINGS_NAME, _json(settings)), *parts]

    def _spool(self, parts: list[Part], name: str) -> Spool:
        spool = Spool(self.temporary())
        parts.append(Part(name, spool))
        return spool

    async def _keep(self, spool: Spool, piece: bytes) -> None:
        if spool.size + len(piece) > self._state.settings.backup_bytes:
            raise PayloadTooLargeError(
                f"The backup would be larger than {self._state.settings.backup_bytes} bytes (NIMBUS_BACKUP_BYTES)."
            )
        await asyncio.to_thread(self._write, spool, piece)

    def _write(self, spool: Spool, piece: bytes) -> None:
        """Write it, unless hardly any room would be left for what the gateway needs itself: its database, its log."""
        if spool.size // LOOK_BYTES != (spool.size + len(piece)) // LOOK_BYTES or not spool.size:
            check_room(self._state.settings.data_dir)
        spool.write(piece)

    def temporary(self) -> IO[bytes]:
        """A file without a name in the data folder.

        Raises:
            DiskFullError: there is no room.
        """
        with self._room():
            return tempfile.TemporaryFile(dir=self._state.settings.data_dir)

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise
            raise DiskFullError(
                "There is no room for the backup in the gateway's data folder; nothing was changed."
            ) from error

    # -- restore ----------------------------------------------------------------------------------------------

    async def receive(self, pieces: AsyncIterator[bytes], file: IO[bytes]) -> None:
        """Keep what is sent.

        Raises:
            PayloadTooLargeError: it is larger than may be.
            RequestTimeoutError: hardly anything comes.
            DiskFullError: there is no room.
        """
        spool = Spool(file)
        with self._room():
            async for piece in paced(pieces):
                await self._keep(spool, piece)

    async def restore(self, plugin_id: str, file: IO[bytes], *, any_version: bool) -> RestoreResult:
        """Restore a backup that was received. It is checked completely before anything is changed.

        The plugin is stopped and its data are replaced; then settings and keys are, so that nothing of what it
        writes until it ends is among them and it starts with all three. When it does not become ready with them it
        has its own again.

        Raises:
            BackupRefusedError, QuotaExceededError: it cannot be restored.
            BackupVersionError: another version is installed.
            ConflictError: the plugin is not installed and cannot be.
            GatewayError: what the registry says about data or installation.
        """
        found = await asyncio.to_thread(verified, file, plugin_id, self._limits)
        plugin, installed = await self._installation.there(found.head, any_version=any_version)
        try:
            return await self._restored(plugin, found, file, any_version=any_version, installed=installed)
        except BaseException:
            if installed:
                await self._installation.undo(plugin_id)
            raise

    async def _restored(
        self, plugin: SnapshotPlugin, found: Verified, file: IO[bytes], *, any_version: bool, installed: bool
    ) -> RestoreResult:
        plugin_id = plugin.detail.id
        manifest = plugin.detail.manifest
        if manifest is None:
            raise PluginInvalidError("The manifest of the installed plugin has errors; mend it first.")
        await aside(plugin_id, self._check_fit, manifest, plugin, found, any_version=any_version)
        hidden = secret_keys(manifest.settings)
        with self._saved() as saved:
            pieces = section_chunks(file, found.data) if found.data is not None else None
            await self._data.placed(plugin_id, pieces, self._cause)
            try:
                before = await self._replace_own(plugin_id, manifest.settings, found, file, saved)
            except BaseException:
                with suppress(GatewayError):  # it goes back by itself when nobody says anything
                    await self._data.settled(plugin_id, self._cause, keep=False)
                raise
            try:
                result = await self._data.settled(plugin_id, self._cause, keep=True)
            except BaseException:
                await self._put_back(plugin, before, saved)
                raise
            await self._state.snapshots.wait_for(result.generation, SERVED_SECONDS)
        now_set = {row.key for row in before if row.key in hidden}
        current = self._state.snapshots.current.plugins.get(plugin_id, plugin)
        return RestoreResult(
            plugin=current.detail,
            version=found.head.version,
            created_at=found.head.created_at,
            installed=installed,
            settings=len(found.settings),
            keys=found.keys,
            files=found.files,
            data_bytes=found.data_bytes,
            secrets_missing=sorted(set(found.head.secrets_left_out) - now_set),
            left_out=found.left_out or DataLeftOut(),
        )

    @staticmethod
    def _check_fit(manifest: Manifest, plugin: SnapshotPlugin, found: Verified, *, any_version: bool) -> None:
        there, kept = plugin.detail.version, found.head.version
        if there != kept and not any_version:
            raise BackupVersionError(
                f"The backup is of version {kept}, and {there} is installed. Change to {kept} first, or restore into "
                f"{there} with anyVersion=true; it may not understand what {kept} wrote. Nothing was changed.",
                extra={"backupVersion": kept, "installedVersion": there},
            )
        if found.data is not None and not manifest.runtime.data:
            raise BackupRefusedError(f"The backup has data, and version {there} of the plugin keeps none.")
        problems: list[FieldProblem] = []
        with budget():  # one for all
            for key, value in found.settings.items():
                for problem in setting_problems(manifest.settings, key, value):
                    below = problem.path.removeprefix("/value")
                    problems.append(problem.model_copy(update={"path": f"/settings/{key}{below}"}))
        if problems:
            raise BackupRefusedError(
                f"Settings in the backup do not fit version {there} of the plugin. Nothing was changed.",
                errors=problems[:50],
            )

    @contextmanager
    def _saved(self) -> Iterator[Spool]:
        spool = Spool(self.temporary())
        try:
            yield spool
        finally:
            spool.close()

    async def _replace_own(
        self, plugin_id: str, schema: Schema | None, found: Verified, file: IO[bytes], saved: Spool
    ) -> list[SettingRow]:
        """Replace settings and keys in one transaction; the settings as they were, and the keys into `saved`."""
        hidden = secret_keys(schema)
        box = self._state.accounts.box
        moment = now()
        async with self._state.database.write() as session:
            before = await stored_settings(session, plugin_id)
            with self._room():
                await spool_kv(session, plugin_id, self._limits, saved)
            kept = [row for row in before if row.key in hidden and row.key not in found.settings]
            rows = [
                SettingRow(
                    key,
                    {"sealed": box.seal(value, f"{plugin_id}/{key}")} if key in hidden else {"value": value},
                    moment,
                    self._cause,
                )
                for key, value in found.settings.items()
            ]
            await put_settings(session, plugin_id, [*kept, *rows])
            await put_kv(session, plugin_id, kv_entries(file, found.kv))
        return before

    async def _put_back(self, plugin: SnapshotPlugin, before: list[SettingRow], saved: Spool) -> None:
        plugin_id = plugin.detail.id
        async with self._state.database.write() as session:
            await put_settings(session, plugin_id, before)
            await put_kv(session, plugin_id, kv_entries(saved.file, Place(0, saved.size)))
        if plugin.detail.enabled:
            # It has been started again with its data of before, and may have read what is not so any more.
            with suppress(GatewayError):
                await self._state.registry.restart(plugin_id, self._cause, RESTART_SECONDS)


def _refuse_failure(tail: bytes) -> None:
    """Raises: QuotaExceededError: data with this end are no backup, because they are too much."""
    if reason := failure_in(tail):
        raise QuotaExceededError(reason)


def _json(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
