"""Making a backup of everything: the tables as they are at one moment, then the data of plugin after plugin."""

import asyncio
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

import structlog
from nimbus_sdk.contracts.backup import FAILED_TAIL, DataLeftOut, failure_in
from nimbus_sdk.contracts.snapshot import PluginDetail
from nimbus_sdk.contracts.system_backup import (
    SYSTEM_HEAD_NAME,
    BackupPlugin,
    BackupSecrets,
    PluginInBackup,
    SystemBackup,
    SystemBackupHead,
)

from nimbus_gateway.backups.registry_data import RegistryData
from nimbus_gateway.core.config.schema import secret_keys
from nimbus_gateway.core.config.sealing import SecretBox
from nimbus_gateway.errors import (
    BackupRefusedError,
    ConflictError,
    DiskFullError,
    GatewayError,
    PayloadTooLargeError,
    PluginInvalidError,
    QuotaExceededError,
)
from nimbus_gateway.migrations.run import HEAD
from nimbus_gateway.plugins.registry_installs import RegistryInstalls
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system import VERSION
from nimbus_gateway.system_backups.progress import Teller
from nimbus_gateway.system_backups.seals import new_seal, seal_of
from nimbus_gateway.system_backups.shelf import Shelf
from nimbus_gateway.system_backups.transfer import Export, export_tables
from nimbus_gateway.system_backups.verify import Verified, data_part, verified
from nimbus_gateway.system_backups.writer import BackupFile

JOB_SECONDS: Final = 6 * 3600.0
_MEGABYTE: Final = 1000**2
_STEPS_BESIDE_PLUGINS: Final = 2
_NAMES_SHOWN: Final = 5

log = structlog.get_logger("nimbus.backups")


@contextmanager
def room() -> Iterator[None]:
    """Raises: DiskFullError: the disk has no room."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise DiskFullError("There is no room for the backup in the gateway's data folder.") from error


def summary(backup: SystemBackup, found: Verified, size: int) -> None:
    """Note on a backup what is in it; it is whole."""
    head = found.head
    backup.state, backup.progress, backup.error, backup.size = "ready", None, None, size
    backup.instance, backup.nimbus, backup.created_at = head.instance, head.nimbus, head.created_at
    backup.rows = {
        part.name.removeprefix("table-").removesuffix(".jsonl"): part.rows
        for part in head.parts
        if part.rows is not None
    }
    backup.plugins = [
        PluginInBackup(id=one.id, version=one.version, enabled=one.enabled, data=one.data, problem=one.problem)
        for one in head.plugins
    ]
    backup.remarks = [*head.remarks, *(_links(*left) for left in found.left_out.items() if left[1].count)]


def _links(plugin_id: str, left: DataLeftOut) -> str:
    names = ", ".join(left.names[:_NAMES_SHOWN]) + (", …" if left.count > _NAMES_SHOWN else "")
    return f"Of the data of {plugin_id}, {left.count} links, sockets or devices are left out: {names}."


@dataclass(frozen=True, slots=True)
class Making:
    """Makes one backup.

    Attributes:
        state: the worker's state.
        shelf: where it is kept.
        cause: who asked, e.g. ``user:<id>``.
        enabled: the plugins that are to be on by it, when they were stopped for a restore. Then the tables are taken
            last, so that hardly anything is changed between them and what takes their place.
    """

    state: GatewayState
    shelf: Shelf
    cause: str
    enabled: frozenset[str] | None = None

    async def make(self, backup: SystemBackup, passphrase: str, teller: Teller) -> None:
        """Fill a new backup and put it on the shelf; its note says how it went.

        Raises:
            GatewayError: it was not made.
            TimeoutError: it took far too long.
        """
        async with asyncio.timeout(JOB_SECONDS):
            await teller.say("Deriving the key from the passphrase")
            box, secrets = await asyncio.to_thread(new_seal, passphrase)
            with room(), self.shelf.create(backup.id) as file:
                size = await self._fill(file, backup, box, secrets, teller)
                await teller.say("Reading the whole backup once more")
                found = await asyncio.to_thread(self._verified, file)
                summary(backup, found, size)
                await asyncio.to_thread(self.shelf.keep, file, backup, found.head)
        log.info("backup of everything made", backup=backup.id, bytes=backup.size)

    @staticmethod
    def _verified(file: IO[bytes]) -> Verified:
        """What was written, read as a restore reads it.

        Raises:
            ConflictError: no restore would take it.
        """
        try:
            return verified(file)
        except BackupRefusedError as error:
            raise ConflictError(f"It was not kept, because it could not be restored. {error}") from error

    async def _fill(
        self, file: IO[bytes], backup: SystemBackup, box: SecretBox, secrets: BackupSecrets, teller: Teller
    ) -> int:
        settings = self.state.settings
        modified = int(backup.created_at.timestamp())
        out = BackupFile(file, self.shelf.folder, modified, settings.system_backup_bytes)
        found = sorted(await self.state.registry.plugins(), key=lambda plugin: plugin.id)
        total = len(found) + _STEPS_BESIDE_PLUGINS
        hidden = {one.id: secret_keys(one.manifest.settings) for one in found if one.manifest is not None}
        export = Export(self.state.accounts.box, box, hidden)
        plugins, remarks = [], list[str]()
        for tables in (self.enabled is None, self.enabled is not None):
            if tables:
                await teller.say("Accounts, settings, library and the rest of the core", total=total)
                remarks = await export_tables(self.state.database, export, out)
                continue
            for number, plugin in enumerate(found, 1):
                await teller.say(f"Plugin {plugin.name}", done=number, total=total)
                plugins.append(await self._plugin(plugin, out, teller))
        await teller.say("Checksums", done=total - 1, total=total)
        head = SystemBackupHead(
            instance=settings.instance,
            nimbus=VERSION,
            db_schema=HEAD,
            created_at=backup.created_at,
            secrets=secrets,
            plugins=plugins,
            remarks=remarks,
            parts=list(out.parts),
        )

        def finish() -> int:
            with out.entry(SYSTEM_HEAD_NAME):
                out.write(head.model_dump_json(by_alias=True, exclude_none=True, indent=2).encode() + b"\n")
            return out.finish(lambda digest: seal_of(box, digest))

        return await asyncio.to_thread(finish)

    async def _plugin(self, detail: PluginDetail, out: BackupFile, teller: Teller) -> BackupPlugin:
        found = BackupPlugin(
            id=detail.id,
            name=detail.name,
            version=detail.version,
            enabled=detail.enabled if self.enabled is None else detail.id in self.enabled,
            source=detail.source,
            manifest=detail.manifest,
        )
        try:
            await self._ask(found)
            if detail.manifest is None:
                found.problem = "Its manifest has errors, so nobody knows whether it keeps data."
            elif detail.manifest.runtime.data:
                await self._data(detail.id, out, teller)
                found.data = True
        except PayloadTooLargeError:
            raise
        except GatewayError as error:
            found.problem = str(error.detail or error.title)[:500]
            log.warning("the data of a plugin are not in the backup", plugin=detail.id, reason=found.problem)
        return found

    async def _ask(self, found: BackupPlugin) -> None:
        """Note the exact image and the permissions.

        Raises:
            GatewayError: the registry does not tell, as when the plugin was uninstalled meanwhile.
        """
        installs = RegistryInstalls(self.state.registry)
        versions = await installs.versions(found.id)
        found.digest = next((one.digest for one in versions.items if one.status == "current"), None)
        try:
            permissions = await installs.permissions(found.id)
            if permissions.decided:
                found.grants = [one.name for one in permissions.requested if one.granted]
        except PluginInvalidError:
            """Its manifest has errors, so it asks for nothing that can be read."""

    async def _data(self, plugin_id: str, out: BackupFile, teller: Teller) -> None:
        copied = 0
        with out.entry(data_part(plugin_id)):
            async for piece in RegistryData(self.state.registry).copied(plugin_id, self.cause):
                await asyncio.to_thread(out.write, piece)
                copied += len(piece)
                await teller.detail(f"{copied / _MEGABYTE:.0f} MB")
            if reason := failure_in(await asyncio.to_thread(out.tail, FAILED_TAIL)):
                raise QuotaExceededError(reason)
