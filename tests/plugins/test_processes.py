"""First-party plugins as processes on a port, called as the gateway calls them."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.plugin_process import Running, running_plugin

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture
def sink() -> Iterator[tuple[str, list[bytes]]]:
    """A webhook's address, and what arrives there."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.fixture
def notifier(tmp_path: Path) -> Iterator[Running]:
    with running_plugin(ROOT / "plugins" / "notifier", [sys.executable, "-m", "notifier"], tmp_path) as running:
        yield running


@pytest.fixture
def downloader(tmp_path: Path) -> Iterator[Running]:
    with running_plugin(ROOT / "plugins" / "downloader", [sys.executable, "-m", "downloader"], tmp_path) as running:
        yield running


def test_a_stream_of_events_ends_whole_when_the_plugin_is_stopped(downloader: Running) -> None:
    """Else the plugin would wait for it as long as it may, at each restart, and then break it off."""
    with httpx.stream("GET", f"{downloader.url}/progress", headers=downloader.token(), timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "event: progress"
        downloader.process.terminate()
        assert "data: []" in list(lines)  # and no error: the answer has its end
    downloader.process.wait(30)
    said = downloader.output.read_text()
    assert "Cancel" not in said, said


def test_a_new_target_is_known_at_once_and_told_of_events(notifier: Running, sink: tuple[str, list[bytes]]) -> None:
    url, bodies = sink
    admin = notifier.token(role="admin")
    with httpx.Client(base_url=notifier.url) as http:
        target = {"name": "home", "kind": "webhook", "url": url}
        enabled = {"event": "enabled", "version": notifier.version}
        assert http.post("/_nimbus/lifecycle", json=enabled, headers=notifier.platform()).status_code in {204, 404}
        assert http.get("/targets", headers=admin).json() == {"items": []}
        assert http.put("/targets/home", json=target, headers=admin).status_code == 200
        assert http.post("/targets/home/test", headers=admin).json()["ok"] is True
        event = {
            "specversion": "1.0",
            "id": "e1",
            "source": "/core",
            "type": "io.nimbus.media.created.v1",
            "time": datetime.now(UTC).isoformat(),
            "data": {"title": "Metropolis"},
        }
        assert http.post("/_nimbus/events", json=event, headers=notifier.platform()).status_code == 204
    deadline = time.monotonic() + 10
    while len(bodies) < 2:
        assert time.monotonic() < deadline, notifier.output.read_text()
        time.sleep(0.02)
    assert [json.loads(body)["title"] for body in bodies] == ["Test from Nimbus", "New: Metropolis"]
