# ruff: noqa: T201, PTH118, PTH123 - it prints, and starts quickly
"""A plugin of the standard library alone, whose behaviour `BEHAVIOUR` chooses."""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENVIRONMENT = dict(os.environ)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/environment":
            body = json.dumps(ENVIRONMENT).encode()
        elif self.path == "/pid":
            body = str(os.getpid()).encode()
        elif self.path.startswith("/print/"):
            print(self.path.removeprefix("/print/"), flush=True)
            body = b"printed"
        elif self.path == "/write":
            with open(os.path.join(os.environ["NIMBUS_DATA_DIR"], "kept"), "a", encoding="utf-8") as file:
                file.write("x")
            with open(file.name, encoding="utf-8") as file:
                body = file.read().encode()
        elif self.path.startswith("/keep/"):
            with open(os.path.join(os.environ["NIMBUS_DATA_DIR"], "much"), "wb") as file:
                file.write(b"x" * int(self.path.removeprefix("/keep/")) * 1024**2)
            body = b"kept"
        elif self.path == "/crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        else:
            body = b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve():
    server = ThreadingHTTPServer((os.environ["NIMBUS_PLUGIN_HOST"], int(os.environ["NIMBUS_PLUGIN_PORT"])), Handler)
    server.serve_forever(poll_interval=0.05)


def main():
    behaviour, _, argument = os.environ.get("BEHAVIOUR", "serve").partition(":")
    print("out: started", flush=True)
    print("err: started", file=sys.stderr, flush=True)
    if behaviour == "exit":
        sys.exit(int(argument))
    if behaviour == "signal":
        os.kill(os.getpid(), int(argument))
        time.sleep(60)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if behaviour == "family":
        subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
    if behaviour == "flood":
        block = ("x" * 200 + "\n") * 200
        for _ in range(int(argument)):
            sys.stdout.write(block)
        print("flooded", flush=True)
    if behaviour == "eat":
        hoard = [bytearray(b"x" * 1024**2) for _ in range(int(argument))]
        print(len(hoard), flush=True)
    serve()


main()
