"""A gateway for recording and replaying: a plugin that may everything, one that may nothing, one to be called, and a
person for whom a plugin acts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from nimbus_gateway.auth.authenticator import hash_token
from nimbus_gateway.auth.credentials_store import load_session
from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.core.calls.app import PluginCalls
from nimbus_gateway.edge import Edge
from nimbus_gateway.guard.app import Guard
from nimbus_gateway.migrations.run import migrate
from nimbus_sdk.contracts.snapshot import Upstream

from tests.contract.wire.traffic import PERSON
from tests.gateway.core.sinks import eventually, listener, open_sink, serve_plugins
from tests.gateway.core.test_calls import echoing
from tests.gateway.support import Nimbus, plugin, running_nimbus

FULL, BARE, TARGET = "full", "bare", "target"
GRANTS = ("media:read", "media:write", "downloads:*", "events:publish", f"plugins:call:{TARGET}")
SETTINGS = {
    "type": "object",
    "properties": {"limit": {"type": "integer", "minimum": 1, "default": 3}, "name": {"type": "string"}},
}


@dataclass(frozen=True)
class Stage:
    """The way to the core, and who may be acted for.

    Attributes:
        transport: to the whole core listener.
        issued: every identity token so far, with what stands for it in a recording.
    """

    nimbus: Nimbus
    transport: httpx.ASGITransport
    person: Principal
    issued: dict[str, str] = field(default_factory=dict)

    def identity(self) -> str:
        """A new identity token of the person, for the plugin `FULL`."""
        token = self.nimbus.state.signer.token(self.person, FULL)
        self.issued[token] = PERSON
        return token


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """The whole core listener over a database of its own."""
    url = f"sqlite:///{folder / 'gateway.db'}"
    migrate(url)
    async with open_sink() as sink, echoing() as echo, running_nimbus(folder, url) as nimbus:
        await serve_plugins(
            nimbus,
            listener(
                FULL,
                sink,
                capabilities=["downloader"],
                settings=SETTINGS,
                grants=GRANTS,
                events={"publish": [f"plugin.{FULL}.*"]},
                schedules=[{"id": "sweep", "cron": "0 3 * * *"}],
            ),
            plugin(BARE, grants=()),
            plugin(
                TARGET,
                routes=[
                    {"path": "/search", "methods": ["GET", "POST"], "auth": "apikey"},
                    {"path": "/admin", "methods": ["GET"], "auth": "apikey", "role": "admin"},
                ],
            ).model_copy(update={"upstream": Upstream(host="127.0.0.1", port=echo.port)}),
        )
        await eventually(lambda: _scheduled(nimbus))
        core = PluginCalls(nimbus.state, nimbus.core_app)
        guarded = Guard(core, nimbus.state.settings, any_host=True)
        transport = httpx.ASGITransport(Edge(guarded, nimbus.state.access_log, listener="core"))
        yield Stage(nimbus, transport, await _signed_in(nimbus))


async def _signed_in(nimbus: Nimbus) -> Principal:
    user = await nimbus.user()
    async with nimbus.state.database.read() as session:
        found = await load_session(session, hash_token(user.cookies["nimbus_session"]))
    assert found is not None
    return found.principal


async def _scheduled(nimbus: Nimbus) -> bool:
    return bool((await nimbus.plugin(FULL).get("/core/v1/schedules")).json()["items"])
