"""The registry's calls about installations, as the gateway makes them."""

from collections.abc import Mapping
from dataclasses import dataclass

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.install import (
    InstallJobList,
    InstallRequest,
    InstallResult,
    PermissionsUpdate,
    PluginPermissions,
    PluginVersionList,
    RollbackRequest,
    UninstallResult,
    UpgradeRequest,
)

from nimbus_gateway.registry_answers import read_answer
from nimbus_gateway.registry_client import CALL_SECONDS, RegistryClient, plugin_path

UNINSTALL_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RegistryInstalls:
    """Every call raises what `RegistryClient.call` does."""

    client: RegistryClient

    async def install(self, request: InstallRequest, cause: str, wait: int) -> InstallResult:
        """Install, and wait up to `wait` seconds for it."""
        params: dict[str, str | int] = {"cause": cause, "wait": wait}
        response = await self.client.call(
            "POST", "/v1/plugins", params=params, body=request, timeout=wait + CALL_SECONDS
        )
        return read_answer(InstallResult, response)

    async def jobs(self) -> InstallJobList:
        """Installations under way and those of the last minutes."""
        return read_answer(InstallJobList, await self.client.call("GET", "/v1/installs"))

    async def permissions(self, plugin_id: str) -> PluginPermissions:
        """What a plugin asks for, what was granted, and the risk."""
        path = f"{plugin_path(plugin_id)}/permissions"
        return read_answer(PluginPermissions, await self.client.call("GET", path))

    async def set_permissions(self, plugin_id: str, update: PermissionsUpdate, cause: str) -> PluginPermissions:
        """Decide what a plugin may do."""
        path = f"{plugin_path(plugin_id)}/permissions"
        response = await self.client.call("PUT", path, params={"cause": cause}, body=update)
        return read_answer(PluginPermissions, response)

    async def versions(self, plugin_id: str) -> PluginVersionList:
        """The versions of a plugin that are here."""
        return read_answer(PluginVersionList, await self.client.call("GET", f"{plugin_path(plugin_id)}/versions"))

    async def upgrade(self, plugin_id: str, request: UpgradeRequest, cause: str, wait: int) -> ChangeResult:
        """Change to another version, and wait up to `wait` seconds for it."""
        return await self._change(f"{plugin_path(plugin_id)}/upgrade", request, cause, wait)

    async def rollback(self, plugin_id: str, request: RollbackRequest, cause: str, wait: int) -> ChangeResult:
        """Go back to a version that is kept."""
        return await self._change(f"{plugin_path(plugin_id)}/rollback", request, cause, wait)

    async def uninstall(self, plugin_id: str, cause: str, options: Mapping[str, bool]) -> UninstallResult:
        """Stop a plugin and take it off the list; `options` are the call's `deleteData`, `cascade` and `force`."""
        params = {"cause": cause} | {name: "true" for name, wanted in options.items() if wanted}
        response = await self.client.call("DELETE", plugin_path(plugin_id), params=params, timeout=UNINSTALL_SECONDS)
        return read_answer(UninstallResult, response)

    async def _change(self, path: str, body: WireModel, cause: str, wait: int) -> ChangeResult:
        params: dict[str, str | int] = {"cause": cause, "wait": wait}
        # Fetching and changing are waited for one after the other.
        response = await self.client.call("POST", path, params=params, body=body, timeout=2 * wait + CALL_SECONDS)
        return read_answer(ChangeResult, response)
