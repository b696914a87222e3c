"""A Docker engine of a test's own, to be killed; its network namespace keeps other engines out of it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.api import wait_until
from tests.support.engine import missing, run_script

_CACHE_BIN = "engine/bin"


class OwnEngine:
    """`dockerd` over a folder."""

    def __init__(self, folder: Path, *, live_restore: bool) -> None:
        self.folder = folder
        self.host = f"unix://{folder / 'docker.sock'}"
        self._live_restore = live_restore
        self._namespace: subprocess.Popen[bytes] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the engine, or start it again, and wait until it answers."""
        if self._namespace is None:
            self._namespace = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep infinity"]
            )
            pid = self._namespace.pid
            wait_until(
                lambda: (
                    Path(f"/proc/{pid}/ns/net").exists()
                    and Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
                ),
                seconds=10,
                what="a network namespace",
                every=0.02,
            )
        (self.folder / "docker.pid").unlink(missing_ok=True)
        with (self.folder / "dockerd.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    *("nsenter", "--target", str(self._namespace.pid), "--net", "dockerd"),
                    *("--host", self.host, "--pidfile", str(self.folder / "docker.pid")),
                    *("--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "run")),
                    *("--containerd-namespace", "nimbus-faults", "--storage-driver", "overlay2"),
                    *("--containerd-plugins-namespace", "nimbus-faults-plugins", "--shutdown-timeout", "5"),
                    *(["--live-restore"] if self._live_restore else []),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": f"{_legacy_iptables()}:/usr/sbin:/sbin:{os.environ['PATH']}"},
                start_new_session=True,
            )
        wait_until(self._answers, seconds=60, what="the engine", every=0.1)

    def _answers(self) -> bool:
        assert self._daemon is not None
        assert self._daemon.poll() is None, (self.folder / "dockerd.log").read_text()[-3000:]
        asked = subprocess.run(
            ["docker", "--host", self.host, "version"], capture_output=True, timeout=20, check=False
        )
        return asked.returncode == 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the engine alone; without live-restore its containers end with it."""
        assert self._daemon is not None
        if self._daemon.poll() is None:
            self._daemon.send_signal(number)
            self._daemon.wait(60)
        # Its containerd dies with it a moment later; the next one would take that for its own.
        pid_file = self.folder / "run" / "containerd" / "containerd.pid"
        if pid_file.exists() and pid_file.read_text().strip():
            pid = int(pid_file.read_text())
            wait_until(
                lambda: not Path(f"/proc/{pid}").exists(), seconds=20, what="the end of containerd", every=0.05
            )

    def discard(self) -> None:
        """End everything that it runs."""
        self.stop(signal.SIGTERM)
        for pid in _processes_below(self.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._namespace is not None:
            self._namespace.kill()
            self._namespace.wait(10)
        for line in Path("/proc/self/mounts").read_text().splitlines():
            place = line.split()[1]
            if place.startswith(str(self.folder)):
                subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _processes_below(folder: Path) -> list[int]:
    """Processes of this engine: its folder is in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if str(folder).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def _legacy_iptables() -> str:
    """The folder with the iptables that `deploy/dev/engine.sh` found to work."""
    cache = Path(os.environ.get("NIMBUS_DEV_CACHE", Path.home() / ".cache" / "nimbus-dev"))
    return str(cache / _CACHE_BIN)


@contextmanager
def own_engine(folder: Path, image: str, docker_host: str, *, live_restore: bool) -> Iterator[OwnEngine]:
    """An engine that holds one image of the engine in reach."""
    for program in ("dockerd", "unshare", "nsenter", "ip"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            missing(f"an engine of one's own needs {program}")
    if os.geteuid() != 0:
        missing("an engine of one's own needs root")
    assert run_script("engine.sh", "status").returncode == 0
    folder.mkdir(parents=True)
    engine = OwnEngine(folder, live_restore=live_restore)
    try:
        engine.start()
        with subprocess.Popen(["docker", "--host", docker_host, "save", image], stdout=subprocess.PIPE) as save:
            subprocess.run(
                ["docker", "--host", engine.host, "load", "--quiet"],
                stdin=save.stdout,
                check=True,
                capture_output=True,
            )
        assert save.returncode == 0
        yield engine
    finally:
        engine.discard()
