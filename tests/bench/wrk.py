"""HTTP load by wrk, pinned, with its result as numbers."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.errors import BenchError
from tests.bench.machine import program

SCRIPT = Path(__file__).with_name("report.lua")
UNLIKE = Path(__file__).with_name("unlike.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw. Latencies are microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def run_wrk(
    url: str, *, connections: int, seconds: float, core: int, headers: dict[str, str], unlike: bool = False
) -> Load:
    """Send GET requests for that long; `unlike` gives each a query of its own.

    Raises:
        BenchError: an answer was not 2xx, or a connection failed: then nothing was measured.
    """
    wrk = program("wrk")
    if wrk is None:
        raise BenchError("wrk is missing; get it with: deploy/dev/bench.sh setup")
    options = [f"--header={name}: {value}" for name, value in headers.items()]
    shape = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s"]
    done = subprocess.run(
        ["taskset", "-c", str(core), wrk, *shape, *options, "-s", str(UNLIKE if unlike else SCRIPT), url],
        env={**os.environ, "BENCH_REPORT": str(SCRIPT)},
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith('{"requests"')), None)
    if done.returncode != 0 or line is None:
        raise BenchError(f"wrk failed on {url}:\n{done.stdout}{done.stderr}")
    result = json.loads(line)
    failed = {name: result[name] for name in ("connect", "read", "write", "status", "timeout") if result[name]}
    if failed or not result["requests"]:
        raise BenchError(f"{url}: {result['requests']} requests, errors {failed}")
    return Load(requests=result["requests"], seconds=result["duration"] / 1e6, p50=result["p50"], p99=result["p99"])
