"""A gateway on real sockets, in the test's own event loop, with a small registry and plugins made of raw sockets."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from nimbus_gateway.__main__ import server_config
from nimbus_gateway.application import Gateway, Parts
from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.settings import Settings
from nimbus_gateway.state import GatewayState
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import PluginDetail, Snapshot, SnapshotPlugin, UiAssets, Upstream
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tests.support.connections import tcp_server

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = Principal("user", "0198-alice", "Alice", "user", session_id="s-alice")
ADMIN = Principal("user", "0198-admin", "Admin", "admin", session_id="s-admin")
KEY = Principal("api-key", "k1", "script", "user", frozenset({"demo:read"}))


class FixedAuthenticator:
    """Knows three credentials; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.remembers = True
        self.revoked: set[str] = set()
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def revoke(self, credential: str) -> None:
        self.revoked.add(credential)
        for listener in self._listeners:
            listener()

    def key_of(self, credentials: Credentials) -> str | None:
        return f"api-key:{credentials.api_key}" if credentials.api_key else f"session:{credentials.session_cookie}"

    def remembered(self, key: str) -> Principal | None:
        kind, _, token = key.partition(":")
        credentials = Credentials(api_key=token) if kind == "api-key" else Credentials(token)
        return self._known(credentials) if self.remembers else None

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        self.asked += 1
        return self._known(credentials)

    def _known(self, credentials: Credentials) -> Principal | None:
        if (credentials.api_key or credentials.session_cookie) in self.revoked:
            return None
        if credentials.api_key is not None:
            return KEY if credentials.api_key == "nbk_good" else None
        return {"alice": ALICE, "admin": ADMIN}.get(credentials.session_cookie or "")


def manifest(routes: list[dict[str, Any]], plugin_id: str = "demo", **runtime: Any) -> Manifest:
    return Manifest.model_validate(
        {
            "manifestVersion": 1,
            "id": plugin_id,
            "name": plugin_id.title(),
            "version": "1.0.0",
            "runtime": {"process": {"command": ["true"]}, **runtime},
            "routes": routes,
        }
    )


def snapshot_plugin(
    described: Manifest,
    address: tuple[str, int] | None,
    *,
    state: str = "ready",
    enabled: bool = True,
    trusted: bool = True,
    ui: UiAssets | None = None,
) -> SnapshotPlugin:
    return SnapshotPlugin(
        detail=PluginDetail.model_validate(
            {
                "id": described.id,
                "name": described.name,
                "version": described.version,
                "enabled": enabled,
                "state": state,
                "since": NOW,
                "trusted": trusted,
                "source": f"folder:{described.id}",
                "createdAt": NOW,
                "updatedAt": NOW,
                "manifest": described,
            }
        ),
        upstream=None if address is None else Upstream(host=address[0], port=address[1]),
        token_sha256=None,
        ui=ui,
    )


@dataclass
class Request:
    """A request as a raw server read it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def get(self, name: str) -> str | None:
        found = self.all(name)
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        return [value for label, value in self.headers if label.lower() == name]


async def read_head(reader: asyncio.StreamReader) -> Request | None:
    """The next request's head, or None at the connection's end."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *rest = raw.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in rest)]
    return Request(method, target, headers)


async def read_body(reader: asyncio.StreamReader, request: Request) -> bytes:
    """A body by its framing."""
    if (length := request.get("content-length")) is not None:
        return await reader.readexactly(int(length))
    if request.get("transfer-encoding") != "chunked":
        return b""
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def respond(body: bytes = b"ok", status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    """A whole answer with Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class Echo:
    """A plugin that answers with what it was asked, and remembers it."""

    seen: list[Request] = field(default_factory=list)
    connections: int = 0
    headers: tuple[str, ...] = ()
    status: str = "200 OK"

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while (request := await read_head(reader)) is not None:
            request.body = await read_body(reader, request)
            self.seen.append(request)
            document = {
                "method": request.method,
                "target": request.target,
                "headers": request.headers,
                "body": request.body.decode("latin-1"),
            }
            body = b"" if request.method == "HEAD" else json.dumps(document).encode()
            writer.write(respond(body, self.status, ("Content-Type: application/json", *self.headers)))
            await writer.drain()


class SmallRegistry:
    """Serves a snapshot and its long poll."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.calls: list[str] = []
        self._changed = asyncio.Event()

    def publish(self, plugins: list[SnapshotPlugin]) -> int:
        generation = self.snapshot.generation + 1
        self.snapshot = Snapshot(generation=generation, instance="test", plugins=plugins)
        self._changed.set()
        self._changed = asyncio.Event()
        return generation

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read_head(reader)) is not None:
            await read_body(reader, request)
            self.calls.append(f"{request.method} {request.target}")
            if request.target.startswith("/v1/snapshot"):
                serving = f"serving={self.snapshot.generation}"
                if serving in request.target.split("?")[1].split("&") and "wait=0" not in request.target:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(20):
                            await self._changed.wait()
                body = self.snapshot.model_dump_json(by_alias=True, exclude_none=True).encode()
                writer.write(respond(body, headers=("Content-Type: application/json",)))
            else:
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()


async def _stub_api(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where the accounts' application is in production."""
    await JSONResponse({"api": scope["path"], "method": scope["method"]})(scope, receive, send)


@dataclass
class Running:
    """A gateway that runs."""

    gateway: Gateway
    registry: SmallRegistry
    server: uvicorn.Server
    authenticator: FixedAuthenticator
    port: int
    management_port: int
    token: str
    compat_ports: tuple[int, ...]

    @property
    def state(self) -> GatewayState:
        return self.gateway.state

    async def publish(self, *plugins: SnapshotPlugin) -> None:
        generation = self.registry.publish(list(plugins))
        assert await self.state.snapshots.wait_for(generation, 30)

    async def raw(self, data: bytes, *, port: int | None = None, limit: float = 30.0) -> bytes:
        """Everything that the gateway answers until it closes; ask it to with ``Connection: close``."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(limit):
                return await reader.read()
        finally:
            writer.close()

    async def get(
        self, path: str, *headers: str, method: str = "GET", body: bytes | None = None, port: int | None = None
    ) -> "Answer":
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        data = "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
        return Answer.parse(await self.raw(data, port=port))


@dataclass
class Answer:
    """A parsed answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "Answer":
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)]
        if ("transfer-encoding", "chunked") in headers:
            body = dechunk(body)
        return cls(int(first.split(" ")[1]), headers, body)

    def get(self, name: str) -> str | None:
        found = self.all(name)
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        return [value for label, value in self.headers if label == name]

    def json(self) -> Any:
        return json.loads(self.body)


def dechunk(data: bytes) -> bytes:
    """Decode a chunked body.

    Raises:
        ValueError: it has no proper end.
    """
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body
        body, data = body + data[:length], data[length + 2 :]
    raise ValueError("cut off")


@asynccontextmanager
async def running_gateway(
    folder: Path, *plugins: SnapshotPlugin, first: int = 1, **options: Any
) -> AsyncIterator[Running]:
    """A gateway with the shell's real parts; accounts and FastAPI are stood in for.

    It is handed over when it serves the snapshot of generation `first`.
    """
    authenticator = FixedAuthenticator()
    registry = SmallRegistry(Snapshot(generation=1, instance="test", plugins=list(plugins)))

    @asynccontextmanager
    async def accounts(state: GatewayState) -> AsyncIterator[None]:
        state.authenticator = authenticator
        yield

    async with tcp_server(registry) as address:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
        ports = [listener.getsockname()[1] for listener in sockets]
        (folder / "service-token").write_text("service-token-of-the-tests-of-this-gateway")
        settings = Settings(
            data_dir=folder,
            port=ports[0],
            core_port=ports[1],
            management_port=ports[2],
            compat_ports=tuple(sorted(ports[3:])),
            **{
                "registry_url": f"http://{address[0]}:{address[1]}",
                "web_dir": folder / "web",
                "drain_timeout": 2,
                **options,
            },
        )
        gateway = Gateway(
            settings, Parts(accounts=accounts, public_api=lambda _: _stub_api, core_api=lambda _: _stub_api)
        )
        config = server_config(settings)
        config.app = lambda: gateway
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve(sockets), name="gateway under test")
        try:
            async with asyncio.timeout(30):
                while not server.started:
                    assert not task.done(), task.result()
                    await asyncio.sleep(0.005)
            assert await gateway.state.snapshots.wait_for(first, 30)
            yield Running(
                gateway,
                registry,
                server,
                authenticator,
                ports[0],
                ports[2],
                "service-token-of-the-tests-of-this-gateway",
                settings.compat_ports,
            )
        finally:
            server.should_exit = True
            async with asyncio.timeout(30):
                await task


async def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds; fails at the deadline."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is anything, not an event
            await asyncio.sleep(0.005)
