"""Series, episodes and their files."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import HTTPException, Query
from fastapi.responses import JSONResponse
from nimbus_sdk import MediaItem as Item
from nimbus_sdk.errors import NotFound
from pydantic import BaseModel, ConfigDict, Field

from sonarr.app import Json, paged, reads, writes
from sonarr.commands import desk
from sonarr.library import LibraryDep
from sonarr.profiles import profile
from sonarr.settings import SonarrSettings
from sonarr.shows import (
    EPISODE,
    SERIES,
    Episode,
    episode_resource,
    file_resource,
    key_of,
    metadata_of,
    series_resource,
)

_MOST_YEAR = 9999


class SeriesBody(BaseModel):
    """A series as clients send it. What is not named here is kept as it is, where it is kept at all."""

    model_config = ConfigDict(extra="allow")

    id: int | None = None
    title: str = Field(min_length=1, max_length=500)
    year: int | None = None
    tvdb_id: int = Field(0, alias="tvdbId", ge=0)
    quality_profile_id: int | None = Field(None, alias="qualityProfileId")
    path: str | None = Field(None, max_length=1000)
    root_folder_path: str | None = Field(None, alias="rootFolderPath", max_length=300)
    monitored: bool = True
    seasons: list[dict[str, Any]] | None = Field(None, max_length=200)
    tags: list[int] | None = Field(None, max_length=200)
    add_options: dict[str, Any] | None = Field(None, alias="addOptions")

    def sent(self) -> Json:
        """What the client said, under the API's names."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude_unset=True)

    @property
    def known_year(self) -> int | None:
        """The year; 0 stands for unknown."""
        return self.year if self.year and 0 < self.year <= _MOST_YEAR else None


class Monitored(BaseModel):
    """Episodes to be searched for, or not."""

    episode_ids: list[int] = Field(alias="episodeIds", max_length=10_000)
    monitored: bool


class EpisodeBody(BaseModel):
    """An episode as clients send it back; only this can be changed."""

    model_config = ConfigDict(extra="allow")

    monitored: bool


def _invalid(name: str, text: str, value: object, code: str) -> JSONResponse:
    """Refuse a value in the API's own form."""
    failure = {"propertyName": name, "errorMessage": text, "attemptedValue": value, "severity": "error"}
    return JSONResponse([{**failure, "errorCode": code}], status_code=400)


@reads("series")
async def all_series(library: LibraryDep, tvdb: Annotated[int | None, Query(alias="tvdbId")] = None) -> list[Json]:
    """Every series of the library, or those with a number at TheTVDB."""
    shown = await library.all_shown(await library.series())
    return [one for one in shown if tvdb is None or one["tvdbId"] == tvdb]


@reads("series/lookup")
async def lookup(library: LibraryDep, term: Annotated[str, Query(max_length=500)] = "") -> list[Json]:
    """Series of the library by title, or by `tvdb:<number>`."""
    kind, _, number = term.strip().partition(":")
    if kind in {"tvdb", "tvdbid"} and number.strip().isdecimal():
        found = [item for item in await library.series() if item.metadata.get("tvdbId") == int(number)]
    else:
        words = key_of(term)
        found = [item for item in await library.series() if words and words in key_of(item.title)]
    return await library.all_shown(found)


@reads("series/{number}")
async def one_series(number: int, library: LibraryDep) -> Json:
    """One series."""
    return await library.shown(await library.item(number, SERIES))


@writes("POST", "series", 201)
async def add_series(body: SeriesBody, library: LibraryDep, settings: SonarrSettings) -> Any:  # noqa: ANN401 - or a refusal
    """Put a series into the library, and search for it when that is asked for."""
    if refused := _unknown_profile(body):
        return refused
    for item in await library.series():
        same = (
            item.metadata.get("tvdbId") == body.tvdb_id if body.tvdb_id else key_of(item.title) == key_of(body.title)
        )
        if same:
            text = "This series has already been added"
            return _invalid("TvdbId", text, body.tvdb_id, "SeriesExistsValidator")
    metadata = metadata_of(body.sent(), {}, settings.root_folder)
    made = await library.media.create(SERIES, body.title, year=body.known_year, metadata=metadata)
    shown = await library.shown(made)
    if (body.add_options or {}).get("searchForMissingEpisodes") is True:
        desk.take("SeriesSearch", {"seriesId": shown["id"]}, trigger="unspecified")
    return shown


def _unknown_profile(body: SeriesBody) -> JSONResponse | None:
    wanted = body.quality_profile_id
    if wanted is None or profile(wanted) is not None:
        return None
    return _invalid("QualityProfileId", "Quality Profile does not exist", wanted, "QualityProfileExistsValidator")


async def _change(number: int, body: SeriesBody, library: LibraryDep, settings: SonarrSettings) -> Any:  # noqa: ANN401
    if refused := _unknown_profile(body):
        return refused
    item = await library.item(number, SERIES)
    metadata = metadata_of(body.sent(), item.metadata, settings.root_folder)
    changed = await library.media.update(
        item.id, title=body.title, year=body.known_year or item.year, metadata=metadata
    )
    return JSONResponse(await library.shown(changed), status_code=202)


@writes("PUT", "series")
async def change_series(body: SeriesBody, library: LibraryDep, settings: SonarrSettings) -> Any:  # noqa: ANN401
    """Change the series whose `id` the body names."""
    return await _change(body.id or 0, body, library, settings)


@writes("PUT", "series/{number}")
async def change_one_series(number: int, body: SeriesBody, library: LibraryDep, settings: SonarrSettings) -> Any:  # noqa: ANN401
    """Change a series."""
    return await _change(number, body, library, settings)


@writes("DELETE", "series/{number}")
async def remove_series(number: int, library: LibraryDep) -> Json:
    """Take a series and its episodes out of the library. Files stay where the downloader put them."""
    item = await library.item(number, SERIES)
    for one in await library.episodes(item):
        await library.media.delete(one.item.id)
    await library.media.delete(item.id)
    return {}


async def _of(library: LibraryDep, series: int | None) -> list[Episode]:
    return await library.episodes(await library.item(series, SERIES) if series is not None else None)


@reads("episode")
async def episodes(
    library: LibraryDep,
    series: Annotated[int | None, Query(alias="seriesId")] = None,
    season: Annotated[int | None, Query(alias="seasonNumber")] = None,
    ids: Annotated[list[int] | None, Query(alias="episodeIds", max_length=1000)] = None,
) -> list[Json]:
    """The episodes of a series, or of one of its seasons, or with these numbers."""
    if series is None and not ids:
        raise HTTPException(400, "seriesId or episodeIds must be provided")
    return [
        episode_resource(one, with_file=True)
        for one in await _of(library, series)
        if (season is None or one.season == season) and (not ids or one.number in ids)
    ]


@reads("episode/{number}")
async def one_episode(number: int, library: LibraryDep) -> Json:
    """One episode with its series."""
    one = await library.numbered(await library.item(number, EPISODE))
    return episode_resource(one, series=await _series_of(library, one), with_file=True)


async def _series_of(library: LibraryDep, one: Episode) -> Json | None:
    try:
        parent = await library.media.get(one.item.parent_id or "")
    except NotFound:
        return None
    return series_resource(parent, one.series_number, await library.episodes(parent))


@writes("PUT", "episode/monitor", 202)
async def monitor_episodes(body: Monitored, library: LibraryDep) -> list[Json]:
    """Have episodes searched for, or not."""
    return [
        await _monitor(library, await library.item(number, EPISODE), monitored=body.monitored)
        for number in body.episode_ids
    ]


@writes("PUT", "episode/{number}", 202)
async def change_episode(number: int, body: EpisodeBody, library: LibraryDep) -> Json:
    """Have an episode searched for, or not."""
    return await _monitor(library, await library.item(number, EPISODE), monitored=body.monitored)


async def _monitor(library: LibraryDep, item: Item, *, monitored: bool) -> Json:
    changed = await library.media.update(item.id, metadata={"monitored": monitored})
    return episode_resource(await library.numbered(changed))


@reads("episodefile")
async def episode_files(
    library: LibraryDep,
    series: Annotated[int | None, Query(alias="seriesId")] = None,
    ids: Annotated[list[int] | None, Query(alias="episodeFileIds", max_length=1000)] = None,
) -> list[Json]:
    """The files of a series, or with these numbers."""
    if series is None and not ids:
        raise HTTPException(400, "seriesId or episodeFileIds must be provided")
    found = [one for one in await _of(library, series) if one.file is not None]
    return [file_resource(one) for one in found if not ids or one.number in ids]


@reads("episodefile/{number}")
async def episode_file(number: int, library: LibraryDep) -> Json:
    """One file."""
    one = await library.numbered(await library.item(number, EPISODE))
    if one.file is None:
        raise HTTPException(404, f"There is no episode file {number}.")
    return file_resource(one)


@reads("calendar")
async def calendar(
    library: LibraryDep,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    unmonitored: bool = False,
    include_series: Annotated[bool, Query(alias="includeSeries")] = False,
) -> list[Json]:
    """Episodes by when they are first shown; without times, of today and tomorrow."""
    first = _aware(start or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
    last = _aware(end) if end is not None else first + timedelta(days=2)
    shown = {}
    if include_series:
        shown = {one["id"]: one for one in await library.all_shown(await library.series())}
    found = []
    for one in await library.episodes():
        aired = _moment(one.item.metadata.get("airDateUtc"))
        if aired is not None and first <= aired <= last and (one.monitored or unmonitored):
            found.append((aired, episode_resource(one, series=shown.get(one.series_number))))
    return [resource for _, resource in sorted(found, key=lambda pair: pair[0])]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _moment(value: object) -> datetime | None:
    try:
        return _aware(datetime.fromisoformat(str(value))) if value else None
    except ValueError:
        return None


@reads("wanted/missing")
async def missing(
    library: LibraryDep,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000)] = 10,
    *,
    include_series: Annotated[bool, Query(alias="includeSeries")] = False,
) -> Json:
    """Episodes that are wanted and have no file."""
    shown = {one["id"]: one for one in await library.all_shown(await library.series())}
    records = [
        episode_resource(one, series=shown.get(one.series_number) if include_series else None)
        for one in await library.episodes()
        if one.monitored and one.file is None and shown.get(one.series_number, {}).get("monitored")
    ]
    return paged(records, page=page, page_size=page_size, sort_key="airDateUtc", descending=True)
