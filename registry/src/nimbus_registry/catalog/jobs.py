"""Fetching plugins: work of minutes that outlives the call which asked for it, and that people can follow."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
from nimbus_sdk.contracts.jobs import InstallJob, PullLayer

from nimbus_registry.database import utcnow
from nimbus_registry.errors import BusyError, RegistryError
from nimbus_registry.lifecycle.reasons import clean
from nimbus_registry.store.ledger import Ledger

log = structlog.get_logger(__name__)

MOST_RUNNING = 4
KEPT_SECONDS = 600.0
MOST_KEPT = 50
_MOST_LAYERS = 200

Progress = Callable[[PullLayer], None]
Work = Callable[[Progress], Awaitable[str]]
"""Does the job and says in one sentence what came of it."""


class Job:
    """One job: what people see of it, and its end."""

    def __init__(self, shown: InstallJob) -> None:
        self.shown = shown
        self.error: RegistryError | None = None
        self.ended = asyncio.Event()
        self.ended_at = 0.0

    def concerns(self, plugin_id: str) -> None:
        """Say which plugin it is about, once that is known."""
        self.shown = self.shown.model_copy(update={"plugin_id": plugin_id})


class Jobs:
    """The jobs of this registry, in memory: one that was interrupted is simply asked for again."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._jobs: dict[str, Job] = {}
        self._queue: asyncio.Queue[tuple[Job, Work]] = asyncio.Queue(MOST_RUNNING)
        ledger.installs = self.running

    def running(self) -> list[InstallJob]:
        """Those under way, for the snapshot."""
        return [job.shown for job in self._jobs.values() if job.shown.state == "running"]

    def listed(self) -> list[InstallJob]:
        """Those under way and those of the last minutes, newest first."""
        self._forget_old()
        return [job.shown for job in reversed(self._jobs.values())]

    def begin(
        self, kind: Literal["install", "upgrade"], source: str, work: Work, *, plugin_id: str | None = None
    ) -> Job:
        """Begin a job.

        Raises:
            BusyError: too many are under way.
        """
        self._forget_old()
        if len(self.running()) >= MOST_RUNNING:
            raise BusyError(f"{MOST_RUNNING} plugins are being fetched already; wait for one of them.")
        shown = InstallJob(
            id=str(uuid.uuid4()),
            kind=kind,
            source=clean(source, 300),
            plugin_id=plugin_id,
            state="running",
            message="fetching",
            started_at=utcnow(),
        )
        job = self._jobs[shown.id] = Job(shown)
        self._queue.put_nowait((job, work))
        self._ledger.changed()
        return job

    async def run(self) -> None:
        """Carry out jobs for as long as the registry runs."""
        async with asyncio.TaskGroup() as group:
            while True:
                job, work = await self._queue.get()
                group.create_task(self._carry_out(job, work), name=f"{job.shown.kind} {job.shown.source}")

    async def _carry_out(self, job: Job, work: Work) -> None:
        layers: dict[str, PullLayer] = {}

        def progress(layer: PullLayer) -> None:
            if layer.current is not None or layer.id in layers or len(layers) < _MOST_LAYERS:
                layers[layer.id] = layer
            shown = [one for one in layers.values() if one.id]
            job.shown = job.shown.model_copy(update={"layers": shown, "message": clean(_line(layer), 200)})
            self._ledger.changed_soon()

        try:
            message = await work(progress)
        except RegistryError as error:
            job.error = error
            self._end(job, "failed", str(error))
        except Exception as error:
            log.exception("a job failed", source=job.shown.source)
            job.error = RegistryError(f"{type(error).__name__}: {clean(str(error))}")
            self._end(job, "failed", str(job.error))
        else:
            self._end(job, "done", message)

    def _end(self, job: Job, state: Literal["done", "failed"], message: str) -> None:
        problem = job.error.problem() if job.error is not None else None
        job.shown = job.shown.model_copy(update={"state": state, "message": clean(message, 2000), "problem": problem})
        job.ended_at = time.monotonic()
        job.ended.set()
        self._ledger.changed()

    def _forget_old(self) -> None:
        old = time.monotonic() - KEPT_SECONDS
        ended = [job for job in self._jobs.values() if job.ended.is_set()]
        for job in ended:
            if job.ended_at < old or len(self._jobs) > MOST_KEPT:
                self._jobs.pop(job.shown.id, None)


def _line(layer: PullLayer) -> str:
    if layer.current is not None and layer.total:
        return f"{layer.id} {layer.status} {100 * layer.current // layer.total} %"
    return f"{layer.id} {layer.status}".strip()


async def wait_for(job: Job, limit: float) -> bool:
    """Wait until a job has ended, at most `limit` seconds. Returns whether it has.

    Raises:
        RegistryError: it failed.
    """
    try:
        async with asyncio.timeout(limit):
            await job.ended.wait()
    except TimeoutError:
        return False
    if job.error is not None:
        raise job.error
    return True
