"""Series and episodes: items of the library as the API shows them, and back. Pure.

A series is an item of the kind `series`; what the API knows of it beyond title and year is its metadata, under the
same names. An episode is an item of the kind `episode` whose parent it is, with `seasonNumber` and `episodeNumber`;
it has a file when the downloader has put one there (`file`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nimbus_sdk import MediaItem as Item

from sonarr.profiles import quality_of, quality_resource

Json = dict[str, Any]

SERIES = "series"
EPISODE = "episode"
LANGUAGE = {"id": 1, "name": "English"}
KEPT = (
    "tvdbId",
    "tvRageId",
    "tvMazeId",
    "imdbId",
    "overview",
    "network",
    "airTime",
    "status",
    "seriesType",
    "monitored",
    "qualityProfileId",
    "languageProfileId",
    "seasonFolder",
    "useSceneNumbering",
    "path",
    "titleSlug",
    "firstAired",
    "runtime",
    "certification",
    "genres",
    "tags",
    "images",
    "seasons",
    "ratings",
)
"""What is kept of a client's series besides title and year."""
_RELEASE = re.compile(r"[Ss](\d{1,4})[. _-]?[Ee](\d{1,4})|(?<!\d)(\d{1,2})x(\d{2,3})(?!\d)")
_SEPARATORS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode with its number and that of its series."""

    item: Item
    number: int
    series_number: int

    @property
    def season(self) -> int:
        """Its season; 0 is specials."""
        return whole(self.item.metadata.get("seasonNumber"))

    @property
    def episode(self) -> int:
        """Its number in the season."""
        return whole(self.item.metadata.get("episodeNumber"))

    @property
    def file(self) -> Mapping[str, Any] | None:
        """The file that the downloader has put there."""
        found = self.item.metadata.get("file")
        return found if isinstance(found, dict) else None

    @property
    def monitored(self) -> bool:
        """Whether it is to be searched for."""
        return self.item.metadata.get("monitored") is not False


def whole(value: object, default: int = 0) -> int:
    """A whole number out of metadata that anybody may have written."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def stamp(moment: datetime) -> str:
    """A moment as the API writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(title: str) -> str:
    """A title as it is compared: `cleanTitle`."""
    return _SEPARATORS.sub("", title).casefold()


def slug_of(title: str) -> str:
    """A title as it stands in addresses."""
    return _SEPARATORS.sub("-", title).strip("-").casefold()


def numbering(release: str) -> tuple[int, int] | None:
    """Season and episode of a release's title; None when it names none."""
    found = _RELEASE.search(release)
    if found is None:
        return None
    season, episode = (found[1], found[2]) if found[1] is not None else (found[3], found[4])
    return int(season), int(episode)


def belongs(release: str, title: str) -> bool:
    """Whether a release is of the series with this title: it begins with it, up to its numbering."""
    found = _RELEASE.search(release)
    if found is None:
        return False
    before = key_of(release[: found.start()])
    return re.fullmatch(re.escape(key_of(title)) + r"(?:\d{4})?", before) is not None


def metadata_of(body: Mapping[str, Any], before: Mapping[str, Any], root: str) -> Json:
    """The metadata of a series out of what a client sent; what it leaves out stays."""
    title = str(body.get("title") or "")
    kept = {name: body[name] for name in KEPT if name in body}
    folder = str(body.get("rootFolderPath") or root).rstrip("/")
    kept["path"] = str(body.get("path") or before.get("path") or f"{folder}/{title}")
    kept.setdefault("monitored", before.get("monitored", True))
    kept["seasons"] = [
        {"seasonNumber": whole(one.get("seasonNumber")), "monitored": one.get("monitored") is not False}
        for one in kept.get("seasons") or before.get("seasons") or []
        if isinstance(one, dict)
    ]
    return kept


def statistics(episodes: Sequence[Episode]) -> Json:
    """How many of the episodes there are, and how many have a file."""
    files = [one for one in episodes if one.file is not None]
    counted = [one for one in episodes if one.monitored or one.file is not None]
    return {
        "episodeFileCount": len(files),
        "episodeCount": len(counted),
        "totalEpisodeCount": len(episodes),
        "sizeOnDisk": sum(whole((one.file or {}).get("size")) for one in files),
        "percentOfEpisodes": round(100 * len(files) / len(counted), 2) if counted else 0.0,
    }


def series_resource(item: Item, number: int, episodes: Sequence[Episode]) -> Json:
    """A series with its seasons and statistics."""
    known = item.metadata
    path = str(known.get("path") or f"/{item.title}")
    monitored = {
        whole(one.get("seasonNumber")): one.get("monitored") is not False
        for one in known.get("seasons") or []
        if isinstance(one, dict)
    }
    seasons = sorted({*monitored, *(one.season for one in episodes)})
    return {
        "id": number,
        "title": item.title,
        "sortTitle": item.title.casefold(),
        "cleanTitle": key_of(item.title),
        "titleSlug": known.get("titleSlug") or slug_of(item.title),
        "status": known.get("status") or "continuing",
        "ended": known.get("status") == "ended",
        "overview": known.get("overview") or "",
        "network": known.get("network") or "",
        "airTime": known.get("airTime") or "",
        "images": known.get("images") or [],
        "alternateTitles": [],
        "seasonCount": len([one for one in seasons if one > 0]),
        "seasons": [
            {
                "seasonNumber": season,
                "monitored": monitored.get(season, True),
                "statistics": statistics([one for one in episodes if one.season == season]),
            }
            for season in seasons
        ],
        "year": item.year or 0,
        "path": path,
        "rootFolderPath": path.rstrip("/").rpartition("/")[0] + "/",
        "folder": path.rstrip("/").rpartition("/")[2],
        "qualityProfileId": whole(known.get("qualityProfileId"), 1),
        "languageProfileId": whole(known.get("languageProfileId"), 1),
        "seasonFolder": known.get("seasonFolder") is not False,
        "monitored": known.get("monitored") is not False,
        "useSceneNumbering": known.get("useSceneNumbering") is True,
        "runtime": whole(known.get("runtime")),
        "tvdbId": whole(known.get("tvdbId")),
        "tvRageId": whole(known.get("tvRageId")),
        "tvMazeId": whole(known.get("tvMazeId")),
        "imdbId": known.get("imdbId") or "",
        "firstAired": known.get("firstAired"),
        "seriesType": known.get("seriesType") or "standard",
        "certification": known.get("certification") or "",
        "genres": known.get("genres") or [],
        "tags": known.get("tags") or [],
        "added": stamp(item.created_at),
        "ratings": known.get("ratings") or {"votes": 0, "value": 0.0},
        "statistics": {"seasonCount": len([one for one in seasons if one > 0]), **statistics(episodes)},
    }


def episode_resource(one: Episode, *, series: Json | None = None, with_file: bool = False) -> Json:
    """An episode."""
    known = one.item.metadata
    resource: Json = {
        "id": one.number,
        "seriesId": one.series_number,
        "tvdbId": whole(known.get("tvdbId")),
        "episodeFileId": one.number if one.file is not None else 0,
        "seasonNumber": one.season,
        "episodeNumber": one.episode,
        "title": one.item.title,
        "airDate": str(known["airDateUtc"])[:10] if known.get("airDateUtc") else None,
        "airDateUtc": known.get("airDateUtc"),
        "overview": known.get("overview") or "",
        "hasFile": one.file is not None,
        "monitored": one.monitored,
        "unverifiedSceneNumbering": False,
        "images": [],
    }
    if series is not None:
        resource["series"] = series
    if with_file and one.file is not None:
        resource["episodeFile"] = file_resource(one)
    return resource


def file_resource(one: Episode) -> Json:
    """The file of an episode that has one; it has the episode's number."""
    file = one.file or {}
    path = str(file.get("path") or "")
    return {
        "id": one.number,
        "seriesId": one.series_number,
        "seasonNumber": one.season,
        "relativePath": path,
        "path": path,
        "size": whole(file.get("size")),
        "dateAdded": stamp(one.item.updated_at),
        "sceneName": str(one.item.metadata.get("release") or ""),
        "releaseGroup": "",
        "language": LANGUAGE,
        "languages": [LANGUAGE],
        "quality": quality_resource(quality_of(str(one.item.metadata.get("release") or path))),
        "qualityCutoffNotMet": False,
        "languageCutoffNotMet": False,
        "customFormats": [],
        "customFormatScore": 0,
    }
