"""Other plugins: finding who can do something, and calling them."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nimbus_sdk.contracts.calls import CallablePlugin, CallablePluginList
from nimbus_sdk.contracts.identity import HEADER_ON_BEHALF_OF

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from nimbus_sdk.client.transport import Transport


class Plugins:
    """Calls other plugins through Nimbus. Calling the plugin `x` needs the permission `plugins:call:x`."""

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    async def find(self, capability: str | None = None) -> list[CallablePlugin]:
        """The other plugins that are on; with `capability` only those that have it, e.g. `downloader`."""
        params = {"capability": capability} if capability else {}
        return CallablePluginList.model_validate(await self._transport.json("GET", "/plugins", params=params)).items

    async def call(
        self,
        plugin_id: str,
        route: str,
        *,
        method: str = "GET",
        params: "Mapping[str, str] | None" = None,
        json: Any = None,  # noqa: ANN401 - any JSON
        on_behalf_of: str | None = None,
    ) -> "httpx.Response":
        """Call a route of another plugin and return its successful answer.

        Args:
            plugin_id: the other plugin.
            route: as its manifest has it, e.g. `/search`.
            method: HTTP method; GET, PUT and DELETE are repeated when nobody answered.
            params: query.
            json: body.
            on_behalf_of: the identity token of the person for whom this is done; then only what both may is allowed.

        Raises:
            PermissionMissing: this plugin may not call that one.
            NotFound: there is no such plugin or route, or it is off.
            CoreError: what the other plugin answered.
        """
        headers = {HEADER_ON_BEHALF_OF: on_behalf_of} if on_behalf_of else None
        path = f"/plugins/{quote(plugin_id, safe='')}/call/{route.lstrip('/')}"
        return await self._transport.request(method, path, params=params, json=json, headers=headers)
