"""Searches Newznab and Torznab servers, ranks what they offer, and hands a release to a downloader."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Annotated
from xml.etree import ElementTree as ET

from fastapi import HTTPException, Path, Query, Response
from nimbus_sdk import Config, Download, Downloads, Logger, NamedSettings, Plugin
from pydantic import BaseModel, Field

from indexer.newznab import SearchKind, ServerError, search_words
from indexer.ranking import Ranked, merged, ranked
from indexer.searching import Answer, Shelf, ask_all, try_server
from indexer.settings import IndexerSettings, Name, Server

plugin = Plugin(__name__)
shelf = Shelf()


class ReleaseView(BaseModel):
    """A release as people and other plugins see it. Its address holds a key, so it stays here."""

    id: str
    title: str
    server: str
    also: list[str]
    size: int | None
    published: datetime | None
    categories: list[int]
    seeders: int | None
    grabs: int | None


class ServerAnswer(BaseModel):
    """How one server answered."""

    name: str
    found: int
    milliseconds: int
    error: str | None


class SearchResult(BaseModel):
    """Releases, the best first, and how each server answered."""

    items: list[ReleaseView]
    servers: list[ServerAnswer]


class ServerView(Server):
    """A server as the page shows it."""

    has_key: bool


class ServerWrite(Server):
    """A server to be stored. A key that is left out stays; an empty one goes."""

    key: str | None = Field(default=None, max_length=200)


class ServerList(BaseModel):
    """Every server."""

    items: list[ServerView]


class Tested(BaseModel):
    """What came of trying a server."""

    ok: bool
    detail: str


class Grab(BaseModel):
    """What is to be downloaded, and how."""

    provider: str | None = Field(default=None, description="The plugin that is to do it; the first that can.")
    title: str | None = Field(default=None, min_length=1, max_length=500)
    metadata: dict[str, str | int] = Field(default_factory=dict, description="For the download, e.g. kind and year.")


async def _search(settings: IndexerSettings, words: Mapping[str, str]) -> tuple[list[Ranked], list[Answer]]:
    answers = await ask_all(settings, words)
    found = [release for answer in answers for release in answer.found]
    shelf.keep(found)
    priorities = {server.name: server.priority for server in settings.servers}
    return ranked(merged(found, priorities), settings.prefer, settings.avoid), answers


@plugin.get("/search", auth="apikey", scopes=["indexer:read"])
async def search(  # noqa: PLR0917 - FastAPI passes them by name
    settings: IndexerSettings,
    q: Annotated[str, Query(max_length=300)] = "",
    kind: SearchKind = "search",
    cat: Annotated[list[int] | None, Query(max_length=50)] = None,
    season: Annotated[int | None, Query(ge=0, le=9999)] = None,
    episode: Annotated[int | None, Query(ge=0, le=9999)] = None,
) -> SearchResult:
    """Search every server; without words, the newest."""
    words = search_words(kind, q.strip(), cat or [], season=season, episode=episode)
    found, answers = await _search(settings, words)
    return SearchResult(
        items=[
            ReleaseView(
                id=one.release.id,
                title=one.release.title,
                server=one.release.server,
                also=list(one.also),
                size=one.release.size,
                published=one.release.published,
                categories=list(one.release.categories),
                seeders=one.release.seeders,
                grabs=one.release.grabs,
            )
            for one in found[:500]
        ],
        servers=[
            ServerAnswer(name=one.server, found=len(one.found), milliseconds=one.milliseconds, error=one.error)
            for one in answers
        ],
    )


@plugin.get("/rss", auth="apikey", scopes=["indexer:read"])
async def rss(settings: IndexerSettings, q: Annotated[str, Query(max_length=300)] = "") -> Response:
    """The newest of all servers as one RSS 2.0 feed, newest first."""
    found, _ = await _search(settings, search_words("search", q.strip(), []))
    root = ET.Element("rss", version="2.0")
    channel = ET.SubElement(root, "channel")
    ET.SubElement(channel, "title").text = plugin.manifest.name
    ET.SubElement(channel, "link").text = f"/plugins/{plugin.manifest.id}"
    ET.SubElement(channel, "description").text = "The newest releases of all servers"
    dated = sorted(found, key=lambda one: one.release.published.timestamp() if one.release.published else 0)
    for one in reversed(dated):
        item = ET.SubElement(channel, "item")
        ET.SubElement(item, "title").text = one.release.title
        ET.SubElement(item, "guid", isPermaLink="false").text = one.release.id
        if one.release.published:
            ET.SubElement(item, "pubDate").text = format_datetime(one.release.published)
    return Response(ET.tostring(root, encoding="utf-8", xml_declaration=True), media_type="application/rss+xml")


@plugin.post("/releases/{release}/grab", auth="apikey", scopes=["indexer:write"], status_code=201)
async def grab(
    release: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], body: Grab, downloads: Downloads, log: Logger
) -> Download:
    """Hand a release that was found lately to a downloader."""
    found = shelf.get(release)
    if found is None:
        raise HTTPException(404, "This release was not found lately; search again.")
    metadata = {**body.metadata, "release": found.title, "indexer": found.server}
    made = await downloads.create(
        found.link, title=body.title or found.title, provider=body.provider, metadata=metadata
    )
    log.info("release handed on", title=found.title, server=found.server, provider=made.provider)
    return made.model_copy(update={"url": f"indexer:{found.id}"})  # the address holds the server's key


def kept(settings: IndexerSettings, config: Config) -> NamedSettings[Server]:
    """The servers with their keys."""
    return NamedSettings(config, "server", items=("servers", settings.servers), secrets=("keys", settings.keys))


@plugin.get("/servers", auth="session", role="admin")
async def servers(settings: IndexerSettings) -> ServerList:
    """The servers; keys are never shown."""
    return ServerList(
        items=[
            ServerView(**server.model_dump(), has_key=bool(settings.keys.get(server.name)))
            for server in settings.servers
        ]
    )


@plugin.put("/servers/{name}", auth="session", role="admin")
async def store_server(name: Name, body: ServerWrite, settings: IndexerSettings, config: Config) -> ServerView:
    """Add a server or replace the one with this name."""
    server = Server.model_validate(body.model_dump(exclude={"key"}))
    has_key = await kept(settings, config).put(name, server, body.key)
    return ServerView(**server.model_dump(), has_key=has_key)


@plugin.delete("/servers/{name}", auth="session", role="admin", status_code=204)
async def remove_server(name: Name, settings: IndexerSettings, config: Config) -> None:
    """Remove a server and its key."""
    await kept(settings, config).remove(name)


@plugin.post("/servers/{name}/test", auth="session", role="admin")
async def try_it(name: Name, settings: IndexerSettings, config: Config) -> Tested:
    """Ask a server for its capabilities and for one release, and say what it said."""
    server = kept(settings, config).get(name)
    try:
        title = await try_server(server, settings.keys.get(name, ""), settings.timeout)
    except ServerError as error:
        return Tested(ok=False, detail=str(error))
    return Tested(ok=True, detail=f"{title} answers and takes the key.")
