"""Where the gateway's time goes: sampled by py-spy while wrk keeps it busy."""

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.bench.errors import BenchError
from tests.bench.folded import Stack, parse_folded, under
from tests.bench.machine import bench_tool
from tests.bench.session import Session
from tests.bench.upstreams import SMALL
from tests.bench.wrk import run_wrk

SECONDS = 10
RATE = 400
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Profile:
    """Stacks below the event loop's own frames."""

    stacks: list[Stack]


def profile(session: Session) -> Profile | None:
    """Sample the gateway under load; None, with a line that says so, when py-spy is missing."""
    tool = bench_tool("py-spy")
    if tool is None:
        session.say("py-spy is missing: no flame graph; get it with: deploy/dev/bench.sh setup")
        return None
    target, core = session.nimbus, session.options.cores.load
    assert target.running is not None
    failures: list[BenchError] = []

    def load() -> None:
        try:
            run_wrk(
                target.url("bench", SMALL),
                connections=CONNECTIONS,
                seconds=SECONDS + 4,
                core=core,
                headers=target.headers(),
            )
        except BenchError as failure:
            failures.append(failure)

    output = session.folder / "profile.txt"
    under_load = threading.Thread(target=load, name="profile-load")
    under_load.start()
    try:
        _record(tool, target.running.pid, core, output)
    finally:
        under_load.join(SECONDS + 90)
    if failures:
        raise failures[0]
    stacks = under(parse_folded(output.read_text()), "Runner.run") or parse_folded(output.read_text())
    if not stacks:
        raise BenchError("py-spy saw nothing of the gateway")
    return Profile(stacks=stacks)


def _record(tool: str, pid: int, core: int, output: Path) -> None:
    command = [tool, "record", "--pid", str(pid), "--duration", str(SECONDS), "--rate", str(RATE)]
    command += ["--function", "--format", "raw", "--output", str(output)]
    done = subprocess.run(
        ["taskset", "-c", str(core), *command], capture_output=True, text=True, timeout=SECONDS + 60, check=False
    )
    if done.returncode != 0 or not output.is_file():
        raise BenchError(f"py-spy failed (it needs the right to trace, as root has):\n{done.stdout}{done.stderr}")
