"""The folder of one plugin in the process runtime: its run, its lock, and the processes behind them."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nimbus_registry.runtime.base import ExitStatus
from nimbus_registry.runtime.keeper import start_ticks

RUN_MARK = "NIMBUS_RUN_ID"
"""Environment variable that marks every process of a run, however far it wandered from its parent."""


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process, named so that a reused id is noticed."""

    pid: int
    ticks: int | None

    def is_same(self) -> bool:
        """Whether the id still belongs to that process."""
        return start_ticks(self.pid) == self.ticks

    def signal_group(self, number: int) -> None:
        """Signal the process group that it leads, if it is still the same."""
        if self.is_same():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill the process, if it is still the same."""
        if self.is_same():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its keeper recorded it. `exit` is None while it runs, or when the keeper was killed."""

    run_id: str
    spec_hash: str
    version: str
    port: int
    keeper: ProcessRef
    child: ProcessRef
    started_at: datetime
    exit: ExitStatus | None


class PluginFolder:
    """Paths below `DATA_DIR/plugins/<id>`."""

    def __init__(self, data_dir: Path, plugin_id: str) -> None:
        self.plugin_id = plugin_id
        self.root = data_dir / "plugins" / plugin_id
        self.data = self.root / "data"
        self.home = self.root / "home"
        self.temporary = self.root / "tmp"
        self.environments = self.root / "env"
        self.versions = self.root / "versions"
        self.record = self.root / "run.json"
        self.lock = self.root / "run.lock"
        self.output = self.root / "output.log"
        self.build_log = self.root / "build.log"

    def prepare(self, *, data: bool) -> None:
        """Make what a start needs; `tmp` begins empty."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(self.temporary, ignore_errors=True)
        for path in [self.home, self.temporary, *([self.data] if data else [])]:
            path.mkdir(exist_ok=True, mode=0o700)

    def read_record(self) -> RunRecord | None:
        """The recorded run, or None when there is none or it cannot be read."""
        try:
            return parse_record(json.loads(self.record.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def forget(self) -> None:
        """Remove what a run leaves, but not data, environments and logs."""
        self.record.unlink(missing_ok=True)
        shutil.rmtree(self.temporary, ignore_errors=True)

    def take_lock(self) -> int | None:
        """Lock the run and return the descriptor, or None while a keeper holds it.

        The lock goes with the descriptor into the keeper, so there is no moment at which a started run is not
        locked, whoever is killed when.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def is_running(self) -> bool:
        """Whether a keeper is alive, told by the lock alone."""
        if not self.lock.exists():
            return False
        descriptor = self.take_lock()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False


def parse_record(raw: dict[str, object]) -> RunRecord:
    """A run from the keeper's JSON.

    Raises:
        KeyError, TypeError, ValueError: it is not a record.
    """
    ended = raw["exit"]
    status = None
    if isinstance(ended, dict):
        status = ExitStatus(ended["code"], ended["signal"], bool(ended["outOfMemory"]))
    port = raw["port"]
    started = raw["startedAt"]
    if not isinstance(port, int) or not isinstance(started, (int, float)):
        raise TypeError("not a run record")
    return RunRecord(
        run_id=str(raw["runId"]),
        spec_hash=str(raw["specHash"]),
        version=str(raw["version"]),
        port=port,
        keeper=_process(raw["keeper"]),
        child=_process(raw["child"]),
        started_at=datetime.fromtimestamp(started, UTC),
        exit=status,
    )


def _process(raw: object) -> ProcessRef:
    if not isinstance(raw, dict):
        raise TypeError("not a process")
    return ProcessRef(pid=int(raw["pid"]), ticks=raw["ticks"])


def marked_processes(run_id: str) -> Iterator[int]:
    """Processes of this user that carry the mark of a run, found in /proc."""
    mark = f"{RUN_MARK}={run_id}".encode()
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)


def kill_marked(run_id: str) -> None:
    """Kill what is left of a run whose keeper was killed."""
    for pid in marked_processes(run_id):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
