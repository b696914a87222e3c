"""Schemathesis against both OpenAPI documents: no 5xx, no status that is not declared.

Left out: the endless streams, which have tests of their own, and signing out, which would end the session that
the other calls use.
"""

import asyncio
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings
from nimbus_gateway.core.api import build_core_api
from nimbus_gateway.public_api import build_public_api
from nimbus_gateway.settings import Settings
from nimbus_gateway.state import GatewayState
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance
from schemathesis.wfc import escalation

from tests.gateway.support import ORIGIN, Nimbus, running_nimbus, token_of
from tests.support.fuzz import send_no_archives

# schemathesis imports it when it is first needed, deep below hypothesis; compiling it there breaks Python 3.11, which
# counts the depth of the stack against its syntax trees.
_COMPILED_EARLY = escalation

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]
START_SECONDS = 30
FUZZ = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


send_no_archives()


@schemathesis.serializer("application/x-ndjson")
def one_line(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """A body of one line; the calls that take many have tests of their own."""
    return json.dumps(value).encode()


@dataclass
class Served:
    """A worker on a real port, and what its callers send."""

    url: str
    cookie: str


class Server(threading.Thread):
    """Runs one worker, both of its applications on one port, on an event loop of its own."""

    def __init__(self, folder: Path, url: str, listener: socket.socket) -> None:
        super().__init__(name="fuzzed gateway")
        self._folder = folder
        self._url = url
        self._listener = listener
        self.ready = threading.Event()
        self.served: Served | None = None
        self.server: uvicorn.Server | None = None

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with running_nimbus(self._folder, self._url) as nimbus:

            async def both(scope: Any, receive: Any, send: Any) -> None:
                core = scope["path"].startswith("/core/")
                await (nimbus.core_app if core else nimbus.public_app)(scope, receive, send)

            self.served = await self._describe(nimbus)
            config = uvicorn.Config(both, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
            self.server = uvicorn.Server(config)
            self.ready.set()
            await self.server.serve([self._listener])

    async def _describe(self, nimbus: Nimbus) -> Served:
        admin = await nimbus.admin()
        host, port = self._listener.getsockname()
        return Served(f"http://{host}:{port}", f"nimbus_session={admin.cookies['nimbus_session']}")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copy(sqlite_template, folder / "gateway.db")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Server(folder, f"sqlite:///{folder / 'gateway.db'}", listener)
        thread.start()
        assert thread.ready.wait(START_SECONDS)
        assert thread.served is not None
        assert thread.server is not None
        yield thread.served
        thread.server.should_exit = True
        thread.join(START_SECONDS)
        assert not thread.is_alive()


def _schema(app: Any) -> Any:
    return schemathesis.openapi.from_dict(app.openapi())


_STATE = GatewayState(Settings())
public_schema = _schema(build_public_api(_STATE)).exclude(path=["/api/events/stream", "/api/auth/logout"])
public_schema = public_schema.exclude(path_regex="/logs$")
core_schema = _schema(build_core_api(_STATE))


@pytest.mark.slow
@public_schema.parametrize()
@FUZZ
def test_the_public_api(case: Any, served: Served):
    headers = {"Cookie": served.cookie, "Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
    case.call_and_validate(base_url=served.url, headers=headers, checks=CHECKS, timeout=20)


@pytest.mark.slow
@core_schema.parametrize()
@FUZZ
def test_the_core_api(case: Any, served: Served):
    headers = {"Authorization": f"Bearer {token_of('hello')}"}
    case.call_and_validate(base_url=served.url, headers=headers, checks=CHECKS, timeout=20)
