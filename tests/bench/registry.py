"""A stand-in for the registry: hands the gateway one snapshot and holds its watch open.

It speaks the snapshot call of the real one and nothing else; the gateway under test does not know better.
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from nimbus_sdk.contracts.manifest import Manifest, ProcessRuntime, Route, Runtime
from nimbus_sdk.contracts.snapshot import PluginDetail, Snapshot, SnapshotPlugin, Upstream

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_LONGEST_WAIT = 30.0


def serving_plugin(plugin_id: str, routes: Sequence[Route], port: int, *, host: str = "127.0.0.1") -> SnapshotPlugin:
    """An entry of the snapshot for a plugin that is ready."""
    manifest = Manifest(
        manifest_version=1,
        id=plugin_id,
        name=plugin_id.capitalize(),
        version="1.0.0",
        runtime=Runtime(process=ProcessRuntime(command=["true"]), port=port, max_body="1g"),
        routes=list(routes),
    )
    detail = PluginDetail(
        id=plugin_id,
        name=manifest.name,
        version=manifest.version,
        enabled=True,
        state="ready",
        since=_SINCE,
        trusted=True,
        source=f"folder:{plugin_id}",
        created_at=_SINCE,
        updated_at=_SINCE,
        manifest=manifest,
    )
    return SnapshotPlugin(detail=detail, upstream=Upstream(host=host, port=port))


def key_route(path: str, method: str = "GET") -> Route:
    """A route that an API key opens."""
    return Route(path=path, methods=[method], auth="apikey")


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A gateway that stops leaves its watch without waiting for the answer."""


class RegistryStandIn:
    """Serves one snapshot, generation 1, on a loopback port of its own for the length of a block."""

    def __init__(self, plugins: Sequence[SnapshotPlugin], *, instance: str = "nimbus") -> None:
        snapshot = Snapshot(generation=1, instance=instance, plugins=list(plugins))
        body = snapshot.model_dump_json(by_alias=True, exclude_none=True).encode()
        self._closing = threading.Event()
        closing = self._closing

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = parse_qs(url.query)
                if url.path in {"/healthz", "/readyz"}:
                    self._answer(HTTPStatus.OK, b"{}")
                elif url.path != "/v1/snapshot":
                    self._answer(HTTPStatus.NOT_FOUND, b"{}")
                elif query.get("serving") == ["1"]:
                    closing.wait(min(_LONGEST_WAIT, float(query.get("wait", ["0"])[0])))
                    self._answer(HTTPStatus.NO_CONTENT, b"")
                else:
                    self._answer(HTTPStatus.OK, body)

            def do_DELETE(self) -> None:
                self._answer(HTTPStatus.NO_CONTENT, b"")

            def _answer(self, status: HTTPStatus, content: bytes) -> None:
                self.send_response(status)
                if status is not HTTPStatus.NO_CONTENT:
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
                """Nothing is logged: the gateway's own log says what it got."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="registry-stand-in", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
