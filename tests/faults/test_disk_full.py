"""The disk that Nimbus keeps everything on is full: writes say so, reads go on, and it recovers by itself."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.site import Site
from tests.support.api import wait_until
from tests.support.engine import missing

pytestmark = [pytest.mark.slow]

ROOM = 48 * 1024**2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that a test can fill."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "nimbus-test", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        missing(f"no small file system can be mounted: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take what room is left, to the last byte; what others free meanwhile (a file that is replaced) is taken too."""
    ballast = place / "ballast"

    def full() -> bool:
        with ballast.open("ab", buffering=0) as file:
            for size in (1024**2, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue
        return os.statvfs(place).f_bavail == 0

    wait_until(full, seconds=20, what="the disk to be full", every=0.01)
    return ballast


def test_writes_say_so_and_reads_go_on(small_disk: Path) -> None:
    site = Site(small_disk)
    try:
        site.start("registry")
        site.start("gateway")
        for plugin_id in ("serving", "waiting"):
            site.lay(plugin_id)
        site.api.enable("serving")
        ballast = fill(small_disk)

        answer = site.api.post("/api/media", json={"kind": "movie", "title": "No room" * 20})
        assert answer.status_code in {503, 507}, answer.text
        assert answer.json()["type"].startswith("/problems/")
        enabling = site.api.post("/api/plugins/waiting/enable", params={"wait": 5})
        assert enabling.status_code in {202, 409, 503, 507}, enabling.text
        for _ in range(20):
            assert site.answer("serving") == (200, "1.0.0")
            assert site.api.get("/api/plugins").status_code == 200
            assert site.api.get("/api/media").status_code == 200

        ballast.unlink()

        def writes_again() -> bool:
            return site.api.post("/api/media", json={"kind": "movie", "title": "Room"}).status_code == 201

        wait_until(writes_again, seconds=15, what="writes to work again", every=0.1)
        site.api.post("/api/plugins/waiting/enable", params={"wait": 0})
        wait_until(lambda: site.answer("waiting") == (200, "1.0.0"), seconds=30, what="the other plugin", every=0.1)
        assert site.api.plugin("waiting")["enabled"] is True
        assert len(site.processes("serving")) == 1, "the one that served was not touched"
    finally:
        site.stop()
