"""What only the platform calls: `/_nimbus/health`, `/_nimbus/lifecycle`, `/_nimbus/events`, `/_nimbus/ui`."""

import asyncio
import json
import logging
import mimetypes
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from nimbus_sdk.callers import Caller
from nimbus_sdk.checks import run_checks
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.events import CloudEvent
from nimbus_sdk.contracts.identity import HEADER_REQUEST_ID
from nimbus_sdk.contracts.plugin_api import (
    EVENTS_PATH,
    HEALTH_PATH,
    LIFECYCLE_PATH,
    UI_PATH,
    Health,
    LifecycleEvent,
    UiFiles,
)
from nimbus_sdk.contracts.problem import Problem
from nimbus_sdk.errors import ManifestError, NimbusError, NotReady, Unavailable
from nimbus_sdk.events import NobodyWants
from nimbus_sdk.identity import InvalidToken, KeysUnavailable
from nimbus_sdk.injection import Hook
from nimbus_sdk.problems import problem, send_problem
from nimbus_sdk.ui import Bundle, collect

if TYPE_CHECKING:
    from nimbus_sdk.server import PluginServer

MAX_LIFECYCLE_BYTES = 64 * 1024
MAX_EVENT_BYTES = 1024 * 1024
log = logging.getLogger("nimbus_sdk")


class _Refused(Exception):  # noqa: N818 - carries the answer
    def __init__(self, found: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(found.detail)
        self.problem = found
        self.headers = headers


class PlatformCalls:
    """The platform's side door. Everything but a bare health answer needs the platform's identity."""

    def __init__(self, server: "PluginServer") -> None:
        self._server = server
        self._bundle: tuple[Bundle, dict[str, str]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, for paths under `/_nimbus/`."""
        method, path = scope["method"], scope["path"]
        try:
            if path == HEALTH_PATH and method in ("GET", "HEAD"):
                await self._health(scope, send)
            elif path == LIFECYCLE_PATH and method == "POST":
                await self._lifecycle(scope, Request(scope, receive), send)
            elif path == EVENTS_PATH and method == "POST":
                await self._event(scope, Request(scope, receive), send)
            elif path == UI_PATH and method == "GET":
                await self._ui_list(scope, send)
            elif path.startswith(f"{UI_PATH}/") and method == "GET":
                await self._ui_file(scope, unquote(path.removeprefix(f"{UI_PATH}/")), send)
            else:
                await send_problem(send, problem(404, f"{method} {path} is no call of this contract."))
        except _Refused as refused:
            found = refused.problem.model_copy(update={"instance": Headers(scope=scope).get(HEADER_REQUEST_ID)})
            await send_problem(send, found, refused.headers)

    async def _caller(self, scope: Scope) -> Caller | None:
        try:
            return await self._server.caller(scope)
        except InvalidToken as error:
            raise _Refused(problem(401, f"The identity token does not hold: {error}.")) from error
        except KeysUnavailable as error:
            detail = "The plugin cannot fetch the core's keys, so it cannot know that Nimbus calls."
            raise _Refused(problem(503, detail), {"retry-after": "1"}) from error

    async def _require_platform(self, scope: Scope) -> None:
        caller = await self._caller(scope)
        if caller is None:
            raise _Refused(problem(401, "Only Nimbus itself may call this."))
        if caller.kind != "platform":
            raise _Refused(problem(403, "Only Nimbus itself may call this."))

    async def _health(self, scope: Scope, send: Send) -> None:
        """With the platform's identity in full; to others only whether it serves, as any liveness probe asks."""
        caller = await self._caller(scope)
        if caller is not None and caller.kind != "platform":
            raise _Refused(problem(403, "Only Nimbus itself may call this."))
        checks = await run_checks(self._server, self._server.plugin.checks) + self._server.background.checks()
        statuses = {check.status for check in checks}
        health = Health(
            status="degraded" if statuses - {"ok"} else "ok",
            version=self._server.plugin.manifest.version,
            checks=checks if caller is not None else [],
        )
        await _send_json(send, 503 if "failed" in statuses else 200, health)

    async def _lifecycle(self, scope: Scope, request: Request, send: Send) -> None:
        await self._require_platform(scope)
        try:
            event = LifecycleEvent.model_validate_json(await _body(request, MAX_LIFECYCLE_BYTES))
        except ValidationError as error:
            raise _Refused(problem(422, "The lifecycle event does not fit the contract.")) from error
        self._server.forget_settings()
        hooks = self._server.plugin.lifecycle_hooks.get(event.event, [])
        await self._run_hooks(event, hooks)
        if event.event == "enabled":
            self._server.background.start()
        if not hooks:
            raise _Refused(problem(404, f"The plugin is not interested in {event.event}."))
        await _send_nothing(send)

    async def _run_hooks(self, event: LifecycleEvent, hooks: Sequence[Hook]) -> None:
        for hook in hooks:
            try:
                await hook(self._server, event=event)
            except NimbusError as error:
                log.exception("lifecycle hook failed", extra={"nimbus_fields": {"hook": hook.name}})
                raise _Refused(problem(500, f"{hook.name}: {error}")) from error
            except Exception as error:
                log.exception("lifecycle hook failed", extra={"nimbus_fields": {"hook": hook.name}})
                raise _Refused(problem(500, f"{hook.name}: {type(error).__name__}: {error}")) from error

    async def _event(self, scope: Scope, request: Request, send: Send) -> None:
        """2xx: done; 410: do not send such events; anything else: send it again later."""
        await self._require_platform(scope)
        try:
            event = CloudEvent.model_validate_json(await _body(request, MAX_EVENT_BYTES))
        except ValidationError as error:
            raise _Refused(problem(422, "This is no CloudEvent 1.0 in JSON.")) from error
        try:
            await self._server.events.deliver(event)
        except NobodyWants as reason:
            raise _Refused(problem(410, str(reason))) from reason
        except (NotReady, Unavailable) as reason:
            raise _Refused(problem(503, str(reason)), {"retry-after": "5"}) from reason
        except Exception as error:
            raise _Refused(problem(500, f"{type(error).__name__}: {error}")) from error
        await _send_nothing(send)

    async def _files(self) -> tuple[Bundle, dict[str, str]]:
        ui = self._server.plugin.manifest.ui
        if ui is None:
            raise _Refused(problem(404, "The plugin has no user interface."))
        if self._bundle is None:

            def load() -> tuple[Bundle, dict[str, str]]:
                bundle = collect(self._server.plugin.root, ui.bundle)
                return bundle, bundle.hashes()

            try:
                self._bundle = await asyncio.to_thread(load)
            except (ManifestError, OSError) as error:
                raise _Refused(problem(500, str(error))) from error
        return self._bundle

    async def _ui_list(self, scope: Scope, send: Send) -> None:
        await self._require_platform(scope)
        self._bundle = None  # the list is asked for once per version; while developing, files change under it
        _, hashes = await self._files()
        await _send_json(send, 200, UiFiles(files=hashes))

    async def _ui_file(self, scope: Scope, name: str, send: Send) -> None:
        """One file, looked up by its name in the list; a name is never joined to a folder."""
        await self._require_platform(scope)
        bundle, _ = await self._files()
        path = bundle.files.get(name)
        if path is None:
            raise _Refused(problem(404, f"{name} is not part of the UI bundle."))
        content = await asyncio.to_thread(path.read_bytes)
        kind = "text/javascript" if path.suffix in {".js", ".mjs"} else mimetypes.guess_type(path.name)[0]
        await _send(send, 200, kind or "application/octet-stream", content)


async def _body(request: Request, most: int) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > most:
            raise _Refused(problem(413, f"This call has at most {most} bytes."))
    return bytes(received)


async def _send_nothing(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _send_json(send: Send, status: int, model: WireModel) -> None:
    await _send(send, status, "application/json", json.dumps(model.wire()).encode())


async def _send(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
