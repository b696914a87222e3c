"""What clients ask first: is it there, which version, is it well."""

import os
import platform
import sys
from datetime import UTC, datetime

from nimbus_sdk import Downloads, Plugins
from nimbus_sdk.errors import CoreError

from sonarr.app import READ, TAG, Json, plugin, reads
from sonarr.settings import SonarrSettings
from sonarr.shows import stamp

SPOKEN = "3.0.10.1567"
"""The version of the product whose API this is; clients decide by it what they send."""
_STARTED = datetime.now(UTC)


@plugin.get("/ping", auth="none", tag=TAG)
async def ping() -> Json:
    """It is there."""
    return {"status": "OK"}


@plugin.get("/api", auth="apikey", scopes=READ, tag=TAG)
async def versions() -> Json:
    """Which versions of the API are spoken."""
    return {"current": "v3", "deprecated": []}


@reads("system/status")
async def status(settings: SonarrSettings) -> Json:
    """What runs here. `appName` is what clients look for; `packageAuthor` says who really answers."""
    return {
        "appName": "Sonarr",
        "instanceName": settings.instance_name,
        "version": SPOKEN,
        "buildTime": "2023-01-01T00:00:00Z",
        "isDebug": False,
        "isProduction": True,
        "isAdmin": False,
        "isUserInteractive": False,
        "startupPath": os.getcwd(),  # noqa: PTH109 - text for a person
        "appData": "",
        "osName": platform.system().lower(),
        "osVersion": platform.release(),
        "isMonoRuntime": False,
        "isMono": False,
        "isLinux": sys.platform == "linux",
        "isOsx": sys.platform == "darwin",
        "isWindows": False,
        "mode": "console",
        "branch": "main",
        "authentication": "external",
        "sqliteVersion": "",
        "urlBase": "",
        "runtimeVersion": platform.python_version(),
        "runtimeName": "python",
        "startTime": stamp(_STARTED),
        "packageVersion": plugin.manifest.version,
        "packageAuthor": "Nimbus",
        "packageUpdateMechanism": "external",
    }


@reads("health")
async def health(settings: SonarrSettings, downloads: Downloads, plugins: Plugins) -> list[Json]:
    """What is missing for searching and downloading; empty is well."""
    found = []
    try:
        if not any(one.ready for one in await downloads.providers()):
            found.append(("DownloadClientCheck", "error", "No plugin that downloads is enabled in Nimbus."))
        indexers = {one.id: one for one in await plugins.find()}
        indexer = indexers.get(settings.indexer)
        if indexer is None or not indexer.ready:
            found.append(
                ("IndexerSearchCheck", "warning", f"The plugin {settings.indexer} is not enabled in Nimbus.")
            )
        elif not indexer.callable:
            lacking = f"plugins:call:{settings.indexer}"
            found.append(("IndexerSearchCheck", "warning", f"The plugin lacks the permission {lacking} in Nimbus."))
    except CoreError as error:
        found.append(("SystemTimeCheck", "error", f"Nimbus does not answer: {error}"))
    return [{"source": source, "type": kind, "message": text, "wikiUrl": ""} for source, kind, text in found]


@reads("diskspace")
async def disk_space() -> list[Json]:
    """Nothing: the disks belong to the plugin that downloads."""
    return []
