"""A file server on loopback that can be slow, break off, change its file, or refuse ranges."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Files:
    """What is served, and how.

    Attributes:
        contents: by path.
        etag: of every file; None sends none.
        break_after: bytes after which each of the next answers breaks off, one entry an answer.
        statuses: answered instead, one entry a request.
        hold: set it to let a held answer go on; answers wait for it in the middle when it is there.
        requests: (path, Range header) of each request.
    """

    url: str = ""
    contents: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"1"'
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    hold: threading.Event | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serve_files() -> Iterator[Files]:  # noqa: C901 - one small server with many moods
    files = Files()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers["range"]
            files.requests.append((self.path, wanted))
            body = files.contents.get(self.path)
            status = files.statuses.pop(0) if files.statuses else (200 if body is not None else 404)
            if status != 200 or body is None:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            start = 0
            if wanted and files.ranges and self.headers["if-range"] in (None, files.etag):
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start and start >= len(body):
                self.send_response(416)
                self.send_header("content-range", f"bytes */{len(body)}")
                self.send_header("content-length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("content-range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if files.etag:
                self.send_header("etag", files.etag)
            self.send_header("content-length", str(len(body) - start))
            self.end_headers()
            rest = body[start:]
            if files.break_after:
                self.wfile.write(rest[: files.break_after.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                return
            half = len(rest) // 2
            self.wfile.write(rest[:half])
            self.wfile.flush()
            if files.hold is not None:
                files.hold.wait(20)
            self.wfile.write(rest[half:])

        def log_message(self, *args: object) -> None:
            """Print nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield files
    finally:
        if files.hold is not None:
            files.hold.set()
        server.shutdown()
        thread.join(5)
        server.server_close()
