"""Background jobs that outlive their failures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import structlog

from nimbus_gateway.errors import DatabaseUnavailableError, RegistryUnavailableError

_RESTART_SECONDS = 1.0
END_SECONDS = 10.0
"""So long a job that was cancelled may take to end."""

Job = Callable[[], Awaitable[None]]

log = structlog.get_logger("nimbus.jobs")


async def kept_running(name: str, job: Job) -> None:
    """Run a job for ever: it is started again when it fails or ends, until cancelled."""
    while True:
        try:
            await job()
        except (DatabaseUnavailableError, RegistryUnavailableError) as error:
            log.warning("a background job waits", job=name, reason=error.detail)
        except Exception:
            log.exception("a background job failed and is started again", job=name)
        await asyncio.sleep(_RESTART_SECONDS)


async def every(seconds: float, job: Job) -> None:
    """Run a job again and again, with a pause before each time."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await job()
        except DatabaseUnavailableError as error:
            log.warning("housekeeping put off", reason=error.detail)
        except Exception:
            # Raised further, it would close the database under a gateway that goes on serving.
            log.exception("housekeeping failed and is tried again")


class AskedJob:
    """A long job that somebody asked for, one at a time. It ends with the gateway."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether it is under way in this worker."""
        return self._task is not None and not self._task.done()

    def start(self, name: str, job: Coroutine[None, None, None]) -> None:
        """Begin it.

        Raises:
            RuntimeError: another one is under way.
        """
        if self.busy:
            job.close()
            raise RuntimeError("one job at a time")
        self._task = asyncio.create_task(job, name=name)

    async def wait(self, seconds: float | None = None) -> bool:
        """Until what is under way has ended, but not longer than that; whether it has."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        return not self.busy

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The time in which it may be under way; at the end it is cancelled, and waited for a while."""
        try:
            yield
        finally:
            if self._task is not None:
                self._task.cancel()
                if not await self.wait(END_SECONDS):
                    log.warning("a long job does not end", job=self._task.get_name())
