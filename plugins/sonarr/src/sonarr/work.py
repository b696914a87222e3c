"""Queue, history and commands: the downloads of Nimbus as the API shows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import HTTPException, Query
from nimbus_sdk import Core, Download, Downloads, Logger
from nimbus_sdk.errors import Conflict
from pydantic import BaseModel, ConfigDict, Field

from sonarr.app import Json, numbers, paged, plugin, reads, writes
from sonarr.commands import desk
from sonarr.library import Library, LibraryDep
from sonarr.profiles import quality_of, quality_resource
from sonarr.searching import Searcher
from sonarr.settings import SonarrSettings
from sonarr.shows import EPISODE, LANGUAGE, Episode, episode_resource, stamp

_QUEUE_STATUS = {"queued": "queued", "running": "downloading", "paused": "paused"}
_KINDS = {"grabbed": 1, "downloadFolderImported": 3, "downloadFailed": 4}
"""Kinds of history by their numbers in queries."""
_STEP = 4
"""Numbers that the history of one download takes."""


class CommandBody(BaseModel):
    """A command as clients give it."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(max_length=60)


class Ids(BaseModel):
    """Numbers of queue records."""

    ids: list[int] = Field(max_length=1000)


@dataclass(frozen=True, slots=True)
class Tracked:
    """A download of an episode."""

    download: Download
    number: int
    episode: Episode | None

    @property
    def common(self) -> Json:
        """What queue and history say alike."""
        title = str(self.download.metadata.get("release") or self.download.title)
        return {
            "seriesId": self.episode.series_number if self.episode else 0,
            "episodeId": self.episode.number if self.episode else 0,
            "language": LANGUAGE,
            "languages": [LANGUAGE],
            "quality": quality_resource(quality_of(title)),
            "customFormats": [],
            "customFormatScore": 0,
            "downloadId": self.download.id,
        }


def queue_resource(one: Tracked, *, series: Json | None, with_episode: bool) -> Json:
    """A download that has not ended. Pure."""
    download = one.download
    total = download.total_bytes or 0
    result: Json = {
        **one.common,
        "id": one.number,
        "seasonNumber": one.episode.season if one.episode else 0,
        "title": download.title,
        "size": total,
        "sizeleft": max(total - download.done_bytes, 0),
        "added": stamp(download.created_at),
        "status": _QUEUE_STATUS.get(download.state, "unknown"),
        "trackedDownloadStatus": "ok",
        "trackedDownloadState": "downloading",
        "statusMessages": [],
        "errorMessage": download.error or "",
        "protocol": "torrent" if download.url.startswith("magnet:") else "usenet",
        "downloadClient": download.provider,
        "indexer": str(download.metadata.get("indexer") or ""),
        "episodeHasFile": one.episode is not None and one.episode.file is not None,
    }
    if download.eta_seconds is not None:
        left = timedelta(seconds=round(download.eta_seconds))
        hours, rest = divmod(left.seconds, 3600)
        days = f"{left.days}." if left.days else ""
        result["timeleft"] = f"{days}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
        result["estimatedCompletionTime"] = stamp(datetime.now(UTC) + left)
    if series is not None:
        result["series"] = series
    if with_episode and one.episode is not None:
        result["episode"] = episode_resource(one.episode)
    return result


def history_of(one: Tracked) -> list[Json]:
    """What happened to a download, oldest first. Pure."""
    download = one.download
    steps: list[tuple[str, datetime, Json]] = [
        (
            "grabbed",
            download.created_at,
            {"indexer": str(download.metadata.get("indexer") or ""), "downloadClient": download.provider},
        )
    ]
    if download.finished_at is not None and download.state == "completed":
        path = str(download.result.get("path") or "")
        steps.append(("downloadFolderImported", download.finished_at, {"importedPath": path, "droppedPath": path}))
    elif download.finished_at is not None and download.state == "failed":
        steps.append(("downloadFailed", download.finished_at, {"message": download.error or ""}))
    return [
        {
            **one.common,
            "id": one.number * _STEP + place,
            "sourceTitle": str(download.metadata.get("release") or download.title),
            "qualityCutoffNotMet": False,
            "languageCutoffNotMet": False,
            "date": stamp(moment),
            "eventType": kind,
            "data": data,
        }
        for place, (kind, moment, data) in enumerate(steps)
    ]


async def _tracked(library: Library, downloads: Iterable[Download]) -> list[Tracked]:
    """The downloads that are of episodes, with them; those of episodes that are gone too."""
    wanted = [one for one in downloads if one.metadata.get("kind") == EPISODE]
    if not wanted:
        return []
    by_item = {one.item.id: one for one in await library.episodes()}
    return [
        Tracked(
            one,
            await numbers.of(library.kv, one.id),
            by_item.get(str(one.metadata.get("mediaId") or one.result.get("mediaId"))),
        )
        for one in wanted
    ]


async def _queue(library: Library, downloads: Downloads, *, unknown: bool) -> list[Tracked]:
    found = await _tracked(library, [one async for one in downloads.queue()])
    return [one for one in found if unknown or one.episode is not None]


async def _shown(library: Library, tracked: Iterable[Tracked], *, series: bool, episode: bool) -> list[Json]:
    all_series = {one["id"]: one for one in await library.all_shown(await library.series())} if series else {}
    return [
        queue_resource(
            one, series=all_series.get(one.episode.series_number) if one.episode else None, with_episode=episode
        )
        for one in tracked
    ]


@reads("queue")
async def queue(  # noqa: PLR0917 - FastAPI passes them by name
    library: LibraryDep,
    downloads: Downloads,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000)] = 10,
    unknown: Annotated[bool, Query(alias="includeUnknownSeriesItems")] = False,  # noqa: FBT002
    series: Annotated[bool, Query(alias="includeSeries")] = False,  # noqa: FBT002
    episode: Annotated[bool, Query(alias="includeEpisode")] = False,  # noqa: FBT002
) -> Json:
    """Downloads of episodes that have not ended, in the order in which they are done."""
    tracked = await _queue(library, downloads, unknown=unknown)
    records = await _shown(library, tracked, series=series, episode=episode)
    return paged(records, page=page, page_size=page_size, sort_key="timeleft", descending=False)


@reads("queue/details")
async def queue_details(
    library: LibraryDep,
    downloads: Downloads,
    series_id: Annotated[int | None, Query(alias="seriesId")] = None,
    *,
    unknown: Annotated[bool, Query(alias="includeUnknownSeriesItems")] = False,
    series: Annotated[bool, Query(alias="includeSeries")] = False,
    episode: Annotated[bool, Query(alias="includeEpisode")] = True,
) -> list[Json]:
    """All of the queue, or what is in it of a series."""
    tracked = await _queue(library, downloads, unknown=unknown)
    chosen = [one for one in tracked if series_id is None or one.common["seriesId"] == series_id]
    return await _shown(library, chosen, series=series, episode=episode)


@reads("queue/status")
async def queue_status(library: LibraryDep, downloads: Downloads) -> Json:
    """How long the queue is."""
    tracked = await _queue(library, downloads, unknown=True)
    known = [one for one in tracked if one.episode is not None]
    return {
        "totalCount": len(tracked),
        "count": len(known),
        "unknownCount": len(tracked) - len(known),
        "errors": False,
        "warnings": False,
        "unknownErrors": False,
        "unknownWarnings": False,
    }


async def _cancel(number: int, library: Library, downloads: Downloads) -> None:
    item = await numbers.item(library.kv, number)
    tracked = await _queue(library, downloads, unknown=True)
    found = next((one for one in tracked if one.download.id == item), None)
    if found is None:
        raise HTTPException(404, f"There is no record {number} in the queue.")
    try:
        await downloads.cancel(found.download.id)
    except Conflict:
        return  # it has ended meanwhile, which is what was asked for


@writes("DELETE", "queue/bulk")
async def remove_many(body: Ids, library: LibraryDep, downloads: Downloads) -> Json:
    """Cancel several downloads."""
    for number in body.ids:
        await _cancel(number, library, downloads)
    return {}


@writes("DELETE", "queue/{number}")
async def remove(number: int, library: LibraryDep, downloads: Downloads) -> Json:
    """Cancel a download."""
    await _cancel(number, library, downloads)
    return {}


async def _history(library: Library, downloads: Downloads) -> list[Json]:
    tracked = await _tracked(library, [one async for one in downloads.iterate()])
    records = [record for one in tracked for record in history_of(one)]
    return sorted(records, key=lambda record: (record["date"], record["id"]), reverse=True)


def _of_kind(records: list[Json], kind: str | None) -> list[Json]:
    """Those of a kind, by its name or number."""
    if kind is None:
        return records
    return [one for one in records if kind in {one["eventType"], str(_KINDS[one["eventType"]])}]


EventKind = Annotated[str | None, Query(alias="eventType", max_length=60)]


@reads("history")
async def history(  # noqa: PLR0917 - FastAPI passes them by name
    library: LibraryDep,
    downloads: Downloads,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000)] = 10,
    episode: Annotated[int | None, Query(alias="episodeId")] = None,
    kind: EventKind = None,
) -> Json:
    """What was grabbed, imported or failed, newest first."""
    records = _of_kind(await _history(library, downloads), kind)
    records = [one for one in records if episode is None or one["episodeId"] == episode]
    return paged(records, page=page, page_size=page_size, sort_key="date", descending=True)


@reads("history/series")
async def history_of_series(
    library: LibraryDep,
    downloads: Downloads,
    series: Annotated[int, Query(alias="seriesId")],
    kind: EventKind = None,
) -> list[Json]:
    """The history of a series, newest first."""
    return [one for one in _of_kind(await _history(library, downloads), kind) if one["seriesId"] == series]


@reads("history/since")
async def history_since(
    library: LibraryDep, downloads: Downloads, date: datetime, kind: EventKind = None
) -> list[Json]:
    """The history from a moment on, newest first."""
    first = stamp(date if date.tzinfo is not None else date.replace(tzinfo=UTC))
    return [one for one in _of_kind(await _history(library, downloads), kind) if one["date"] >= first]


@reads("command")
async def commands() -> list[Json]:
    """Commands that wait or were done of late."""
    return [one.resource() for one in desk.all()]


@reads("command/{number}")
async def command(number: int) -> Json:
    """One command."""
    return desk.get(number).resource()


@writes("POST", "command", 201)
async def give(body: CommandBody) -> Json:
    """Give a command; ask for it again to see what came of it."""
    given: dict[str, Any] = body.model_extra or {}
    return desk.take(body.name, given).resource()


@plugin.background
async def work_off(core: Core, log: Logger) -> None:
    """Work off the commands."""

    async def do(name: str, body: Json) -> str:
        settings = await plugin.server.settings(SonarrSettings)
        return await Searcher(core, Library(core.media, core.kv), settings.indexer, log).do(name, body)

    await desk.run(do)
