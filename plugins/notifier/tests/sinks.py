"""Receivers, on loopback unless told otherwise: an HTTP and a mail server that keep what they get."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class HttpSink:
    """What arrived, and what is answered: each of `answers` once, then 204."""

    url: str = ""
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, _, body in self.received]


@contextmanager
def http_sink() -> Iterator[HttpSink]:
    sink = HttpSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            sink.received.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, headers = sink.answers.pop(0) if sink.answers else (204, {})
            self.send_response(status)
            for name, value in {**headers, "content-length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        sink.url = f"http://127.0.0.1:{port}"
        yield sink


@dataclass
class MailSink:
    port: int = 0
    messages: list[str] = field(default_factory=list)
    refuse: int | None = None


@contextmanager
def mail_sink(host: str = "127.0.0.1", port: int = 0) -> Iterator[MailSink]:
    """Enough of RFC 5321 for one message after the other."""
    sink = MailSink()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 sink")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ", maxsplit=1)[0].upper()
                if verb == "DATA" and sink.refuse is None:
                    self.say("354 go on")
                    message = []
                    while (part := self.rfile.readline()) != b".\r\n":
                        message.append(part.decode())
                    sink.messages.append("".join(message))
                    self.say("250 kept")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                elif verb == "DATA":
                    self.say(f"{sink.refuse} no")
                else:
                    self.say("250 fine")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with serving(Server((host, port), Handler)) as sink.port:
        yield sink


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
