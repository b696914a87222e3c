"""What first-party plugins are connected to: a Newznab server with a film and an episode, a webhook, a mail server.

It tells what it was told at `/told` and `/mail`.
"""

import json
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from plugins.notifier.tests.sinks import MailSink, mail_sink, serving
from tests.support.engine import ROOT

FILM = b"a film" * 100_000
EPISODE = b"an episode" * 50_000
OFFERED = {"/Metropolis.1927.mkv": ("Metropolis 1927 1080p", FILM), "/e.mkv": ("The.Wire.S01E01.1080p.WEB", EPISODE)}


def start(host: str, http: int, smtp: int) -> subprocess.Popen[bytes]:
    """Start it at an address of this machine, as a process of its own."""
    command = [sys.executable, "-m", "tests.support.outside_world", host, str(http), str(smtp)]
    return subprocess.Popen(command, cwd=ROOT)


def handler(told: list[Any], mail: MailSink) -> type[BaseHTTPRequestHandler]:
    """Answers searches, files and what was told; keeps what is posted."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = 200, b""
            if self.path.startswith("/api?"):
                offers = "".join(
                    f"<item><title>{title}</title><guid>{path}</guid>"
                    f"<link>http://{self.headers['host']}{path}</link></item>"
                    for path, (title, _) in OFFERED.items()
                )
                body = f"<rss><channel>{offers}</channel></rss>".encode()
            elif self.path in OFFERED:
                body = OFFERED[self.path][1]
            elif self.path == "/told":
                body = json.dumps(told).encode()
            elif self.path == "/mail":
                body = json.dumps(mail.messages).encode()
            else:
                status = 404
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    return Handler


def main(host: str, http: str, smtp: str) -> None:
    """Serve until the process is ended."""
    with (
        mail_sink(host, int(smtp)) as mail,
        serving(ThreadingHTTPServer((host, int(http)), handler([], mail))),
    ):
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
