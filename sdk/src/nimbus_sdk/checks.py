"""Readiness checks of the author, run together and with a deadline."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nimbus_sdk.contracts.plugin_api import HealthCheck
from nimbus_sdk.errors import Degraded, NotReady
from nimbus_sdk.injection import Hook

if TYPE_CHECKING:
    from nimbus_sdk.server import PluginServer

CHECK_TIMEOUT = 1.5
"""Seconds for all checks together; the platform waits two for the whole answer."""


async def run_checks(server: "PluginServer", checks: Sequence[Hook]) -> list[HealthCheck]:
    """The result of every check. One that raises `NotReady` or fails otherwise fails; `Degraded` degrades."""
    if not checks:
        return []
    return list(await asyncio.gather(*(_run(server, check) for check in checks)))


async def _run(server: "PluginServer", check: Hook) -> HealthCheck:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            await check(server)
    except Degraded as reason:
        return HealthCheck(name=check.name, status="degraded", detail=str(reason))
    except NotReady as reason:
        return HealthCheck(name=check.name, status="failed", detail=str(reason))
    except TimeoutError:
        return HealthCheck(name=check.name, status="failed", detail=f"no answer within {CHECK_TIMEOUT} s")
    except Exception as error:  # noqa: BLE001 - a check is the author's code; whatever it raises is its answer
        return HealthCheck(name=check.name, status="failed", detail=f"{type(error).__name__}: {error}")
    return HealthCheck(name=check.name, status="ok")
