"""Short lists that clients choose from: quality and language profiles, root folders, tags."""

from typing import Any

from fastapi import HTTPException, Response
from nimbus_sdk import Kv
from nimbus_sdk.errors import NotFound, PreconditionFailed
from pydantic import BaseModel, Field

from sonarr.app import Json, reads, writes
from sonarr.library import LibraryDep
from sonarr.profiles import PROFILES, QUALITIES, profile, profile_resource
from sonarr.settings import SonarrSettings
from sonarr.shows import LANGUAGE

_TRIES = 5


class TagBody(BaseModel):
    """A tag as clients send it."""

    label: str = Field(min_length=1, max_length=100)


class RootFolderBody(BaseModel):
    """A root folder as clients send it."""

    path: str = Field(pattern=r"^/[^\x00-\x1f]*$", max_length=300)


class Kept:
    """A list in the key-value store whose entries have numbers."""

    def __init__(self, key: str, field: str) -> None:
        self._key = key
        self._field = field

    async def all(self, kv: Kv) -> dict[int, str]:
        """The entries by number."""
        return _entries(await kv.get(self._key))

    async def change(self, kv: Kv, number: int | None, text: str | None) -> int:
        """Set the text of an entry, or take it away (None); without a number a new one, unless it is there already.

        Raises:
            HTTPException: 404, there is no entry with this number.
        """
        for _ in range(_TRIES):
            try:
                entry = await kv.read(self._key)
                entries, etag = _entries(entry.value), entry.etag
            except NotFound:
                entries, etag = {}, None
            if number is None:
                known = [one for one, there in entries.items() if there.casefold() == (text or "").casefold()]
                if known:
                    return known[0]
                chosen = max(entries, default=1) + 1
            elif number not in entries:
                raise HTTPException(404, f"There is no {self._field} {number}.")
            else:
                chosen = number
            changed = {one: there for one, there in entries.items() if one != chosen}
            if text is not None:
                changed[chosen] = text
            value = {str(one): there for one, there in sorted(changed.items())}
            try:
                await kv.put(self._key, value, etag=etag, new=etag is None)
            except PreconditionFailed:
                continue  # somebody else changed the list meanwhile
            return chosen
        raise HTTPException(503, "The list is being changed by others all the time; try again.")


def _entries(value: Any) -> dict[int, str]:  # noqa: ANN401 - whatever is stored
    return {int(number): str(text) for number, text in value.items()} if isinstance(value, dict) else {}


tags = Kept("tags", "tag")
folders = Kept("root-folders", "root folder")
FIRST_FOLDER = 1


@reads("qualityprofile")
async def quality_profiles() -> list[Json]:
    """The quality profiles."""
    return [profile_resource(one) for one in PROFILES]


@reads("qualityprofile/{number}")
async def quality_profile(number: int) -> Json:
    """One quality profile."""
    found = profile(number)
    if found is None:
        raise HTTPException(404, f"There is no quality profile {number}.")
    return profile_resource(found)


@reads("qualitydefinition")
async def quality_definitions() -> list[Json]:
    """The qualities, the worst first."""
    return [
        {
            "id": number,
            "quality": {"id": number, "name": name, "source": source, "resolution": lines},
            "title": name,
            "weight": weight,
        }
        for weight, (number, (name, source, lines)) in enumerate(QUALITIES.items(), start=1)
    ]


@reads("languageprofile")
async def language_profiles() -> list[Json]:
    """One language profile, which clients of the third version ask for: languages are not told apart."""
    return [
        {
            "id": 1,
            "name": "English",
            "upgradeAllowed": False,
            "cutoff": LANGUAGE,
            "languages": [{"language": LANGUAGE, "allowed": True}],
        }
    ]


def _folder(number: int, path: str, series: int) -> Json:
    # How much is free is the downloader's to know, whose volume this plugin cannot see.
    return {"id": number, "path": path, "accessible": True, "freeSpace": None, "seriesCount": series} | {
        "unmappedFolders": []
    }


@reads("rootfolder")
async def root_folders(kv: Kv, settings: SonarrSettings, library: LibraryDep) -> list[Json]:
    """The setting's folder, and those that clients have added."""
    paths = [str(item.metadata.get("path") or "") for item in await library.series()]
    there = {FIRST_FOLDER: settings.root_folder, **await folders.all(kv)}
    return [
        _folder(number, path, len([one for one in paths if one.startswith(path.rstrip("/") + "/")]))
        for number, path in there.items()
    ]


@writes("POST", "rootfolder", 201)
async def add_root_folder(body: RootFolderBody, kv: Kv) -> Json:
    """Add a root folder: a name that paths of series begin with."""
    return _folder(await folders.change(kv, None, body.path), body.path, 0)


@writes("DELETE", "rootfolder/{number}")
async def remove_root_folder(number: int, kv: Kv) -> Json:
    """Remove a root folder that a client has added."""
    if number == FIRST_FOLDER:
        raise HTTPException(409, "This root folder is a setting of the plugin; change it there.")
    await folders.change(kv, number, None)
    return {}


@reads("tag")
async def all_tags(kv: Kv) -> list[Json]:
    """The tags."""
    return [{"id": number, "label": label} for number, label in (await tags.all(kv)).items()]


@reads("tag/detail")
async def tag_details(kv: Kv, library: LibraryDep) -> list[Json]:
    """The tags, and which series have them."""
    shown = await library.all_shown(await library.series())
    return [
        {
            "id": number,
            "label": label,
            "seriesIds": [one["id"] for one in shown if number in one["tags"]],
            "delayProfileIds": [],
            "importListIds": [],
            "notificationIds": [],
            "restrictionIds": [],
            "indexerIds": [],
        }
        for number, label in (await tags.all(kv)).items()
    ]


@reads("tag/{number}")
async def one_tag(number: int, kv: Kv) -> Json:
    """One tag."""
    label = (await tags.all(kv)).get(number)
    if label is None:
        raise HTTPException(404, f"There is no tag {number}.")
    return {"id": number, "label": label}


@writes("POST", "tag", 201)
async def add_tag(body: TagBody, kv: Kv) -> Json:
    """Add a tag; one with this label stays the one."""
    return {"id": await tags.change(kv, None, body.label), "label": body.label}


@writes("PUT", "tag/{number}")
async def change_tag(number: int, body: TagBody, kv: Kv, response: Response) -> Json:
    """Change a tag's label."""
    response.status_code = 202
    return {"id": await tags.change(kv, number, body.label), "label": body.label}


@writes("DELETE", "tag/{number}")
async def remove_tag(number: int, kv: Kv) -> Json:
    """Remove a tag. Series that have it keep its number, which then means nothing."""
    await tags.change(kv, number, None)
    return {}
