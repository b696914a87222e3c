"""A raw WebSocket client for round trips: prepared frames, no library, so that it is not what is measured."""

import base64
import os
import select
import socket
import time

from tests.bench.errors import BenchError
from tests.bench.targets import Target

PAYLOAD = 128
_MASK = b"\x37\xfa\x21\x3d"


def masked_frame(payload: bytes) -> bytes:
    """A client's text frame (RFC 6455) of 126 to 65 535 bytes."""
    masked = bytes(byte ^ _MASK[position % 4] for position, byte in enumerate(payload))
    return bytes((0x81, 0x80 | 126)) + len(payload).to_bytes(2) + _MASK + masked


def answer_frame(payload: bytes) -> bytes:
    """What an echo sends back: the same, not masked."""
    return bytes((0x81, 126)) + len(payload).to_bytes(2) + payload


def connect(target: Target, plugin: str, path: str) -> socket.socket:
    """Open a WebSocket through the target."""
    connection = socket.create_connection(("127.0.0.1", target.port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    location = target.url(plugin, path).split("/", 3)[3]
    lines = [
        f"GET /{location} HTTP/1.1",
        f"Host: 127.0.0.1:{target.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in target.headers().items()),
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = connection.recv(4096)
        if not chunk:
            break
        head += chunk
    if not head.startswith(b"HTTP/1.1 101"):
        connection.close()
        raise BenchError(f"{target.name}: no WebSocket at {path}: {head[:200].decode(errors='replace')!r}")
    return connection


def round_trips(target: Target, plugin: str, path: str, *, connections: int, seconds: float) -> tuple[int, float]:
    """How many round trips in how many seconds, one message at a time on each connection.

    Raises:
        BenchError: a connection ended, or an answer is not the message.
    """
    payload = bytes(32 + number % 90 for number in range(PAYLOAD))
    frame, expected = masked_frame(payload), answer_frame(payload)
    opened: list[socket.socket] = []
    poll = select.epoll()
    try:
        for _ in range(connections):
            opened.append(connect(target, plugin, path))
            opened[-1].setblocking(False)
            poll.register(opened[-1], select.EPOLLIN)
        by_number = {one.fileno(): one for one in opened}
        partial = {one.fileno(): b"" for one in opened}
        for one in opened:
            one.send(frame)
        count, began = 0, time.perf_counter()
        until = began + seconds
        while time.perf_counter() < until:
            ready = poll.poll(5)
            if not ready:
                raise BenchError(f"{target.name}: no WebSocket answered for 5 s")
            for number, _ in ready:
                data = by_number[number].recv(65536)
                if data != expected:
                    data = partial[number] + data
                    if len(data) < len(expected) and data and expected.startswith(data):
                        partial[number] = data
                        continue
                    if data != expected:
                        raise BenchError(f"{target.name}: a WebSocket answered {data[:40]!r} ({len(data)} bytes)")
                    partial[number] = b""
                count += 1
                by_number[number].send(frame)
        return count, time.perf_counter() - began
    finally:
        poll.close()
        for one in opened:
            one.close()
