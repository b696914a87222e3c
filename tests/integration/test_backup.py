"""Backup and restore on the running product: embedded mode, the command line, a plugin with data."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Api, wait_until
from tests.support.embedded import PASSWORD, Embedded

pytestmark = pytest.mark.slow

PLUGIN = "downloader"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    nimbus = Embedded(tmp_path_factory.mktemp("embedded"))
    nimbus.start()
    try:
        yield nimbus
    finally:
        nimbus.stop()


@pytest.fixture(scope="module")
def admin(running: Embedded) -> Iterator[Api]:
    with running.api() as api:
        api.enable(PLUGIN, wait=90)
        yield api


@pytest.fixture
def data(running: Embedded) -> Path:
    return wait_until(
        lambda: next(iter(running.data.glob(f"**/plugins/{PLUGIN}/data")), None), seconds=10, what="the data folder"
    )


def nimbus(running: Embedded, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, with its own place for the session."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NIMBUS_")}
    environment |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "NIMBUS_URL": running.url}
    command = [str(Path(sys.executable).parent / "nimbus"), *arguments]
    return subprocess.run(
        command, env=environment, cwd=home, capture_output=True, text=True, timeout=240, check=False, input=PASSWORD
    )


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_plugin_comes_back_as_it_was(running: Embedded, admin: Api, data: Path, tmp_path: Path) -> None:
    (data / "shelf" / "deep").mkdir(parents=True)
    (data / "shelf" / "deep" / ("a" * 150 + ".bin")).write_bytes(os.urandom(700_000))
    (data / "notes ü.txt").write_text("before")
    (data / "a-link").symlink_to("/etc/passwd")
    assert nimbus(running, tmp_path, "login", running.url, "--username", "admin", "--password-stdin").returncode == 0
    made = nimbus(running, tmp_path, "plugins", "backup", PLUGIN, "-o", "one.tar")
    assert made.returncode == 0, made.stderr
    kept = {name: digest for name, digest in tree(data).items() if name != "a-link"}
    assert admin.state(PLUGIN) == "ready"
    with tarfile.open(tmp_path / "one.tar") as archive:
        assert archive.getnames() == ["backup.json", "settings.json", "kv.jsonl", "data.tar", "SHA256SUMS"]
        archive.extractall(tmp_path / "out", filter="data")
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    head = json.loads((tmp_path / "out" / "backup.json").read_text())
    assert (head["pluginId"], head["data"], head["format"]) == (PLUGIN, True, 1)

    (data / "notes ü.txt").write_text("after")
    (data / "new.txt").write_text("not in the backup")
    restored = nimbus(running, tmp_path, "plugins", "restore", PLUGIN, "one.tar", "--yes", "--json")
    assert restored.returncode == 0, restored.stderr
    result = json.loads(restored.stdout)
    assert result["leftOut"] == {"count": 1, "names": ["data/a-link"]}
    assert result["files"] == len(kept)
    now = tree(data)
    assert {name: now[name] for name in kept if "shelf" in name or "notes" in name} == {
        name: digest for name, digest in kept.items() if "shelf" in name or "notes" in name
    }
    assert "new.txt" not in now
    assert admin.wait_for_state(PLUGIN, "ready")["enabled"] is True
    actions = [entry["action"] for entry in admin.get("/api/admin/audit").json()["items"]]
    assert {"plugin.backup", "plugin.restore"} <= set(actions)
    assert list((data.parent / "snapshots").iterdir()) == []


def test_a_damaged_file_changes_nothing(running: Embedded, admin: Api, data: Path, tmp_path: Path) -> None:
    answer = admin.post(f"/api/admin/plugins/{PLUGIN}/backup")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    before = tree(data)
    flipped = bytearray(answer.content)
    flipped[-5000] ^= 1
    for body, words in (
        (bytes(flipped), "checksum of data.tar is wrong"),
        (answer.content[:-2000], "ends too early"),
        (b"hello", "ends too early"),
    ):
        refused = admin.post(f"/api/admin/plugins/{PLUGIN}/restore", content=body)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/backup-refused"), refused.text
        assert words in refused.json()["detail"]
    other = admin.post("/api/admin/plugins/hello/restore", content=answer.content)
    assert "it is of the plugin 'downloader'" in other.json()["detail"]
    assert tree(data) == before
    foreign = admin.post(f"/api/admin/plugins/{PLUGIN}/backup", headers={"origin": "http://elsewhere.example"})
    assert (foreign.status_code, foreign.json()["type"]) == (403, "/problems/csrf")
    assert admin.state(PLUGIN) == "ready"


def test_data_that_could_not_be_restored_are_refused_in_words(running: Embedded, admin: Api, data: Path) -> None:
    hole, deep = data / "hole", data
    with hole.open("wb") as file:
        file.truncate(8 * 1024**4)
    refused = admin.post(f"/api/admin/plugins/{PLUGIN}/backup")
    assert (refused.status_code, refused.json()["type"]) == (413, "/problems/quota-exceeded"), refused.text
    assert "NIMBUS_MAX_DATA" in refused.json()["detail"]
    assert admin.wait_for_state(PLUGIN, "ready")["enabled"] is True
    hole.unlink()
    try:
        for _ in range(1100):
            deep = deep / "d"
            deep.mkdir()
        answer = admin.post(f"/api/admin/plugins/{PLUGIN}/backup")
        assert answer.status_code == 200, answer.text
        restored = admin.post(f"/api/admin/plugins/{PLUGIN}/restore", content=answer.content)
        assert restored.status_code == 200, restored.text
        assert deep.is_dir()
        assert list((data.parent / "snapshots").iterdir()) == []
    finally:
        # What clears temporary folders away recurses.
        subprocess.run(["rm", "-rf", data / "d", data.parent / "snapshots"], check=True)
