"""Bringing plugins back to what a backup of everything says. What cannot be had is told, and stops nobody else."""

from dataclasses import dataclass, field
from typing import IO

import structlog
from nimbus_sdk.contracts.install import InstallRequest, PermissionsUpdate, UpgradeRequest
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from nimbus_sdk.contracts.system_backup import BackupPlugin, PartPlace, PluginRestored
from pydantic import ValidationError as ModelError

from nimbus_gateway.backups.installation import INSTALL_SECONDS, MANIFEST_SOURCE, SERVED_SECONDS, image_of
from nimbus_gateway.backups.registry_data import RegistryData
from nimbus_gateway.backups.verify import section_chunks
from nimbus_gateway.errors import GatewayError
from nimbus_gateway.plugins.registry_installs import RegistryInstalls
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.plugin_switch import why
from nimbus_gateway.system_backups.verify import is_older

log = structlog.get_logger("nimbus.backups")


@dataclass(slots=True)
class Outcome:
    """What came of one plugin so far: what was done, and what could not be."""

    id: str
    there: bool = False
    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def shown(self) -> PluginRestored:
        """As it is told."""
        if not self.there:
            return PluginRestored(id=self.id, outcome="failed", message=" ".join(self.problems))
        done = [f"{', '.join(self.done)}."] if self.done else []
        message = " ".join([*done, *self.problems])
        return PluginRestored(id=self.id, outcome="partly" if self.problems else "restored", message=message)


def source_of(plugin: BackupPlugin) -> InstallRequest | None:
    """From where it is installed again: the exact image, when its name says which. None for a folder. Pure."""
    image = image_of(plugin.source, plugin.digest)
    if image is not None:
        return InstallRequest(image=image, expect_id=plugin.id, expect_version=plugin.version)
    if plugin.source == MANIFEST_SOURCE and plugin.manifest is not None:
        return InstallRequest(manifest=plugin.manifest.wire())
    return None


class PluginRestores:
    """Restores plugins; `cause` is who asked."""

    def __init__(self, state: GatewayState, cause: str) -> None:
        self._state = state
        self._cause = cause
        self._installs = RegistryInstalls(state.registry)
        self._data = RegistryData(state.registry)

    def _present(self, plugin_id: str) -> SnapshotPlugin | None:
        return self._state.snapshots.current.plugins.get(plugin_id)

    async def restore(self, plugin: BackupPlugin, file: IO[bytes], data: PartPlace | None) -> Outcome:
        """Install, grant, and replace the data of one plugin, which stays off. Whatever happens is told."""
        outcome = Outcome(plugin.id)
        try:
            await self._restore(plugin, file, data, outcome)
        except GatewayError as error:
            outcome.problems.append(why(error))
        except Exception:
            log.exception("a plugin was not restored", plugin=plugin.id)
            outcome.problems.append("It was not restored whole; the gateway's log says why.")
        outcome.there = self._present(plugin.id) is not None
        return outcome

    async def _restore(self, plugin: BackupPlugin, file: IO[bytes], data: PartPlace | None, outcome: Outcome) -> None:
        try:
            await self._install(plugin, outcome)
        except ModelError:
            outcome.problems.append(f"{plugin.name} cannot be installed: the backup names no source that can be.")
        except GatewayError as error:
            outcome.problems.append(f"{plugin.name} {plugin.version} could not be installed: {why(error)}")
        present = self._present(plugin.id)
        if present is None:
            if not outcome.problems:
                outcome.problems.append(
                    f"{plugin.name} came from {plugin.source}, which is not here: put that folder (version "
                    f"{plugin.version}) into the plugins folder, scan, and restore the backup again."
                )
            return
        outcome.done.append(f"Version {present.detail.version}")
        await self._grant(plugin, present, outcome)
        if data is not None:
            await self._replace(plugin, present, file, data, outcome)
        elif plugin.problem is not None:
            outcome.problems.append(f"Its data are not in the backup: {plugin.problem}")

    async def _install(self, plugin: BackupPlugin, outcome: Outcome) -> None:
        present, source = self._present(plugin.id), source_of(plugin)
        if source is None:
            if present is not None and present.detail.version != plugin.version:
                outcome.problems.append(
                    f"The backup is of version {plugin.version}, and the folder has {present.detail.version}."
                )
            return
        if present is None:
            result = await self._installs.install(source, self._cause, INSTALL_SECONDS)
            await self._state.snapshots.wait_for(result.generation, SERVED_SECONDS)
            if self._present(plugin.id) is None:
                outcome.problems.append("It is still being fetched; restore the backup again when it is there.")
        elif await self._differs(plugin, present):
            request = UpgradeRequest(
                image=source.image, manifest=source.manifest, allow_downgrade=True, force=True, grant=plugin.grants
            )
            change = await self._installs.upgrade(plugin.id, request, self._cause, INSTALL_SECONDS)
            await self._state.snapshots.wait_for(change.generation, SERVED_SECONDS)

    async def _differs(self, plugin: BackupPlugin, present: SnapshotPlugin) -> bool:
        """Whether another version is installed, or another image of a name that says which it is."""
        if present.detail.version != plugin.version:
            return True
        if plugin.digest is None or "@" not in plugin.digest:
            return False
        versions = await self._installs.versions(plugin.id)
        return next((one.digest for one in versions.items if one.status == "current"), None) != plugin.digest

    async def _grant(self, plugin: BackupPlugin, present: SnapshotPlugin, outcome: Outcome) -> None:
        """Only what the manifest that is installed asks for: a file grants nothing that nobody could grant."""
        asked = present.detail.manifest.permissions if present.detail.manifest is not None else []
        grants = [name for name in asked if name in (plugin.grants or [])]
        try:
            now = await self._installs.permissions(plugin.id)
            if plugin.grants is None and not now.decided:
                return
            if now.decided and {one.name for one in now.requested if one.granted} == set(grants):
                return
            await self._installs.set_permissions(plugin.id, PermissionsUpdate(grant=grants), self._cause)
        except GatewayError as error:
            outcome.problems.append(f"Its permissions are not those of the backup: {why(error)}")

    async def _replace(
        self, plugin: BackupPlugin, present: SnapshotPlugin, file: IO[bytes], data: PartPlace, outcome: Outcome
    ) -> None:
        if is_older(present.detail.version, plugin.version):
            outcome.problems.append(
                f"Its data were not restored: version {present.detail.version} may not understand what "
                f"{plugin.version} wrote."
            )
            return
        try:
            result = await self._data.replaced(plugin.id, section_chunks(file, data), self._cause)
            await self._state.snapshots.wait_for(result.generation, SERVED_SECONDS)
            outcome.done.append("its data")
        except GatewayError as error:
            outcome.problems.append(f"Its data were not restored: {why(error)}")
            log.warning("the data of a plugin were not restored", plugin=plugin.id, reason=why(error))
