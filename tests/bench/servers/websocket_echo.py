"""A WebSocket upstream that answers each text frame with its own text, and does little else.

Frames are small and whole (RFC 6455, below 126 bytes of extension: 16-bit length at most). Run as
``python -m tests.bench.servers.websocket_echo PORT``.
"""

import base64
import hashlib
import re
import selectors
import socket
import sys

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Echo:
    """Every connection of one process, by readiness."""

    def __init__(self, port: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._pending: dict[socket.socket, bytes] = {}

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._accept()
                else:
                    self._serve(key.data)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(True)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            chunk = connection.recv(4096)
            if not chunk:
                connection.close()
                return
            head += chunk
        key = re.search(rb"^sec-websocket-key: *(\S+)", head, re.IGNORECASE | re.MULTILINE)
        if key is None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()
            return
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._pending[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
            if not data:
                raise ConnectionResetError
            answer, rest = echo(self._pending[connection] + data)
            self._pending[connection] = rest
            if answer:
                connection.sendall(answer)
        except OSError:
            self._selector.unregister(connection)
            del self._pending[connection]
            connection.close()


def echo(data: bytes) -> tuple[bytes, bytes]:
    """The answer to every whole frame in the data, and what is left over."""
    answers: list[bytes] = []
    position = 0
    while len(data) - position >= 2:
        length = data[position + 1] & 127
        start = position + 2
        if length == 126:
            if len(data) - position < 4:
                break
            length = int.from_bytes(data[position + 2 : position + 4])
            start = position + 4
        if not data[position + 1] & 128:
            raise ConnectionResetError("a client's frame is masked")
        if len(data) < start + 4 + length:
            break
        mask = data[start : start + 4] * (length // 4 + 1)
        body = data[start + 4 : start + 4 + length]
        plain = (int.from_bytes(body) ^ int.from_bytes(mask[:length])).to_bytes(length)
        head = bytes((data[position], length)) if length < 126 else bytes((data[position], 126)) + length.to_bytes(2)
        answers.append(head + plain)
        position = start + 4 + length
    return b"".join(answers), data[position:]


if __name__ == "__main__":
    Echo(int(sys.argv[1])).run()
