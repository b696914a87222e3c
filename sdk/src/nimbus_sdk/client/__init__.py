"""The core, as a plugin sees it: one object with an area for each of its services."""

from typing import TYPE_CHECKING, Self

from nimbus_sdk.client.config import Config
from nimbus_sdk.client.downloads import Downloads
from nimbus_sdk.client.events import Events
from nimbus_sdk.client.kv import Kv
from nimbus_sdk.client.logs import Logs
from nimbus_sdk.client.media import Media
from nimbus_sdk.client.plugins import Plugins
from nimbus_sdk.client.schedules import Schedules
from nimbus_sdk.client.transport import DEFAULT_TIMEOUT, Transport
from nimbus_sdk.contracts.core_api import Self_

if TYPE_CHECKING:
    import httpx

__all__ = ["Config", "Core", "Downloads", "Events", "Kv", "Logs", "Media", "Plugins", "Schedules"]


class Core:
    """An asynchronous client of `/core/v1`.

    Inside a plugin there is one already: `plugin.core`, or a parameter `core: Core` of a handler. Make your own
    in a script, as a context manager::

        async with Core("http://127.0.0.1:8081", token) as core:
            print(await core.me())

    Calls that may be repeated safely are repeated with backoff when the core cannot be reached; every call ends
    within its timeout. Errors are those of `nimbus_sdk.errors`.

    Attributes:
        config: the plugin's own settings.
        kv: the plugin's own key-value store.
        events: publishes events; needs the permission `events:publish`.
        media: the media library; needs the permissions `media:read` and `media:write`.
        downloads: shared records of downloads; needs `downloads:read` and `downloads:write`.
        schedules: how the manifest's schedules stand.
        plugins: finds and calls other plugins; needs `plugins:call:<id>`.
        logs: structured log lines; handlers rather use the `log` parameter.
    """

    def __init__(
        self,
        base_url: str | None,
        token: str | None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        self._transport = Transport(base_url, token, timeout=timeout, transport=transport)
        self.config = Config(self._transport)
        self.kv = Kv(self._transport)
        self.events = Events(self._transport)
        self.media = Media(self._transport)
        self.downloads = Downloads(self._transport)
        self.schedules = Schedules(self._transport)
        self.plugins = Plugins(self._transport)
        self.logs = Logs(self._transport)

    async def me(self) -> Self_:
        """This plugin as the core knows it: id, version, granted permissions, instance."""
        return Self_.model_validate(await self._transport.json("GET", "/self"))

    async def aclose(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
