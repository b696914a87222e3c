"""Starts the services, keeps them running, passes their output on and ends them together."""

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

STOP_GRACE_SECONDS = 4.0
"""Ctrl-C ends everything in 5 s: this long for the services to end by themselves, then they are killed."""

_CRASHES_ALLOWED = 5
_CRASH_WINDOW_SECONDS = 60.0
_LINE_LIMIT = 64 * 1024


class ServiceFailedError(Exception):
    """A service ended again and again; the message names it."""


@dataclass(slots=True)
class Service:
    """One child process, restarted when it ends by itself.

    `inherited` is a file descriptor that the child keeps open as long as it lives: the lock by which the next
    supervisor sees that a child has outlived this one.
    """

    name: str
    module: str
    environment: Mapping[str, str]
    inherited: int
    process: asyncio.subprocess.Process | None = None
    stopping: bool = False
    _crashes: deque[float] = field(default_factory=deque)

    async def run(self) -> None:
        """Keep the service running until `stop` is called.

        Raises:
            ServiceFailedError: it ended five times within a minute.
        """
        while not self.stopping:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "nimbus_embedded.child",
                str(os.getpid()),
                str(self.inherited),
                self.module,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # Out of the terminal's foreground group: Ctrl-C reaches the supervisor alone, which ends the
                # services in order.
                start_new_session=True,
                pass_fds=(self.inherited,),
                limit=_LINE_LIMIT,
            )
            await self._pass_output_on(self.process)
            code = await self.process.wait()
            if self.stopping:
                return
            await self._after_crash(code)

    async def _after_crash(self, code: int) -> None:
        now = time.monotonic()
        self._crashes.append(now)
        while self._crashes and now - self._crashes[0] > _CRASH_WINDOW_SECONDS:
            self._crashes.popleft()
        if len(self._crashes) >= _CRASHES_ALLOWED:
            raise ServiceFailedError(
                f"the {self.name} ended {_CRASHES_ALLOWED} times within a minute (last exit code {code}); "
                "its last lines above say why"
            )
        delay = float(len(self._crashes))
        print(
            f"nimbus   | the {self.name} ended with exit code {code}; starting it again in {delay:.0f} s", flush=True
        )
        await asyncio.sleep(delay)

    async def _pass_output_on(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe, see above
        prefix = f"{self.name:<8} | "
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit: the reader has dropped it
                line = b"(a line longer than 64 KiB was left out)\n"
            if not line:
                return
            sys.stdout.write(prefix + line.decode(errors="replace"))
            sys.stdout.flush()

    async def stop(self, deadline: float) -> None:
        """Ask the service to end; kill it at `deadline` (monotonic seconds)."""
        self.stopping = True
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), max(0.1, deadline - time.monotonic()))
        except TimeoutError:
            process.kill()
            await process.wait()
