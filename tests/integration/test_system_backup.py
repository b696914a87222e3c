"""A backup of everything on the running product: embedded mode, the command line, and a second machine."""

import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.test_backup import nimbus, tree
from tests.support.api import Api, wait_until
from tests.support.embedded import PASSWORD, Embedded

pytestmark = pytest.mark.slow

PASSPHRASE = ("--passphrase-file", "passphrase")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Embedded, Embedded]]:
    """Two of them, each with a key of its own."""
    first = Embedded(tmp_path_factory.mktemp("first"))
    second = Embedded(tmp_path_factory.mktemp("second"))
    try:
        first.start()
        second.start()
        yield first, second
    finally:
        for one in (first, second):
            if one.process is not None:
                one.stop()


def data_of(running: Embedded, plugin_id: str) -> Path:
    return wait_until(
        lambda: next(iter(running.data.glob(f"**/plugins/{plugin_id}/data")), None), seconds=30, what="the data"
    )


def fill(api: Api, running: Embedded) -> None:
    for plugin_id in ("hello", "downloader"):
        api.enable(plugin_id, wait=120)
    assert api.post("/api/media", json={"kind": "movie", "title": "Metropolis"}).status_code == 201
    folder = data_of(running, "downloader")
    (folder / "shelf").mkdir()
    (folder / "shelf" / "film.bin").write_bytes(os.urandom(900_000))
    hook = {"name": "Hook", "url": "https://example.org/x", "patterns": ["io.nimbus.**"]}
    assert api.post("/api/admin/webhooks", json=hook).status_code == 201


def test_everything_moves_to_another_machine(machines: tuple[Embedded, Embedded], tmp_path: Path) -> None:
    first, second = machines
    (tmp_path / "passphrase").write_text("a passphrase for the test\n")
    with first.api() as api:
        fill(api, first)
        assert nimbus(first, tmp_path, "login", first.url, "--username", "admin", "--password-stdin").returncode == 0
        made = nimbus(first, tmp_path, "backup", "create", "-o", "all.tar", *PASSPHRASE)
        assert made.returncode == 0, made.stdout + made.stderr
        assert api.get("/api/admin/backups").json()["items"] == []
        api.wait_for_state("downloader", "ready")
    assert (tmp_path / "all.tar").stat().st_mode & 0o077 == 0
    whole = nimbus(first, tmp_path, "backup", "verify", "all.tar", "--json")
    assert whole.returncode == 0, whole.stderr
    assert {one["id"] for one in json.loads(whole.stdout)["plugins"]} >= {"hello", "downloader"}
    with tarfile.open(tmp_path / "all.tar") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    damaged = bytearray((tmp_path / "all.tar").read_bytes())
    damaged[-9000] ^= 1
    (tmp_path / "damaged.tar").write_bytes(damaged)
    assert nimbus(first, tmp_path, "backup", "verify", "damaged.tar").returncode == 1

    with second.api() as api:
        api.enable("hello", wait=120)  # a restore stops what runs
        assert api.post("/api/media", json={"kind": "movie", "title": "Of the second"}).status_code == 201
        assert (
            nimbus(second, tmp_path, "login", second.url, "--username", "admin", "--password-stdin").returncode == 0
        )
        broken = nimbus(second, tmp_path, "backup", "restore", "damaged.tar", "--confirm", "nimbus", *PASSPHRASE)
        assert broken.returncode == 1
        assert api.state("hello") == "ready"
        sure = ("--confirm", "nimbus", "--json", *PASSPHRASE)
        restored = nimbus(second, tmp_path, "backup", "restore", "all.tar", *sure)
        assert restored.returncode == 0, restored.stdout + restored.stderr
        result = json.loads(restored.stdout)
        assert {one["id"]: one["outcome"] for one in result["plugins"]}["downloader"] == "restored"
        assert api.get("/api/auth/me").status_code == 401

    with Api(second.url).sign_in("admin", PASSWORD) as api:
        titles = [item["title"] for item in api.get("/api/media").json()["items"]]
        assert titles == ["Metropolis"]
        for plugin_id in ("hello", "downloader"):
            assert api.wait_for_state(plugin_id, "ready", seconds=120)["enabled"] is True
        assert (
            tree(data_of(second, "downloader"))["shelf/film.bin"]
            == (tree(data_of(first, "downloader"))["shelf/film.bin"])
        )
        assert api.get("/api/plugins/hello/hello").status_code == 200
        [hook] = api.get("/api/admin/webhooks").json()["items"]
        assert hook["name"] == "Hook"
        before = next(one for one in api.get("/api/admin/backups").json()["items"] if one["origin"] != "uploaded")
        assert before["state"] == "ready"


def test_a_restore_that_is_killed_goes_on_with_the_next_start(machines: tuple[Embedded, Embedded]) -> None:
    _, second = machines
    passphrase = {"passphrase": "a passphrase for the test"}
    with second.api() as api:
        api.enable("hello", wait=120)
        made = api.post("/api/admin/backups", json=passphrase)
        assert made.status_code == 202, made.text

        def whole() -> bool:
            states = {one["id"]: one["state"] for one in api.get("/api/admin/backups").json()["items"]}
            return states[made.json()["id"]] != "making"

        wait_until(whole, seconds=120, what="the backup")
        begun = api.post(f"/api/admin/backups/{made.json()['id']}/restore", json={**passphrase, "confirm": "nimbus"})
        assert begun.status_code == 202, begun.text
        ticket = {"X-Nimbus-Restore-Ticket": begun.json()["ticket"]}
        journal = second.data / "backups" / "restore-journal.json"
        wait_until(journal.exists, seconds=60, what="the restore to stop the plugins", every=0.01)
    second.stop(signal.SIGKILL)
    assert journal.exists()
    second.start()

    def end() -> Any:
        found = httpx.get(f"{second.url}/api/admin/backups/restore", headers=ticket, trust_env=False).json()
        return found if found["state"] != "running" else None

    result = wait_until(end, seconds=120, what="the restore to be finished or undone")
    assert (result["state"], result["changed"]) in {("done", True), ("failed", False)}, result
    with second.api() as api:
        for plugin_id in ("hello", "downloader"):
            assert api.wait_for_state(plugin_id, "ready", seconds=120)["enabled"] is True
        assert [item["title"] for item in api.get("/api/media").json()["items"]] == ["Metropolis"]
    assert not journal.exists()


def test_nothing_of_it_is_anybody_elses(machines: tuple[Embedded, Embedded]) -> None:
    first, _ = machines
    assert httpx.get(f"{first.url}/api/admin/backups", trust_env=False).status_code == 401
    assert httpx.post(f"{first.url}/api/admin/backups/upload", content=b"x", trust_env=False).status_code == 401
    assert httpx.get(f"{first.url}/api/admin/backups/restore", trust_env=False).status_code == 401
