"""Searching for episodes with the indexer plugin, and handing what is found to a downloader."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException
from nimbus_sdk import Core, Logger
from nimbus_sdk import MediaItem as Item
from nimbus_sdk.errors import CoreError, NotFound, PermissionMissing

from sonarr.commands import ALWAYS_FRESH, CommandFailedError, whole_of
from sonarr.library import Library
from sonarr.profiles import PROFILES, profile, quality_of
from sonarr.shows import EPISODE, SERIES, Episode, Json, belongs, numbering, whole

Found = Mapping[tuple[int, int], Mapping[str, Any]]
Wanted = tuple[int, int]


def choose(series: Item, releases: Iterable[Mapping[str, Any]]) -> Found:
    """The best release of each episode of a series that the series' profile lets in. Pure.

    Args:
        series: an item of the library.
        releases: of the indexer, the best first, with `id` and `title`.
    """
    taken = profile(whole(series.metadata.get("qualityProfileId"), 1)) or PROFILES[0]
    chosen: dict[Wanted, Mapping[str, Any]] = {}
    for release in releases:
        title = str(release["title"])
        place = numbering(title)
        if place is not None and belongs(title, series.title) and taken.takes(quality_of(title)):
            chosen.setdefault(place, release)
    return chosen


def wanted_seasons(series: Item) -> Mapping[int, bool]:
    """Which seasons of a series are monitored; a season that is not named is."""
    named = series.metadata.get("seasons") or []
    return {
        whole(one.get("seasonNumber")): one.get("monitored") is not False for one in named if isinstance(one, dict)
    }


@dataclass(frozen=True, slots=True)
class Searcher:
    """Does the commands that search."""

    core: Core
    library: Library
    indexer: str
    log: Logger

    async def do(self, name: str, body: Json) -> str:
        """Do a command; what came of it, in words.

        Raises:
            CommandFailedError: it cannot be done.
        """
        if name in ALWAYS_FRESH:
            return "Nothing to do: Nimbus always shows the library as it is"
        try:
            grabbed = await self._grab_for(name, body)
        except HTTPException as error:
            raise CommandFailedError(str(error.detail)) from error
        return f"{grabbed} report{'' if grabbed == 1 else 's'} downloaded"

    async def _grab_for(self, name: str, body: Json) -> int:
        if name == "SeriesSearch":
            return await self._series(await self.library.item(whole_of(body, "seriesId"), SERIES))
        if name == "SeasonSearch":
            series = await self.library.item(whole_of(body, "seriesId"), SERIES)
            return await self._series(series, season=whole_of(body, "seasonNumber"))
        if name == "EpisodeSearch":
            numbers = [number for number in body.get("episodeIds") or [] if isinstance(number, int)]
            items = [await self.library.item(number, EPISODE) for number in numbers]
            return sum([await self._episode(await self.library.numbered(item)) for item in items])
        if name == "MissingEpisodeSearch":
            monitored = [item for item in await self.library.series() if item.metadata.get("monitored") is not False]
            return sum([await self._series(series, known_only=True) for series in monitored])
        newest = await self._search({})
        monitored = [item for item in await self.library.series() if item.metadata.get("monitored") is not False]
        return sum([await self._take(series, choose(series, newest)) for series in monitored])

    async def _series(self, series: Item, season: int | None = None, *, known_only: bool = False) -> int:
        words = {"q": series.title, "kind": "tvsearch"} | ({"season": str(season)} if season is not None else {})
        found = choose(series, await self._search(words))
        chosen = {place: release for place, release in found.items() if season is None or place[0] == season}
        return await self._take(series, chosen, known_only=known_only, asked_for=season)

    async def _episode(self, episode: Episode) -> int:
        series = await self.core.media.get(episode.item.parent_id or "")
        place = (episode.season, episode.episode)
        words = {"q": series.title, "kind": "tvsearch", "season": str(place[0]), "episode": str(place[1])}
        release = choose(series, await self._search(words)).get(place)
        if release is None or await self._under_way(episode.item.id):
            return 0
        await self._grab(release, episode.item)
        return 1

    async def _take(
        self, series: Item, found: Found, *, known_only: bool = False, asked_for: int | None = None
    ) -> int:
        """Hand releases to a downloader, of monitored episodes that have no file; the library learns of new ones."""
        monitored = wanted_seasons(series)
        known = {(one.season, one.episode): one for one in await self.library.episodes(series)}
        under_way = await self._all_under_way()
        grabbed = 0
        for place, release in sorted(found.items(), key=lambda pair: pair[0]):
            if not monitored.get(place[0], True) and place[0] != asked_for:
                continue
            episode = known.get(place)
            if episode is None and not known_only:
                item = await self.core.media.create(
                    EPISODE,
                    f"Episode {place[1]}",
                    parent_id=series.id,
                    metadata={"seasonNumber": place[0], "episodeNumber": place[1], "monitored": True},
                )
            elif episode is None or episode.file is not None or not episode.monitored:
                continue
            else:
                item = episode.item
            if item.id not in under_way:
                await self._grab(release, item)
                grabbed += 1
        return grabbed

    async def _all_under_way(self) -> set[str]:
        return {str(one.metadata.get("mediaId")) async for one in self.core.downloads.queue()}

    async def _under_way(self, item_id: str) -> bool:
        return item_id in await self._all_under_way()

    async def _search(self, words: Mapping[str, str]) -> list[Mapping[str, Any]]:
        answer = await self._call("/search", params=words)
        document = answer.json()
        failed = [one for one in document["servers"] if one["error"]]
        if not document["items"] and (failed or not document["servers"]):
            reasons = "; ".join(f"{one['name']}: {one['error']}" for one in failed)
            raise CommandFailedError(reasons or f"the plugin {self.indexer} knows no servers; add one on its page")
        items: list[Mapping[str, Any]] = document["items"]
        return items

    async def _grab(self, release: Mapping[str, Any], item: Item) -> None:
        metadata = {"kind": EPISODE, "title": item.title, "mediaId": item.id}
        body = {"title": release["title"], "metadata": metadata}
        await self._call(f"/releases/{release['id']}/grab", method="POST", json=body)
        self.log.info("release grabbed", title=release["title"], item=item.id)

    async def _call(self, route: str, **options: Any) -> Any:  # noqa: ANN401 - httpx's answer
        try:
            return await self.core.plugins.call(self.indexer, route, **options)
        except PermissionMissing:
            raise CommandFailedError(f"the permission plugins:call:{self.indexer} is not granted in Nimbus") from None
        except NotFound as error:
            raise CommandFailedError(f"the plugin {self.indexer} is not enabled in Nimbus, or: {error}") from error
        except CoreError as error:
            raise CommandFailedError(str(error)) from error
