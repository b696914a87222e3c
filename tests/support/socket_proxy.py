"""The socket proxy's rules without an engine: HAProxy with its real configuration before what notes the calls."""

import http.client
import http.server
import json
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.support.api import wait_until
from tests.support.engine import ROOT, missing

_RULES = ROOT / "deploy" / "compose" / "socket-proxy" / "haproxy.cfg"
_ANSWERS: Mapping[tuple[str, str], object] = {
    ("GET", "_ping"): {},
    ("GET", "version"): {"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "27.0.0"},
    ("GET", "info"): {},
    ("POST", "create"): {"Id": "a1", "Warnings": []},
    ("POST", "build"): {"stream": "built"},
    ("POST", "start"): {},
    ("POST", "wait"): {"StatusCode": 0},
    ("PUT", "archive"): {},
    ("DELETE", ""): {},
}
"""By method and the end of the path. Whatever else is asked is not there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A call that reached the engine."""

    method: str
    path: str
    body: bytes
    upgrade: str | None
    """The other protocol that it asks for."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class SocketProxy:
    """A proxy that runs: where it is asked, and what got through."""

    front: Path
    reached: list[Seen] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Its address as in DOCKER_HOST."""
        return f"unix://{self.front}"

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, list[Seen]]:
        """The status of the answer, and what reached the engine for it.

        Args:
            method: the method.
            path: the path, sent as it is.
            body: sent as it is when it is text, else as JSON.
            headers: further ones, `_` for `-`.
        """
        before = len(self.reached)
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        named = {"Content-Type": "application/json"} if data is not None else {}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = _Connection(self.front)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # an answer that came before the body was sent
                connection.request(method, path, data, named)
            return connection.getresponse().status, self.reached[before:]
        finally:
            connection.close()


class _Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, seen: list[Seen]) -> None:
        super().__init__(str(path), _Calls)
        self.seen = seen


class _Calls(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Engine

    def answer(self) -> None:
        self.server.seen.append(Seen(self.command, self.path, b"".join(self._body()), self.headers.get("Upgrade")))
        end = self.path.partition("?")[0].rpartition("/")[2]
        found: Any = _ANSWERS.get((self.command, end), _ANSWERS.get((self.command, "")))
        text = json.dumps({"message": "no such thing"} if found is None else found).encode()
        self.send_response(HTTPStatus.NOT_FOUND if found is None else HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def address_string(self) -> str:
        return "proxy"

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def running_socket_proxy(folder: Path) -> Iterator[SocketProxy]:
    """Run one for as long as the block lasts, with the rules that are shipped."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
    if program is None:
        missing("HAProxy is not installed; get it with: apt-get install haproxy")
    proxy, behind = SocketProxy(folder / "front"), folder / "engine"
    rules = _RULES.read_text()
    for shipped, here in (
        ("bind :2375", f"bind unix@{proxy.front}"),
        ("unix@/var/run/docker.sock", f"unix@{behind}"),
    ):
        assert rules.count(shipped) == 1, shipped
        rules = rules.replace(shipped, here)
    (folder / "haproxy.cfg").write_text(rules)
    with _Engine(behind, proxy.reached) as engine:
        thread = threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([program, "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log)

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            with suppress(OSError):
                return proxy.ask("GET", "/_ping")[0] == HTTPStatus.OK
            return False

        try:
            wait_until(answers, seconds=20, what="HAProxy", every=0.02)
            yield proxy
        finally:
            process.terminate()
            process.wait(10)
            engine.shutdown()
            thread.join(10)
