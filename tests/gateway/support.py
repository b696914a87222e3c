"""Building blocks of the account, core and API tests."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from nimbus_gateway.accounts import open_accounts
from nimbus_gateway.auth.identity import IdentitySigner
from nimbus_gateway.auth.passwords import Passwords
from nimbus_gateway.core.api import build_core_api
from nimbus_gateway.errors import GatewayError, PluginNotFoundError, RegistryUnavailableError
from nimbus_gateway.proxy.upstream import UpstreamPool
from nimbus_gateway.public_api import build_public_api
from nimbus_gateway.settings import Settings
from nimbus_gateway.state import GatewayState
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.control import MOST_LOG_LINES, ChangeResult, LogLine, ScanResult, TransitionPage
from nimbus_sdk.contracts.inspection import Diagnosis, DoctorCheck, Orphan, OrphanList, PluginMetrics, UsageSample
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import PluginDetail, Snapshot, SnapshotPlugin, Transition, UiAssets, Upstream
from pwdlib.hashers.argon2 import Argon2Hasher

ORIGIN = "http://nimbus.test"
ADMIN_PASSWORD = "correct horse battery"
START = datetime(2026, 1, 1, tzinfo=UTC)

SETTINGS_SCHEMA = {
    "type": "object",
    "properties": {
        "greeting": {"type": "string", "default": "Hello", "maxLength": 40},
        "retries": {"type": "integer", "minimum": 0, "maximum": 9},
        "token": {"type": "string", "x-secret": True, "minLength": 4},
    },
    "additionalProperties": False,
}


def cheap_passwords() -> Passwords:
    """Argon2 as it is, with parameters that cost no time."""
    return Passwords(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))


def manifest(plugin_id: str, **changes: Any) -> Manifest:
    document = {
        "manifestVersion": 1,
        "id": plugin_id,
        "name": plugin_id.title(),
        "version": "1.0.0",
        "runtime": {"process": {"command": ["python", "-m", plugin_id]}},
        "settings": SETTINGS_SCHEMA,
        "ui": {
            "bundle": "web/main.js",
            "isolation": "module",
            "navItems": [{"label": "Open"}, {"label": "Secret", "role": "admin"}],
            "pages": [{"path": "/", "title": "Page"}],
        },
    }
    return Manifest.model_validate({**document, **changes})


def token_of(plugin_id: str) -> str:
    return f"token-of-{plugin_id}"


def plugin(
    plugin_id: str,
    *,
    state: str = "ready",
    grants: tuple[str, ...] = ("media:read", "media:write"),
    trusted: bool = True,
    **changes: Any,
) -> SnapshotPlugin:
    """A plugin of a snapshot; running unless told otherwise."""
    described = manifest(plugin_id, **changes)
    running = state in {"ready", "degraded"}
    detail = PluginDetail(
        id=plugin_id,
        name=described.name,
        version=described.version,
        enabled=running,
        state=state,
        since=START,
        trusted=trusted,
        source=f"folder:{plugin_id}",
        created_at=START,
        updated_at=START,
        manifest=described,
    )
    return SnapshotPlugin(
        detail=detail,
        upstream=Upstream(host="127.0.0.1", port=9) if running else None,
        token_sha256=hashlib.sha256(token_of(plugin_id).encode()).hexdigest() if running else None,
        grants=list(grants),
        ui=UiAssets(content_hash="abc123", files={"web/main.js": "00"}) if running else None,
    )


class RegistryDouble:
    """Answers as the registry would; `failure` is raised instead when it is set."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self.reachable = True
        self.failure: GatewayError | None = None
        self.asked: list[tuple[str, str, str, int]] = []
        self.lines: list[LogLine] = []
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: dict[tuple[str, str], WireModel] = {}
        self.history: list[Transition] = []
        self.settled = True
        self.configured: list[tuple[str, str]] = []
        self.spans: list[str] = []
        self.archive = b""
        self._changed = asyncio.Event()

    def set_reachable(self, reachable: bool) -> None:
        self.reachable = reachable
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def reachability(self) -> AsyncIterator[bool]:
        while True:
            await self._changed.wait()
            yield self.reachable

    async def _change(self, verb: str, state: str, plugin_id: str, cause: str, wait: int) -> ChangeResult:
        self.asked.append((verb, plugin_id, cause, wait))
        if self.failure is not None:
            raise self.failure
        current = self._state.snapshots.current
        if plugin_id not in current.plugins:
            raise PluginNotFoundError(f"There is no plugin {plugin_id!r}.")
        changed = plugin(plugin_id, state=state)
        changed.detail.manifest = current.plugins[plugin_id].detail.manifest
        others = [entry for key, entry in current.plugins.items() if key != plugin_id]
        generation = current.generation + 1
        self._state.snapshots.swap(Snapshot(generation=generation, instance="test", plugins=[*others, changed]))
        return ChangeResult(plugin=changed.detail, generation=generation, settled=self.settled)

    async def plugins(self) -> list[PluginDetail]:
        if not self.reachable:
            raise RegistryUnavailableError("away")
        return [one.detail for one in self._state.snapshots.current.plugins.values()]

    async def enable(
        self, plugin_id: str, cause: str, wait: int = 0, *, with_dependencies: bool = False
    ) -> ChangeResult:
        return await self._change("enable", "ready", plugin_id, cause, wait)

    async def disable(
        self, plugin_id: str, cause: str, wait: int = 0, *, cascade: bool = False, force: bool = False
    ) -> ChangeResult:
        return await self._change("disable", "disabled", plugin_id, cause, wait)

    async def restart(self, plugin_id: str, cause: str, wait: int = 0) -> ChangeResult:
        return await self._change("restart", "ready", plugin_id, cause, wait)

    async def tell_configured(self, plugin_id: str, cause: str) -> None:
        self.configured.append((plugin_id, cause))
        if self.failure is not None:
            raise self.failure

    async def scan(self) -> ScanResult:
        if self.failure is not None:
            raise self.failure
        return ScanResult(added=["fresh"])

    async def all_transitions(self, after: int, limit: int = 200) -> TransitionPage:
        if not self.reachable:
            raise RegistryUnavailableError("away")
        return TransitionPage(items=[item for item in self.history if item.id > after][:limit])

    async def transitions(self, plugin_id: str, after: int | None = None, limit: int = 100) -> TransitionPage:
        if plugin_id not in self._state.snapshots.current.plugins:
            raise PluginNotFoundError(plugin_id)
        return TransitionPage(items=[], next=None)

    async def doctor(self, plugin_id: str) -> Diagnosis:
        if self.failure is not None:
            raise self.failure
        check = DoctorCheck(hop="tcp", status="failed", message="Nothing accepts connections.", hint="Listen.")
        return Diagnosis(
            plugin_id=plugin_id,
            state="ready",
            at=START,
            healthy=False,
            summary="The first hop that fails is tcp.",
            first_failed="tcp",
            checks=[check],
        )

    async def metrics(self, plugin_id: str, span: str = "1h") -> PluginMetrics:
        self.spans.append(span)
        if self.failure is not None:
            raise self.failure
        current = UsageSample(at=START, cpu=0.25, memory=1000)
        return PluginMetrics(
            plugin_id=plugin_id,
            state="ready",
            restarts=3,
            failures=1,
            memory_limit=2000,
            cpu_seconds=1.5,
            current=current,
            interval=10,
            history=[current],
        )

    async def orphans(self) -> OrphanList:
        if self.failure is not None:
            raise self.failure
        return OrphanList(items=[Orphan(kind="image", name="old:1", size=10, listed_at=START)])

    async def collect_orphans(self) -> OrphanList:
        return OrphanList(items=[], removed=(await self.orphans()).items)

    async def all_metrics(self) -> list[PluginMetrics]:
        return [await self.metrics("hello")]

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Calls without a method of their own: what a test put there, by method and path."""
        self.calls.append((method, path, options))
        if self.failure is not None:
            raise self.failure
        if (method, path) not in self.answers:
            raise PluginNotFoundError(f"There is nothing at {path}.")
        return httpx.Response(200, json=self.answers[method, path].wire())

    @asynccontextmanager
    async def streamed(self, method: str, path: str, **options: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        """The data of a plugin, as a test put them into `archive`."""
        self.calls.append((method, path, options))
        if self.failure is not None:
            raise self.failure

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(self.archive), 1000):
                yield self.archive[start : start + 1000]

        yield pieces()

    async def upload(self, method: str, path: str, content: AsyncIterator[bytes], **options: Any) -> httpx.Response:
        received = b"".join([piece async for piece in content])
        answer = await self.call(method, path, **options)
        self.archive = received
        return answer

    @asynccontextmanager
    async def logs(self, plugin_id: str, *, tail: int = 200, follow: bool = False) -> AsyncIterator[Any]:
        if not self.reachable:
            raise RegistryUnavailableError("away")
        assert tail <= MOST_LOG_LINES, "the registry refuses more"

        async def lines() -> AsyncIterator[LogLine]:
            for line in self.lines[-tail:]:
                yield line
            if follow:
                await asyncio.Event().wait()

        yield lines()


class Nimbus:
    """One worker of a gateway on a database, with clients for its two APIs."""

    def __init__(self, state: GatewayState) -> None:
        self.state = state
        self.public_app = build_public_api(state)
        self.core_app = build_core_api(state)
        self._open: list[httpx.AsyncClient] = []

    @property
    def registry(self) -> RegistryDouble:
        found: Any = self.state.registry
        return found

    def client(
        self, app: Any = None, *, headers: Mapping[str, str] | None = None, address: str = "192.0.2.7"
    ) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app or self.public_app, client=(address, 40000))
        client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)
        self._open.append(client)
        return client

    def browser(self, address: str = "192.0.2.7") -> httpx.AsyncClient:
        """Nobody yet, with the headers of a page of this gateway."""
        return self.client(headers={"Origin": ORIGIN}, address=address)

    async def admin(self) -> httpx.AsyncClient:
        return await self.signed_in("admin", ADMIN_PASSWORD)

    async def signed_in(self, username: str, password: str) -> httpx.AsyncClient:
        browser = self.browser()
        answer = await browser.post("/api/auth/login", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return browser

    async def user(self, name: str = "ada") -> httpx.AsyncClient:
        admin = await self.admin()
        body = {"username": name, "password": "ada has a password"}
        answer = await admin.post("/api/admin/users", json=body)
        assert answer.status_code == 201, answer.text
        return await self.signed_in(name, body["password"])

    async def with_key(self, *scopes: str) -> httpx.AsyncClient:
        admin = await self.admin()
        answer = await admin.post("/api/admin/api-keys", json={"name": "robot", "scopes": list(scopes)})
        assert answer.status_code == 201, answer.text
        return self.client(headers={"Authorization": f"Bearer {answer.json()['key']}"})

    def plugin(self, plugin_id: str) -> httpx.AsyncClient:
        """The core API as a plugin calls it."""
        return self.client(self.core_app, headers={"Authorization": f"Bearer {token_of(plugin_id)}"})

    async def close(self) -> None:
        for client in self._open:
            await client.aclose()


@asynccontextmanager
async def running_nimbus(folder: Path, url: str, **settings: Any) -> AsyncIterator[Nimbus]:
    """A worker on a database; several may run on one."""
    options = {"admin_password": ADMIN_PASSWORD, **settings}
    state = GatewayState(Settings(data_dir=folder, gateway_database_url=url, **options))
    state.signer = IdentitySigner(folder / "signing-keys.json", "test")
    double: Any = RegistryDouble(state)
    state.registry = double
    state.upstreams = UpstreamPool()
    async with open_accounts(state, cheap_passwords()):
        snapshot = Snapshot(
            generation=1,
            instance="test",
            plugins=[plugin("hello"), plugin("other", grants=()), plugin("asleep", state="disabled")],
        )
        state.snapshots.swap(snapshot)
        nimbus = Nimbus(state)
        try:
            yield nimbus
        finally:
            await nimbus.close()
            await state.upstreams.close()


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Check that the answer is a problem of that kind; returns its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"/problems/{kind}"
    assert body["status"] == status
    return body
