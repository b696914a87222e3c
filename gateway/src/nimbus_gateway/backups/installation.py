"""The plugin that a backup is restored into: there already, or installed for it."""

from dataclasses import dataclass
from typing import Final

import structlog
from nimbus_sdk.contracts.backup import BackupHead
from nimbus_sdk.contracts.install import InstallRequest
from nimbus_sdk.contracts.snapshot import SnapshotPlugin

from nimbus_gateway.errors import ConflictError, GatewayError
from nimbus_gateway.plugins.registry_installs import RegistryInstalls
from nimbus_gateway.state import GatewayState

INSTALL_SECONDS: Final = 300
SERVED_SECONDS: Final = 10.0
MANIFEST_SOURCE: Final = "manifest"
_IMAGE: Final = "image:"

log = structlog.get_logger("nimbus.backups")


@dataclass(frozen=True, slots=True)
class Installation:
    """Installs what a restore needs, and takes it away again when that comes to nothing."""

    state: GatewayState
    installs: RegistryInstalls
    cause: str

    async def there(self, head: BackupHead, *, any_version: bool) -> tuple[SnapshotPlugin, bool]:
        """The plugin to restore into, installed when it is not there, and whether it had to be.

        Raises:
            ConflictError: it cannot be installed, or not soon.
            GatewayError: what the registry says, as when the image is another plugin or version by now.
        """
        present = self.state.snapshots.current.plugins.get(head.plugin_id)
        if present is not None:
            return present, False
        request = install_request(head, any_version=any_version)
        result = await self.installs.install(request, self.cause, INSTALL_SECONDS)
        await self.state.snapshots.wait_for(result.generation, SERVED_SECONDS)
        present = self.state.snapshots.current.plugins.get(head.plugin_id)
        if present is None:
            raise ConflictError("The plugin is still being installed; restore the backup again when it is there.")
        return present, not result.already

    async def undo(self, plugin_id: str) -> None:
        """Take away again what was installed; data that had been kept from before stay."""
        try:
            await self.installs.uninstall(plugin_id, self.cause, {})
        except GatewayError as error:
            log.warning("what was installed for a restore stays", plugin=plugin_id, reason=str(error))


def image_of(source: str, digest: str | None) -> str | None:
    """The image that a plugin came from, exactly when its digest says which; None when it came from none. Pure."""
    if not source.startswith(_IMAGE):
        return None
    return digest if digest is not None and "@" in digest else source.removeprefix(_IMAGE)


def install_request(head: BackupHead, *, any_version: bool) -> InstallRequest:
    """How the plugin of a backup is installed again: the exact image, when its name says which. Pure.

    A tag may name something else by now, which is refused before it is installed.

    Raises:
        ConflictError: it came from a folder, which only a person can put back.
    """
    image = image_of(head.source, head.digest)
    if image is not None:
        version = None if any_version else head.version
        return InstallRequest(image=image, expect_id=head.plugin_id, expect_version=version)
    if head.source == MANIFEST_SOURCE:
        return InstallRequest(manifest=head.manifest.wire())
    raise ConflictError(
        f"{head.name} is not installed, and came from {head.source}: put that folder (version {head.version}) into "
        "the plugins folder, scan, and restore the backup again. Nothing was changed."
    )
