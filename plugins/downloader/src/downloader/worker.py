"""Doing what the queue says: starts, pauses and cancels downloads so that they are as people want them.

It looks at the whole queue each time: an event, or the passing of some seconds, only makes it look. So nothing is
lost when the plugin was away, and what was running is gone on with.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from nimbus_sdk import Conflict, Core, CoreError, Download, Logger, NotFound, Unavailable
from pydantic import BaseModel

from downloader.fetch import Fetched, FetchError, Part, Progress, fetch
from downloader.names import title_of
from downloader.settings import DownloaderSettings
from downloader.throttle import Throttle

LOOK_SECONDS = 10.0
REPORT_SECONDS = 2.0
_CONNECT_TIMEOUT = 20.0
_READ_TIMEOUT = 60.0
MOST_REDIRECTS = 10


class Active(BaseModel):
    """A download under way, as the page shows it."""

    id: str
    title: str
    done_bytes: int
    total_bytes: int | None
    speed: float


@dataclass(slots=True)
class Job:
    """A download that runs here."""

    download: Download
    progress: Progress = field(default_factory=Progress)
    speed: float = 0.0
    task: asyncio.Task[None] | None = None
    stopped_for: str | None = None


class Worker:
    """Runs downloads of the queue, as many at a time as the settings allow.

    Args:
        own_id: this plugin's id, the provider of its downloads.
        folder: the plugin's data folder.
        settings: reads the present settings.
    """

    def __init__(self, own_id: str, folder: Path, settings: Callable[[], Awaitable[DownloaderSettings]]) -> None:
        self._own_id = own_id
        self.files, self.parts = folder / "files", folder / "parts"
        self._settings = settings
        self._jobs: dict[str, Job] = {}
        self._wake = asyncio.Event()
        self._throttle = Throttle(time.monotonic)

    def look(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def active(self) -> list[Active]:
        """What runs now."""
        return [
            Active(
                id=job.download.id,
                title=job.download.title,
                done_bytes=job.progress.done,
                total_bytes=job.progress.total,
                speed=job.speed,
            )
            for job in self._jobs.values()
        ]

    async def run(self, core: Core, log: Logger) -> None:
        """Work until cancelled; what is under way is gone on with at the next start."""
        self._wake = asyncio.Event()
        self._jobs.clear()
        for folder in (self.files, self.parts):
            folder.mkdir(parents=True, exist_ok=True)
        timeout = httpx.Timeout(_READ_TIMEOUT, connect=_CONNECT_TIMEOUT)
        async with (
            httpx.AsyncClient(
                timeout=timeout, follow_redirects=True, max_redirects=MOST_REDIRECTS, trust_env=False
            ) as http,
            asyncio.TaskGroup() as tasks,
        ):
            while True:
                self._wake.clear()
                try:
                    await self._converge(core, http, log, tasks)
                except CoreError as error:
                    log.warning("the queue cannot be read; it is tried again", error=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)

    async def _converge(self, core: Core, http: httpx.AsyncClient, log: Logger, tasks: asyncio.TaskGroup) -> None:
        settings = await self._settings()
        self._throttle.rate = settings.speed_limit_kib * 1024
        queue = [item async for item in core.downloads.queue(provider=self._own_id)]
        wanted = {item.id: item for item in queue}
        for key, job in list(self._jobs.items()):
            item = wanted.get(key)
            if item is None or item.wanted != "run":
                self._stop(job, item.wanted if item else "cancel")
        for item in queue:
            if item.id in self._jobs:
                continue
            if item.wanted == "cancel":
                await self._gone(core, item)
            elif item.wanted == "pause" and item.state == "running":
                await core.downloads.report(item.id, "paused")
            elif item.wanted == "run" and len(self._jobs) < settings.parallel:
                job = self._jobs[item.id] = Job(item)
                job.task = tasks.create_task(self._work(core, http, log, settings, job), name=f"download {item.id}")

    def _stop(self, job: Job, why: str) -> None:
        if job.task is not None and job.stopped_for is None:
            job.stopped_for = why
            job.task.cancel()

    async def _work(
        self, core: Core, http: httpx.AsyncClient, log: Logger, settings: DownloaderSettings, job: Job
    ) -> None:
        """One download from its start, or where it was, to its end."""
        item, waits = job.download, False
        try:
            known = await core.kv.get(_taken_in(item.id))
            if isinstance(known, dict):  # the plugin ended between taking it in and saying so
                await core.downloads.report(item.id, "completed", result=known)
                return
            await self._report(core, job)
            reporter = asyncio.create_task(self._keep_reporting(core, job), name=f"progress {item.id}")
            try:
                fetched = await fetch(
                    http,
                    item.url,
                    Part(self.parts, item.id),
                    checksum=_text(item.metadata.get("checksum")),
                    throttle=self._throttle,
                    progress=job.progress,
                    most_bytes=settings.max_bytes,
                )
            finally:
                reporter.cancel()
                await asyncio.gather(reporter, return_exceptions=True)
            result = await self._take_in(core, settings, item, fetched)
            await core.downloads.report(
                item.id, "completed", done_bytes=fetched.size, total_bytes=fetched.size, result=result
            )
            log.info("download completed", id=item.id, title=item.title, bytes=fetched.size)
        except FetchError as error:
            log.warning("download failed", id=item.id, title=item.title, error=str(error))
            await self._say(core, item.id, "failed", error=str(error))
        except asyncio.CancelledError:
            if job.stopped_for is None:
                raise  # the plugin stops; the download stays `running` and is gone on with
            await self._stopped(core, job)
        except (Conflict, NotFound) as error:
            log.info("download has ended elsewhere", id=item.id, error=str(error))
        except Unavailable as error:
            waits = True
            log.warning("download waits for the core", id=item.id, error=str(error))
        except CoreError as error:
            await self._say(core, item.id, "failed", error=f"the file is here, but the library refused it: {error}")
        finally:
            self._jobs.pop(item.id, None)
            if not waits:
                self.look()  # there is room for the next

    async def _stopped(self, core: Core, job: Job) -> None:
        if job.stopped_for == "pause":
            progress = job.progress
            await self._say(core, job.download.id, "paused", done_bytes=progress.done, total_bytes=progress.total)
        else:
            await self._gone(core, job.download)

    async def _gone(self, core: Core, item: Download) -> None:
        Part(self.parts, item.id).discard()
        await self._say(core, item.id, "canceled")

    async def _say(self, core: Core, key: str, state: Any, **facts: Any) -> None:  # noqa: ANN401 - of `report`
        with contextlib.suppress(CoreError):  # it is looked at again
            await core.downloads.report(key, state, **facts)

    async def _report(self, core: Core, job: Job) -> None:
        now = await core.downloads.report(
            job.download.id,
            "running",
            done_bytes=job.progress.done,
            total_bytes=job.progress.total,
            speed=job.speed,
        )
        if now.wanted != "run":
            self.look()

    async def _keep_reporting(self, core: Core, job: Job) -> None:
        before = job.progress.received
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            job.speed = (job.progress.received - before) / REPORT_SECONDS
            before = job.progress.received
            with contextlib.suppress(CoreError):
                await self._report(core, job)

    async def _take_in(
        self, core: Core, settings: DownloaderSettings, item: Download, fetched: Fetched
    ) -> dict[str, Any]:
        """Move the file to its place and put it into the library; what came of it."""
        target = await asyncio.to_thread(_place, fetched.path, self.files, fetched.name)
        Part(self.parts, item.id).discard()
        result: dict[str, Any] = {"path": f"files/{target.name}", "size": fetched.size, "sha256": fetched.sha256}
        if settings.add_to_library:
            result["mediaId"] = await self._into_library(core, settings, item, result)
        await core.kv.put(_taken_in(item.id), result, ttl=7 * 86_400)
        return result

    @staticmethod
    async def _into_library(core: Core, settings: DownloaderSettings, item: Download, file: Mapping[str, Any]) -> str:
        """The id of the item that has the file: the one that the download was made for, else a new one."""
        metadata: dict[str, Any] = {"file": dict(file), "download": item.id}
        if release := _text(item.metadata.get("release")):
            metadata["release"] = release
        if made_for := _text(item.metadata.get("mediaId")):
            with contextlib.suppress(NotFound):  # it was deleted meanwhile, and the file is worth an item of its own
                return (await core.media.update(made_for, metadata=metadata)).id
        year = item.metadata.get("year")
        made = await core.media.create(
            _text(item.metadata.get("kind")) or settings.media_kind,
            _text(item.metadata.get("title")) or title_of(item.title),
            year=year if isinstance(year, int) else None,
            metadata=metadata,
        )
        return made.id


def _taken_in(download_id: str) -> str:
    return f"taken-in/{download_id}"


def _place(part: Path, folder: Path, name: str) -> Path:
    """Move a file into a folder under its name, or `name (2)`; never over another."""
    target, number = folder / name, 1
    while True:
        try:
            target.touch(exist_ok=False)
        except FileExistsError:
            number += 1
            target = folder / f"{Path(name).stem} ({number}){Path(name).suffix}"
        else:
            return part.replace(target)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
