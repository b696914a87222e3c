"""A plugin in one file, for the browser tests: says which version answers, or cannot start."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ["VERSION"]


class Handler(BaseHTTPRequestHandler):
    """Health, and the version for everything else."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer in JSON."""
        healthy = {"status": "ok", "contract": [1]}
        text = json.dumps(healthy if self.path == "/_nimbus/health" else {"version": VERSION}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self) -> None:
        """Nothing that Nimbus tells is of interest here."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()


if os.environ["BROKEN"] == "yes":
    sys.exit("shelf.db: no such table: books")
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer(("0.0.0.0", int(os.environ["NIMBUS_PLUGIN_PORT"])), Handler).serve_forever(poll_interval=0.05)
