"""A plugin whose versions say which one they are: as images, or as a folder that the registry builds."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from tests.support.api import Api

SERVER = """
import json, os, signal, sys, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
VERSION, BROKEN = os.environ["VERSION"], os.environ["BROKEN"]
DATA = os.environ.get("NIMBUS_DATA_DIR")
busy, closing = [0], threading.Event()
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    def answer(self, value):
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        if self.path == "/_nimbus/health":
            return self.answer({"status": "ok", "contract": [1]})
        if self.path == "/settings":
            headers = {"Authorization": "Bearer " + os.environ["NIMBUS_PLUGIN_TOKEN"]}
            asked = urllib.request.Request(os.environ["NIMBUS_CORE_URL"] + "/core/v1/config", headers=headers)
            return self.answer(json.load(urllib.request.urlopen(asked, timeout=10)))
        if self.path == "/slow":
            time.sleep(1.5)
        self.answer({"version": VERSION, "lines": open(DATA + "/lines").read().split() if DATA else []})
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer({})
    def log_message(self, *_):
        pass
if BROKEN == "yes":
    sys.exit("this version cannot start")
if DATA:
    with open(DATA + "/lines", "a") as lines:
        lines.write(VERSION + "\\n")
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer.request_queue_size = 512
ThreadingHTTPServer(("0.0.0.0", int(os.environ["NIMBUS_PLUGIN_PORT"])), Handler).serve_forever(poll_interval=0.05)
"""
SETTINGS = {
    "type": "object",
    "properties": {"set": {"type": "string"}, "secret": {"type": "string", "x-secret": True}},
}


def tag_of(plugin_id: str, version: str) -> str:
    return f"nimbus-test-{plugin_id}:{version}"


def write_source(
    folder: Path, python: str, plugin_id: str, version: str, *, broken: bool = False, data: bool = False, **more: Any
) -> dict[str, Any]:
    """Lay a version's folder, or lay it over another version's: the manifest comes last and whole; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "manifestVersion": 1,
        "id": plugin_id,
        "name": plugin_id.capitalize(),
        "version": version,
        # The server has a thread for each connection, and the gateway keeps connections.
        "runtime": {
            "image": tag_of(plugin_id, version),
            "data": data,
            "timeouts": {"start": "20s"},
            "resources": {"pids": 1000},
        },
        "routes": [{"path": "/{rest:path}", "methods": ["GET"], "auth": "none"}],
        "settings": SETTINGS,
        **more,
    }
    lines = [
        f"FROM {python}",
        "COPY server.py manifest.json /",
        f"ENV VERSION={version} BROKEN={'yes' if broken else 'no'}",
        'CMD ["python3", "-u", "/server.py"]',
    ]
    (folder / "server.py").write_text(SERVER)
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    (folder / "manifest.json.new").write_text(json.dumps(manifest))
    (folder / "manifest.json.new").rename(folder / "manifest.json")
    return manifest


@dataclass
class Shelf:
    """Makes images of a plugin's versions; all are thin layers over the Python image."""

    engine: docker.DockerClient
    python: str
    folder: Path
    plugins: list[str] = field(default_factory=list)

    def build(self, plugin_id: str, version: str, **more: Any) -> str:
        """An image with its manifest as a label, or as a file when it is the first version."""
        tag, place = tag_of(plugin_id, version), self.folder / plugin_id / version
        manifest = write_source(place, self.python, plugin_id, version, **more)
        labels = {} if version.startswith("1.") else {"io.nimbus.manifest": json.dumps(manifest)}
        self.engine.images.build(path=str(place), tag=tag, rm=True, labels=labels)
        if plugin_id not in self.plugins:
            self.plugins.append(plugin_id)
        return tag


def set_up(admin: Api, plugin_id: str, value: str) -> None:
    """Save a setting and a secret, as a person does."""
    values = {"set": value, "secret": f"secret {value}"}
    answer = admin.http.put(f"/api/admin/plugins/{plugin_id}/config", json={"values": values})
    assert answer.status_code == 200, answer.text


def seen_settings(admin: Api, plugin_id: str) -> str:
    """What a person finds set; the plugin itself finds the same, and the secret that was saved with it."""
    shown = str(admin.get(f"/api/admin/plugins/{plugin_id}/config").json()["values"]["set"])
    answer = admin.get(f"/api/plugins/{plugin_id}/settings")
    assert (answer.status_code, answer.json()) == (200, {"values": {"set": shown, "secret": f"secret {shown}"}})
    return shown
