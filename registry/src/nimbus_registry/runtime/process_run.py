"""One run of a plugin as a process, followed until its end, whoever started it."""

import asyncio
import contextlib
import os
from collections.abc import Callable

from nimbus_sdk.contracts.snapshot import Upstream

from nimbus_registry.runtime.base import ExitStatus, Observation, Stats
from nimbus_registry.runtime.keeper import cpu_seconds, descendants, resident_bytes
from nimbus_registry.runtime.run_state import PluginFolder, RunRecord, kill_marked

_POLL_SECONDS = 0.2
"""How often the lock is tried where the system has no pidfd."""


class ProcessRun:
    """A run with its end.

    Args:
        folder: the plugin's folder.
        record: the run as its keeper recorded it.
        on_end: called from the event loop once when the run ends while it is followed.
    """

    def __init__(self, folder: PluginFolder, record: RunRecord, *, on_end: Callable[["ProcessRun"], None]) -> None:
        self.folder = folder
        self.record = record
        self.exit: ExitStatus | None = None
        self._on_end = on_end
        self._over = asyncio.Event()
        self._pidfd: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def plugin_id(self) -> str:
        """Whose run it is."""
        return self.folder.plugin_id

    @property
    def is_running(self) -> bool:
        """Whether its end has not been seen yet."""
        return not self._over.is_set()

    def follow(self) -> None:
        """Watch for the end. A run that has already ended is noted without calling `on_end`."""
        keeper = self.record.keeper
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(ProcessLookupError):
                self._pidfd = os.pidfd_open(keeper.pid)
        if not keeper.is_same() or (self._pidfd is None and not self.folder.is_running()):
            self._close_pidfd()
            self._note_end()
        elif self._pidfd is not None:
            asyncio.get_running_loop().add_reader(self._pidfd, self._keeper_ended)
        else:
            self._timer = asyncio.get_running_loop().call_later(_POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        if self.folder.is_running():
            self._timer = asyncio.get_running_loop().call_later(_POLL_SECONDS, self._poll)
        else:
            self._keeper_ended()

    def _keeper_ended(self) -> None:
        self.release()
        self._note_end()
        self._on_end(self)

    def _note_end(self) -> None:
        latest = self.folder.read_record()
        if latest is not None and latest.run_id == self.record.run_id and latest.exit is not None:
            self.exit = latest.exit
        else:  # the keeper was killed, or the machine went down
            self.exit = ExitStatus()
            kill_marked(self.record.run_id)
        self._over.set()

    def release(self) -> None:
        """Stop watching; the plugin is left as it is."""
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
        self._close_pidfd()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    async def end(self, number: int, timeout: float) -> bool:  # noqa: ASYNC109 - the answer tells whether it was enough
        """Signal the plugin's process group and wait for its end. True when it has ended."""
        if self.is_running:
            self.record.child.signal_group(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._over.wait()
        return not self.is_running

    def kill_all(self) -> None:
        """Kill the keeper and everything that carries the run's mark."""
        self.record.keeper.kill()
        kill_marked(self.record.run_id)

    def observation(self) -> Observation:
        """The run as the protocol shows it."""
        return Observation(
            plugin_id=self.plugin_id,
            phase="running" if self.is_running else "exited",
            spec_hash=self.record.spec_hash,
            run_id=self.record.run_id,
            upstream=Upstream(host="127.0.0.1", port=self.record.port) if self.is_running else None,
            exit=self.exit,
            started_at=self.record.started_at,
        )

    def stats(self) -> Stats | None:
        """Use of the keeper's whole tree, without the keeper; None when it is over or the system has no /proc."""
        pids = descendants(self.record.keeper.pid)
        if not pids:
            return None
        cpu = sum(cpu_seconds(pid) for pid in pids)
        return Stats(cpu_seconds=cpu, memory=sum(resident_bytes(pid) for pid in pids))
