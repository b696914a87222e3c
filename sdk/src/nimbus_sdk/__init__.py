"""Write Nimbus plugins in Python.

A plugin is an object with routes and hooks, and a `manifest.json` beside it::

    from nimbus_sdk import Media, Plugin

    plugin = Plugin(__name__)

    @plugin.get("/hello", auth="none")
    async def hello() -> dict[str, str]:
        return {"message": "hello"}

    @plugin.get("/count", auth="session")
    async def count(media: Media) -> dict[str, int]:
        return {"items": len([item async for item in media.iterate()])}

    if __name__ == "__main__":
        plugin.run()

What is imported from here is loaded when it is first used, so that a plugin starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nimbus_sdk.starting import models_built_when_used, without_collection

if TYPE_CHECKING:
    from nimbus_sdk.callers import Caller, User
    from nimbus_sdk.client import Config, Core, Downloads, Events, Kv, Media, Plugins, Schedules
    from nimbus_sdk.contracts.core_api import Media as MediaItem
    from nimbus_sdk.contracts.core_api import MediaUpsert
    from nimbus_sdk.contracts.downloads import Download
    from nimbus_sdk.contracts.events import CloudEvent as Event
    from nimbus_sdk.contracts.plugin_api import LifecycleEvent
    from nimbus_sdk.errors import (
        Conflict,
        CoreError,
        Degraded,
        NimbusError,
        NotFound,
        NotReady,
        PermissionMissing,
        PreconditionFailed,
        QuotaExceeded,
        RateLimited,
        Unavailable,
        ValidationFailed,
    )
    from nimbus_sdk.logs import Logger
    from nimbus_sdk.named import NamedSettings
    from nimbus_sdk.nimbus_client import NimbusClient
    from nimbus_sdk.plugin import Plugin
    from nimbus_sdk.settings import Secret, Settings

_EXPORTS = {
    "Caller": "callers",
    "Config": "client.config",
    "Conflict": "errors",
    "Core": "client",
    "CoreError": "errors",
    "Degraded": "errors",
    "Events": "client.events",
    "Download": "contracts.downloads",
    "Downloads": "client.downloads",
    "Event": "contracts.events:CloudEvent",
    "Kv": "client.kv",
    "LifecycleEvent": "contracts.plugin_api",
    "Logger": "logs",
    "Media": "client.media",
    "MediaItem": "contracts.core_api:Media",
    "MediaUpsert": "contracts.core_api",
    "NamedSettings": "named",
    "NimbusClient": "nimbus_client",
    "NimbusError": "errors",
    "NotFound": "errors",
    "NotReady": "errors",
    "PermissionMissing": "errors",
    "Plugin": "plugin",
    "Plugins": "client.plugins",
    "PreconditionFailed": "errors",
    "QuotaExceeded": "errors",
    "RateLimited": "errors",
    "Schedules": "client.schedules",
    "Secret": "settings",
    "Settings": "settings",
    "Unavailable": "errors",
    "User": "callers",
    "ValidationFailed": "errors",
}

__all__ = [
    "Caller",
    "Config",
    "Conflict",
    "Core",
    "CoreError",
    "Degraded",
    "Download",
    "Downloads",
    "Event",
    "Events",
    "Kv",
    "LifecycleEvent",
    "Logger",
    "Media",
    "MediaItem",
    "MediaUpsert",
    "NamedSettings",
    "NimbusClient",
    "NimbusError",
    "NotFound",
    "NotReady",
    "PermissionMissing",
    "Plugin",
    "Plugins",
    "PreconditionFailed",
    "QuotaExceeded",
    "RateLimited",
    "Schedules",
    "Secret",
    "Settings",
    "Unavailable",
    "User",
    "ValidationFailed",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _EXPORTS:
        raise AttributeError(f"module 'nimbus_sdk' has no attribute {name!r}")
    module, _, original = _EXPORTS[name].partition(":")
    with without_collection(freeze=name == "Plugin"), models_built_when_used():  # whoever imports it is one
        value = getattr(import_module(f"nimbus_sdk.{module}"), original or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
