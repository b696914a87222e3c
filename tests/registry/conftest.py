"""What the registry's tests share: both databases, plugin folders, and a registry in the test's own process."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from nimbus_registry.api.context import Context
from nimbus_registry.lifecycle import failing, reconcile
from nimbus_registry.main import create_app
from nimbus_registry.settings import RegistrySettings

from tests.registry.fake_gateway import FakeGateway
from tests.registry.fake_runtime import Engine, FakeRuntime
from tests.support.postgres import temporary_database

DEADLINE = 20.0

# The default formatter of exceptions prints every local variable, which takes seconds.
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the test, not from the shell that runs it."""
    for name in list(os.environ):
        if name.startswith("NIMBUS_") and name != "NIMBUS_TEST_POSTGRES_URL":
            monkeypatch.delenv(name)
    for name in ("PLUGINS_DIR", "ENABLE_PLUGINS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'registry.db'}"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with temporary_database("nimbus_registry") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Every test with this runs on both databases."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def manifest(plugin_id: str = "hello", **changes: Any) -> dict[str, Any]:
    """A small valid manifest."""
    return {
        "manifestVersion": 1,
        "id": plugin_id,
        "name": plugin_id.title(),
        "version": "1.0.0",
        "runtime": {"image": f"example/{plugin_id}:1.0.0", "timeouts": {"start": "2s"}},
        "routes": [{"path": "/hello", "auth": "none"}],
        "permissions": ["media:read"],
        **changes,
    }


@dataclass
class Folder:
    """The plugins folder of a test."""

    path: Path

    def write(self, name: str, content: dict[str, Any] | str | bytes) -> Path:
        """Put a manifest into a folder of this name."""
        target = self.path / name / "manifest.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def add(self, plugin_id: str = "hello", **changes: Any) -> Path:
        """Put a valid plugin into the folder of its name."""
        return self.write(plugin_id, manifest(plugin_id, **changes))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "plugins"
    path.mkdir()
    return Folder(path)


@dataclass
class Registry:
    """A running registry."""

    app: FastAPI
    context: Context
    runtime: FakeRuntime
    gateway: FakeGateway
    client: httpx.AsyncClient

    async def plugin(self, plugin_id: str = "hello") -> dict[str, Any]:
        """The plugin as the API shows it."""
        answer = await self.client.get(f"/v1/plugins/{plugin_id}")
        assert answer.status_code == 200, answer.text
        detail: dict[str, Any] = answer.json()
        return detail

    async def ask(self, what: str, plugin_id: str = "hello", *, wait: float = DEADLINE) -> httpx.Response:
        """Enable, disable or restart."""
        return await self.client.post(
            f"/v1/plugins/{plugin_id}/{what}", params={"wait": wait}, json={"cause": "user:tester"}
        )

    async def until(self, condition: Callable[[], bool], limit: float = DEADLINE) -> None:
        """Wait until something holds in the ledger, the engine or the gateway."""
        async with asyncio.timeout(limit):
            while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.005)

    async def until_state(self, state: str, plugin_id: str = "hello", limit: float = DEADLINE) -> None:
        """Wait until a plugin is in a state."""
        records = self.context.ledger.records
        assert await self.context.ledger.pulse.until(lambda: records[plugin_id].state == state, limit), (
            f"{plugin_id} is {records[plugin_id].state}, not {state}: {records[plugin_id].reason}"
        )

    async def until_went_through(self, state: str, times: int = 1, plugin_id: str = "hello") -> dict[str, Any]:
        """Wait until a plugin has been in a state so many times, however shortly; the last such transition."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(DEADLINE):
            while len(found) < times:
                await asyncio.sleep(0.005)
                found = [row for row in await self._transitions(plugin_id) if row["toState"] == state]
        return found[-1]

    async def history(self, plugin_id: str = "hello") -> list[str]:
        """The states that a plugin went through."""
        return [item["toState"] for item in await self._transitions(plugin_id)]

    async def _transitions(self, plugin_id: str) -> list[dict[str, Any]]:
        answer = await self.client.get(f"/v1/plugins/{plugin_id}/transitions", params={"limit": 500})
        rows: list[dict[str, Any]] = answer.json()["items"]
        return rows


@dataclass
class World:
    """What outlives a registry: its database, its plugin folders and the engine."""

    settings: dict[str, Any]
    folder: Folder
    engine: Engine

    @asynccontextmanager
    async def registry(self, *, runtime: FakeRuntime | None = None, **settings: Any) -> AsyncIterator[Registry]:
        """A registry that runs until the block ends."""
        runtime = runtime or FakeRuntime(self.engine)
        gateway = FakeGateway(runtime)
        options = RegistrySettings(**(self.settings | settings))
        app = create_app(options, make_runtime=lambda _: runtime, gateway=gateway)
        async with asyncio.timeout(60), app.router.lifespan_context(app):
            context: Context = app.state.context
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            headers = {"Authorization": f"Bearer {context.token}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://registry", headers=headers) as client:
                client.timeout = httpx.Timeout(60)
                yield Registry(app, context, runtime, gateway, client)


def _world(tmp_path: Path, folder: Folder, url: str) -> World:
    settings = {
        "data_dir": tmp_path / "data",
        "plugins_dir": folder.path,
        "database_url": url,
        "instance": "test",
        "database_wait": 5,
    }
    return World(settings, folder, Engine())


@pytest.fixture
def world(tmp_path: Path, folder: Folder, sqlite_url: str) -> World:
    """A world on SQLite, for what does not depend on the database."""
    return _world(tmp_path, folder, sqlite_url)


@pytest.fixture
def either_world(tmp_path: Path, folder: Folder, database_url: str) -> World:
    """A world on each database."""
    return _world(tmp_path, folder, database_url)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses where the test is about what follows them, not about their length."""
    monkeypatch.setattr("nimbus_registry.lifecycle.backoff.FIRST_SECONDS", 0.02)
    monkeypatch.setattr("nimbus_registry.lifecycle.health.INTERVAL_SECONDS", 0.03)
    monkeypatch.setattr(failing, "ENGINE_PAUSE", 0.05)
    monkeypatch.setattr(reconcile, "PASS_SECONDS", 0.2)
    monkeypatch.setattr(reconcile, "_ENGINE_PAUSE", 0.05)
