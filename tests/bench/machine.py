"""The machine: which cores are used, what is installed in which version, and what else runs meanwhile."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.errors import BenchError

BENCH_VENV = "NIMBUS_BENCH_VENV"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the proxy, and that of load and upstream."""

    proxy: int
    load: int


def pick_cores(proxy: int | None = None, load: int | None = None) -> Cores:
    """Two different cores out of those that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchError("the bench needs two cores: one for the proxy, one for load and upstream")
    chosen = Cores(proxy=allowed[0] if proxy is None else proxy, load=allowed[1] if load is None else load)
    if chosen.proxy == chosen.load or not {chosen.proxy, chosen.load} <= set(allowed):
        raise BenchError(f"proxy and load need two different cores out of {allowed}")
    return chosen


def program(name: str) -> str | None:
    """The path of a program, looked up where Debian puts servers too."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")


def bench_python() -> str | None:
    """Python of the environment that `deploy/dev/bench.sh setup` made."""
    folder = os.environ.get(BENCH_VENV)
    found = Path(folder or "/nonexistent") / "bin" / "python"
    return str(found) if found.is_file() else None


def bench_python_with(package: str) -> str | None:
    """The same, when it has the package."""
    python = bench_python()
    if python is None:
        return None
    return python if any(Path(python).parents[1].glob(f"lib/python*/site-packages/{package}")) else None


def bench_tool(name: str) -> str | None:
    """A program of the bench's environment."""
    python = bench_python()
    found = Path(python).parent / name if python else None
    return str(found) if found is not None and found.is_file() else None


def envoy_binary() -> str | None:
    """Envoy itself, not the wrapper that starts it."""
    python = bench_python()
    if python is None:
        return None
    found = next(Path(python).parents[1].glob("lib/python*/site-packages/envoy/_bin/envoy"), None)
    return str(found) if found else None


@dataclass(frozen=True, slots=True)
class Machine:
    """What the numbers were measured on."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    system: str
    python: str

    def record(self) -> dict[str, object]:
        return asdict(self)


def describe_machine() -> Machine:
    """Read from /proc and the operating system."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return Machine(
        cpu=model[1].strip() if model else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gib=round(int(memory[1]) / 1024**2, 1) if memory else 0.0,
        kernel=platform.release(),
        system=platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        python=platform.python_version(),
    )


_PROGRAMS = {
    "nginx": ("nginx", ["-v"], r"nginx/(\S+)"),
    "haproxy": ("haproxy", ["-v"], r"version (\S+)"),
    "caddy": ("caddy", ["version"], r"v?(\d\S*)"),
    "wrk": ("wrk", ["-v"], r"wrk (\S+)"),
}


def versions() -> dict[str, str]:
    """Versions of everything that takes part, by name; what is missing is absent."""
    found: dict[str, str] = {}
    for name, (command, arguments, pattern) in _PROGRAMS.items():
        path = program(command)
        if path:
            found[name] = _version([path, *arguments], pattern)
    envoy = envoy_binary()
    if envoy:
        found["envoy"] = _version([envoy, "--version"], r"/(\d+\.\d+\.\d+)")
    python = bench_python()
    if python:
        code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
        for name in ("aiohttp", "py-spy"):
            version = _version([python, "-c", code, name], r"^(\d\S*)$")
            if version != "unknown":
                found[name] = version
    for name in ("fastapi", "httpx", "uvicorn", "uvloop", "httptools"):
        found[name] = importlib.metadata.version(name)
    commit = _version(["git", "describe", "--always", "--dirty", "--exclude=*"], r"(\S+)")
    return {"nimbus": f"{importlib.metadata.version('nimbus-gateway')} ({commit})", **found}


def _version(command: list[str], pattern: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else "unknown"


def family(pid: int) -> list[int]:
    """A process and all below it that are alive."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except OSError:  # the thread ended meanwhile
                continue
    return found


def cpu_seconds(pids: list[int]) -> float:
    """CPU time that the processes have used themselves."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def rss_bytes(pids: list[int]) -> int:
    """Resident memory of the processes together."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        except OSError:
            continue
    return total


def busy_seconds(cores: Cores) -> float:
    """Time that user and system code of any process has run on the two cores."""
    total = 0
    wanted = {f"cpu{cores.proxy}", f"cpu{cores.load}"}
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields and fields[0] in wanted:
            total += int(fields[1]) + int(fields[2]) + int(fields[3])
    return total / _TICKS
