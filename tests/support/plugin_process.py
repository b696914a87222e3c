"""A plugin as Nimbus runs it: a process on a port, with a core on another."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from nimbus_sdk.contracts.identity import IdentityClaims, KeySet
from nimbus_sdk.contracts.validation import validate_manifest
from nimbus_sdk.signing import SigningKey
from nimbus_sdk.testing import FakeCore
from nimbus_sdk.testing.core import INSTANCE, TOKEN

from tests.sdk.live_core import serve

START_TIMEOUT = 30.0


@dataclass
class Running:
    """A plugin that runs."""

    id: str
    url: str
    key: SigningKey
    core: FakeCore
    process: subprocess.Popen[str]
    version: str
    output: Path

    def token(self, key: SigningKey | None = None, **changes: object) -> dict[str, str]:
        now = int(time.time())
        values = {
            "iss": INSTANCE,
            "aud": self.id,
            "sub": "u1",
            "name": "ada",
            "role": "user",
            "iat": now,
            "exp": now + 60,
        }
        claims = IdentityClaims.model_validate({**values, **changes})
        return {"X-Nimbus-Identity": (key or self.key).sign(claims)}

    def platform(self) -> dict[str, str]:
        return self.token(sub="platform", role="platform", name=None)


@contextmanager
def running_plugin(folder: Path, command: list[str], data: Path) -> Iterator[Running]:
    """Run the plugin in `folder` until the block ends; `data` is for what it writes."""
    report = validate_manifest((folder / "manifest.json").read_bytes(), strict=True)
    assert report.manifest is not None, report.errors
    plugin_id = report.manifest.id
    key = SigningKey.generate()
    core = FakeCore(report.manifest, KeySet(keys=[key.public], issuer=INSTANCE))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with serve(core) as core_url, (data / "out").open("w+") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(data),
                "NIMBUS_PLUGIN_ID": plugin_id,
                "NIMBUS_PLUGIN_HOST": "127.0.0.1",
                "NIMBUS_PLUGIN_PORT": str(port),
                "NIMBUS_CORE_URL": core_url,
                "NIMBUS_BASE_PATH": f"/api/plugins/{plugin_id}",
                "NIMBUS_DATA_DIR": str(data),
                "NIMBUS_PLUGIN_TOKEN": TOKEN,
            },
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running = Running(
            plugin_id, f"http://127.0.0.1:{port}", key, core, process, report.manifest.version, data / "out"
        )
        try:
            _until_healthy(running)
            yield running
        finally:
            process.kill()
            process.wait(10)


def _until_healthy(running: Running) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        assert running.process.poll() is None, running.output.read_text()
        try:
            if httpx.get(f"{running.url}/_nimbus/health", headers=running.platform(), timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)  # the port is not open yet; the deadline above ends it
    pytest.fail(f"not healthy in {START_TIMEOUT} s:\n{running.output.read_text()}")
