"""Downloads files over HTTP and HTTPS: a provider for the downloads of Nimbus."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import HTTPException, Path
from fastapi.responses import StreamingResponse
from nimbus_sdk import Core, Download, Downloads, Logger, Plugin
from nimbus_sdk.contracts.downloads import DOWNLOAD_CONTROL, DOWNLOAD_REQUESTED
from pydantic import BaseModel, Field

from downloader.fetch import FetchError, parse_checksum
from downloader.settings import DownloaderSettings
from downloader.worker import Active, Worker

plugin = Plugin(__name__)
PROGRESS_SECONDS = 1.0
DownloadId = Annotated[str, Path(pattern="^[0-9a-f-]{36}$")]
doing = Worker(
    plugin.manifest.id,
    plugin.data_dir,
    lambda: plugin.server.settings(DownloaderSettings),
)


class Wanted(BaseModel):
    """A download to be queued."""

    url: str = Field(pattern=r"^https?://\S+$", max_length=4000)
    title: str | None = Field(default=None, min_length=1, max_length=500)
    checksum: str | None = Field(default=None, max_length=200, description="E.g. sha256:…")


class Listing(BaseModel):
    """Downloads of this plugin: the queue in its order, then what has ended, newest first."""

    items: list[Download]


@plugin.on(DOWNLOAD_REQUESTED)
@plugin.on(DOWNLOAD_CONTROL)
async def changed() -> None:
    """Something about our downloads changed; the worker looks at all of them."""
    doing.look()


@plugin.background
async def work(core: Core, log: Logger) -> None:
    """Do the downloads."""
    await doing.run(core, log)


@plugin.get("/downloads", auth="session")
async def listing(downloads: Downloads) -> Listing:
    """The queue and the last fifty that have ended."""
    found = [item async for item in downloads.queue(provider=plugin.manifest.id)]
    ended = downloads.iterate(state=["completed", "failed", "canceled"], provider=plugin.manifest.id, page_size=50)
    async for item in ended:
        found.append(item)
        if len(found) >= 200:  # noqa: PLR2004 - as much as a page shows
            break
    return Listing(items=found)


@plugin.post("/downloads", auth="session", role="admin", status_code=201)
async def add(body: Wanted, downloads: Downloads) -> Download:
    """Queue a download."""
    try:
        parse_checksum(body.checksum)
    except FetchError as error:
        raise HTTPException(422, str(error)) from error
    metadata = {"checksum": body.checksum} if body.checksum else {}
    made = await downloads.create(body.url, title=body.title, provider=plugin.manifest.id, metadata=metadata)
    doing.look()
    return made


@plugin.post("/downloads/{download}/{action}", auth="session", role="admin")
async def act(
    download: DownloadId, action: Literal["pause", "resume", "cancel", "retry", "first"], downloads: Downloads
) -> Download:
    """Pause, resume, cancel, try again, or do it first."""
    if action == "first":
        item = await downloads.update(download, position=0)
    else:
        actions = {
            "pause": downloads.pause,
            "resume": downloads.resume,
            "cancel": downloads.cancel,
            "retry": downloads.retry,
        }
        item = await actions[action](download)
    doing.look()
    return item


@plugin.get("/progress", auth="session")
async def progress() -> StreamingResponse:
    """What runs now, once a second, as server-sent events."""

    async def events() -> AsyncIterator[str]:
        before: list[Active] | None = None
        while True:
            now = doing.active()
            if now != before:
                yield f"event: progress\ndata: {json.dumps([one.model_dump() for one in now])}\n\n"
            else:
                yield ": nothing new\n\n"
            before = now
            await asyncio.sleep(PROGRESS_SECONDS)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
