# ruff: noqa: T201 - it prints, and starts quickly
"""A plugin of the standard library alone, slow at the steps that `steps.json` beside it names (seconds)."""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).parent


def step(name, default=0.0):
    """How long a step takes, or what else was written for it."""
    try:
        return json.loads((FOLDER / "steps.json").read_text()).get(name, default)
    except (OSError, ValueError):
        return default


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/_nimbus/health":
            time.sleep(step("health"))
            self.answer(200, {"status": "ok", "contract": [1]})
        else:
            self.answer(200, {"version": VERSION, "pid": os.getpid(), "listening": LISTENING})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        time.sleep(step("init") if body.get("event") == "enabled" else step("goodbye"))
        self.answer(200, {})

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def stop(*_):
    time.sleep(step("stop"))
    os._exit(0)


VERSION = json.loads((FOLDER / "manifest.json").read_text())["version"]
signal.signal(signal.SIGTERM, stop)
print("started", VERSION, flush=True)
if step("crash"):
    sys.exit(step("crash"))
time.sleep(step("listen"))
ThreadingHTTPServer.request_queue_size = 128
server = ThreadingHTTPServer((os.environ["NIMBUS_PLUGIN_HOST"], int(os.environ["NIMBUS_PLUGIN_PORT"])), Handler)
LISTENING = time.time()
server.serve_forever(poll_interval=0.05)
