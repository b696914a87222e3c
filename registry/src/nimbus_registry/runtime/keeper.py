"""The parent of one plugin process: a small program of its own, so that it outlives the registry.

Started as ``python -I -S keeper.py <lock fd>`` with a JSON object on standard input (see `KeeperOrder`), it detaches,
starts the plugin in a process group of its own and stays until it has ended. It

- holds the lock on the plugin's run for as long as it lives, which is how a registry knows that a run is alive
  without trusting a process id;
- reads what the plugin prints and keeps it in two files of bounded size, so that neither a flood nor a registry that
  is gone fills the disk or blocks the plugin;
- records how the plugin ended, and ends what it left behind;
- ends it when all its processes together use more memory than allowed.

It imports only the standard library and nothing of Nimbus, so that it starts in milliseconds. Should it be killed,
the kernel kills the plugin with it.
"""

import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from typing import IO, Any, TypedDict

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MEMORY_CHECK_SECONDS = 1.0
DRAIN_SECONDS = 1.0
MAX_LINE = 16 * 1024
CPU_FIELDS = slice(11, 15)
"""User and system time, of the process itself and of its ended children, in the same count as `TICKS_FIELD`."""
TICKS_FIELD = 19
"""Index of the start time in /proc/<pid>/stat, counted from the field after the program's name."""


class KeeperOrder(TypedDict):
    """What the registry asks for. Sizes in bytes."""

    directory: str
    run_id: str
    spec_hash: str
    version: str
    port: int
    argv: list[str]
    cwd: str
    environment: dict[str, str]
    memory: int
    log_bytes: int


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is no such process (or no /proc).

    Together with the id it names a process beyond the reuse of ids.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[TICKS_FIELD])


def descendants(pid: int) -> list[int]:
    """Ids of all processes below one, found in /proc; empty where there is none."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208 - as above
                with open(f"/proc/{parent}/task/{task}/children", "rb") as file:  # noqa: PTH123
                    children = [int(child) for child in file.read().split()]
                found += children
                waiting += children
    return found


def resident_bytes(pid: int) -> int:
    """Memory that a process holds, 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its ended children used, 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[CPU_FIELDS]) / os.sysconf("SC_CLK_TCK")


class OutputFiles:
    """Two log files: the present one, and the one before it."""

    def __init__(self, directory: str, limit: int) -> None:
        self._path = os.path.join(directory, "output.log")  # noqa: PTH118
        self._limit = limit // 2
        self._file = self._open()
        self._size = os.fstat(self._file.fileno()).st_size
        self._partial = {"o": b"", "e": b""}

    def _open(self) -> IO[bytes]:
        return open(self._path, "ab", buffering=0)  # noqa: PTH123

    def feed(self, stream: str, data: bytes) -> None:
        """Take what came out of a stream; whole lines are written at once."""
        lines = (self._partial[stream] + data).split(b"\n")
        rest = lines.pop()
        while len(rest) > MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._partial[stream] = rest
        self._write(stream, lines)

    def finish(self) -> None:
        """Write lines that have no end."""
        for stream, rest in self._partial.items():
            if rest:
                self._write(stream, [rest])
        self._partial = {"o": b"", "e": b""}

    def say(self, text: str) -> None:
        """Write a line of the platform's own."""
        self._write("p", [text.encode()])

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _write(self, stream: str, lines: list[bytes]) -> None:
        if not lines:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        head = f"{stamp} {stream} ".encode()
        block = b"".join(head + line.rstrip(b"\r")[:MAX_LINE] + b"\n" for line in lines)
        with contextlib.suppress(OSError):  # a full disk must not end the plugin
            self._file.write(block)
        self._size += len(block)
        if self._size > self._limit:
            with contextlib.suppress(OSError):
                with contextlib.suppress(FileNotFoundError):  # moved by the last try, which then made no new file
                    os.replace(self._path, self._path + ".1")  # noqa: PTH105
                fresh = self._open()
                self._file.close()
                self._file, self._size = fresh, 0


class Keeper:
    """One plugin process from its start to its recorded end."""

    def __init__(self, order: KeeperOrder) -> None:
        self._order = order
        self._output = OutputFiles(order["directory"], order["log_bytes"])
        self._child = 0
        self._status: int | None = None
        self._out_of_memory = False
        self._record: dict[str, Any] = {}

    def start(self) -> dict[str, object]:
        """Start the plugin and record the run.

        Returns:
            The recorded run.

        Raises:
            OSError: the program could not be started.
        """
        order = self._order
        libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        if libc is not None:
            libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

        def confine() -> None:
            if libc is not None:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        self._process = subprocess.Popen(  # noqa: S603 - the operator's plugin is what this is for
            order["argv"],
            cwd=order["cwd"],
            env=order["environment"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
            preexec_fn=confine,  # noqa: PLW1509 - this program has one thread
        )
        self._child = self._process.pid
        self._record = {
            "runId": order["run_id"],
            "specHash": order["spec_hash"],
            "version": order["version"],
            "port": order["port"],
            "startedAt": time.time(),
            "keeper": {"pid": os.getpid(), "ticks": start_ticks(os.getpid())},
            "child": {"pid": self._child, "ticks": start_ticks(self._child)},
            "exit": None,
        }
        self._save()
        return self._record

    def _save(self) -> None:
        path = os.path.join(self._order["directory"], "run.json")  # noqa: PTH118
        with open(path + ".new", "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(self._record, file)
        os.replace(path + ".new", path)  # noqa: PTH105

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child, number)

    def _reap(self) -> None:
        """Collect ended children: the plugin, and what it left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child:
                self._status = status

    def _watch_memory(self) -> None:
        used = sum(resident_bytes(pid) for pid in descendants(os.getpid()))
        if used > self._order["memory"]:
            self._out_of_memory = True
            self._output.say(
                f"ended by Nimbus: it uses {used // 1024**2} MiB of memory and may use"
                f" {self._order['memory'] // 1024**2} MiB"
            )
            self._signal_group(signal.SIGKILL)

    def run(self) -> None:
        """Keep the plugin until it has ended, then record how."""
        selector = selectors.DefaultSelector()
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._signal_group(signal.SIGTERM))
        selector.register(wake_read, selectors.EVENT_READ, None)
        for name, pipe in (("o", self._process.stdout), ("e", self._process.stderr)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe.fileno(), selectors.EVENT_READ, name)
        next_check = time.monotonic() + MEMORY_CHECK_SECONDS
        self._reap()
        while self._status is None:
            self._pump(selector, max(0.0, next_check - time.monotonic()))
            self._reap()
            if time.monotonic() >= next_check and self._status is None:
                self._watch_memory()
                next_check = time.monotonic() + MEMORY_CHECK_SECONDS
        self._end_the_rest()
        self._drain(selector)
        self._output.finish()
        self._output.close()
        code = os.waitstatus_to_exitcode(self._status)
        self._record["exit"] = {
            "code": 128 - code if code < 0 else code,
            "signal": -code if code < 0 else None,
            "outOfMemory": self._out_of_memory,
        }
        self._save()

    def _pump(self, selector: selectors.BaseSelector, timeout: float) -> None:
        for key, _ in selector.select(timeout):
            try:
                data = os.read(key.fd, 65536)
            except (BlockingIOError, InterruptedError):
                continue
            if key.data is None:
                continue
            if data:
                self._output.feed(key.data, data)
            else:
                selector.unregister(key.fd)

    def _end_the_rest(self) -> None:
        """Kill what is left of the plugin's processes, wherever in the tree they are."""
        deadline = time.monotonic() + DRAIN_SECONDS
        self._signal_group(signal.SIGKILL)
        while time.monotonic() < deadline:
            left = descendants(os.getpid())
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
            time.sleep(0.005)

    def _drain(self, selector: selectors.BaseSelector) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline and any(key.data for key in selector.get_map().values()):
            self._pump(selector, 0.05)


def main() -> None:
    """Detach, start the plugin, tell the registry on standard output, and stay."""
    lock = int(sys.argv[1])
    order: KeeperOrder = json.load(sys.stdin)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.set_inheritable(lock, False)  # noqa: FBT003 - positional by its signature
    os.chdir(order["directory"])
    errors = os.open("keeper.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(errors, 2)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    keeper = Keeper(order)
    try:
        answer: dict[str, object] = {"run": keeper.start()}
    except OSError as error:
        answer = {"error": error.strerror or str(error), "errno": error.errno, "file": error.filename}
    os.write(1, json.dumps(answer).encode())
    os.dup2(null, 1)
    if "run" in answer:
        keeper.run()
    os._exit(0)


if __name__ == "__main__":
    main()
