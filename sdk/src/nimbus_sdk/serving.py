"""Running a plugin on uvicorn: sockets, log set-up, drain at SIGTERM."""

import contextlib
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import uvicorn
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount, WebSocketRoute

from nimbus_sdk import logs
from nimbus_sdk.environment import Environment
from nimbus_sdk.errors import ManifestError
from nimbus_sdk.server import PluginServer

if TYPE_CHECKING:
    from nimbus_sdk.plugin import Plugin

DRAIN_SECONDS = 8
"""Requests under way at SIGTERM may take this long; the platform kills after ten seconds."""

KEEP_ALIVE_SECONDS = 75
"""Longer than the gateway keeps idle connections, so that it is never the plugin that closes one."""


class _Runner(uvicorn.Server):
    """uvicorn's, which at a signal ends the streams of events before it waits for what is under way."""

    def __init__(self, config: uvicorn.Config, served: PluginServer) -> None:
        super().__init__(config)
        self._served = served

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything."""
        self._served.streams.end()
        await super().shutdown(sockets)


def takes_websockets(routes: Sequence[BaseRoute]) -> bool:
    """Whether a WebSocket route is among the routes; a mounted app may have some, so it counts as one."""
    found = (context.original_route for context in iter_route_contexts(routes))
    return any(isinstance(route, WebSocketRoute | Mount) for route in found)


def serve(plugin: "Plugin") -> None:
    """Serve `plugin` until a signal ends it. See `Plugin.run`."""
    try:
        environment = Environment.read()
        handler = logs.install(environment.log_level)
        server = PluginServer(plugin, environment, logs=handler)
    except (ManifestError, ValueError) as error:
        print(f"{plugin.manifest.id} cannot start: {error}", file=sys.stderr, flush=True)  # noqa: T201
        raise SystemExit(1) from None
    port = environment.port if environment.port is not None else plugin.manifest.runtime.port
    if environment.core_url is None:
        print(  # noqa: T201 - for whoever runs it by hand
            f"{plugin.manifest.id} runs without Nimbus on http://{environment.host}:{port}: routes with auth none "
            "answer, nobody is recognised, calls to the core fail",
            file=sys.stderr,
            flush=True,
        )
    runner = _Runner(
        uvicorn.Config(
            server,
            host=environment.host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            lifespan="on",
            ws="auto" if takes_websockets(plugin.app.router.routes) else "none",
        ),
        server,
    )
    with (
        plugin.served_by(server),
        contextlib.suppress(KeyboardInterrupt),
    ):  # uvicorn raises the signal again once everything is closed
        runner.run()
