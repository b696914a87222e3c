"""Large bodies by plain sockets: one download as fast as it goes, readers that stall, an upload in one go."""

import socket
import threading
import time

from tests.bench.errors import BenchError
from tests.bench.targets import Target

_BUFFER = 1024 * 1024
HEAD_LIMIT = 64 * 1024


def request_head(target: Target, plugin: str, path: str, method: str = "GET", length: int | None = None) -> bytes:
    """The head of a request that ends its connection."""
    location = target.url(plugin, path).split("/", 3)[3]
    lines = [f"{method} /{location} HTTP/1.1", f"Host: 127.0.0.1:{target.port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in target.headers().items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def _read_head(connection: socket.socket, who: str) -> bytes:
    """Read to the end of the response's head; returns the start of the body."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(4096)
        if not chunk or len(data) > HEAD_LIMIT:
            raise BenchError(f"{who}: no response head: {data[:200]!r}")
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise BenchError(f"{who}: {head[:200]!r}")
    return body


def download(target: Target, plugin: str, path: str, size: int) -> float:
    """Seconds that a download of exactly `size` bytes takes."""
    buffer = bytearray(_BUFFER)
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", target.port), timeout=60) as connection:
        connection.sendall(request_head(target, plugin, path))
        taken = len(_read_head(connection, target.name))
        while count := connection.recv_into(buffer):
            taken += count
    if taken != size:
        raise BenchError(f"{target.name}: {path} had {taken} bytes instead of {size}")
    return time.perf_counter() - began


def stall(target: Target, plugin: str, path: str) -> socket.socket:
    """Ask for a large body, read its beginning, and then nothing more."""
    connection = socket.create_connection(("127.0.0.1", target.port), timeout=20)
    connection.sendall(request_head(target, plugin, path))
    _read_head(connection, target.name)
    return connection


class Upload(threading.Thread):
    """Sends a body as fast as it is taken; `answer` is what came back."""

    def __init__(self, target: Target, plugin: str, path: str, size: int) -> None:
        super().__init__(name="upload", daemon=True)
        self._target, self._plugin, self._path, self._size = target, plugin, path, size
        self.answer = b""
        self.failure: Exception | None = None

    def run(self) -> None:
        block = bytes(_BUFFER)
        try:
            with socket.create_connection(("127.0.0.1", self._target.port), timeout=120) as connection:
                connection.sendall(request_head(self._target, self._plugin, self._path, "POST", self._size))
                for _ in range(self._size // _BUFFER):
                    connection.sendall(block)
                self.answer = _read_head(connection, self._target.name)
                while chunk := connection.recv(4096):
                    self.answer += chunk
        except (OSError, BenchError) as failure:
            self.failure = failure
