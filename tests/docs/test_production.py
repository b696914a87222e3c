"""Backup and restore of embedded mode, by the commands of the page."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.tutorial import blocks
from tests.support.embedded import Embedded
from tests.support.engine import ROOT

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "howto" / "production.md"


def _run(title: str, folder: Path, **environment: str) -> None:
    commands = next(block.text for block in blocks(PAGE) if block.title == title)
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{commands}"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{title}:\n{done.stdout}\n{done.stderr}"


def test_what_was_backed_up_while_it_ran_is_there_again(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    plugin = checkout / "plugins" / "hello"
    shutil.copytree(ROOT / "plugins" / "hello", plugin, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    data, backup = tmp_path / "data", tmp_path / "backup"
    nimbus = Embedded(data, plugins=checkout / "plugins")
    nimbus.start()
    _run("embedded: backup", checkout, NIMBUS_DATA_DIR=str(data), BACKUP=str(tmp_path / "without plugin data"))
    with nimbus.api() as api:
        assert api.post("/api/media", json={"kind": "movie", "title": "Metropolis"}).status_code == 201
        changed = api.http.put("/api/admin/plugins/hello/config", json={"values": {"greeting": "Ahoy"}})
        assert changed.status_code == 200, changed.text
        api.enable("hello")
    (data / "plugins" / "hello" / "data").mkdir()
    (data / "plugins" / "hello" / "data" / "kept").write_text("kept")
    _run("embedded: backup", checkout, NIMBUS_DATA_DIR=str(data), BACKUP=str(backup))
    nimbus.stop()
    assert all(path.stat().st_mode & 0o077 == 0 for path in backup.iterdir()), "a backup is for its owner only"

    shutil.rmtree(data)
    _run("embedded: restore", checkout, NIMBUS_DATA_DIR=str(data), BACKUP=str(backup))
    nimbus.start()
    try:
        with nimbus.api() as api:
            assert [item["title"] for item in api.get("/api/media").json()["items"]] == ["Metropolis"]
            api.wait_for_state("hello", "ready")
            assert api.get("/api/plugins/hello/hello").json() == {"message": "Ahoy, world!"}
        assert (data / "plugins" / "hello" / "data" / "kept").read_text() == "kept"
    finally:
        nimbus.stop()
