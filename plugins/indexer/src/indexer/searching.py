"""Asking servers, all at once, each with its own deadline."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from indexer.newznab import MOST_BYTES, Release, ServerError, call_url, releases, server_title
from indexer.settings import IndexerSettings, Server

REMEMBERED = 5000
"""Releases that can be handed on after a search."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking one server."""

    server: str
    milliseconds: int
    found: Sequence[Release] = ()
    error: str | None = None


class Shelf:
    """Releases that were found lately. Their addresses hold keys, so people get ids."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Release] = OrderedDict()

    def keep(self, found: Sequence[Release]) -> None:
        """Remember releases; the oldest are forgotten."""
        for release in found:
            self._kept[release.id] = release
            self._kept.move_to_end(release.id)
        while len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)

    def get(self, release_id: str) -> Release | None:
        """A release that was found lately."""
        return self._kept.get(release_id)


async def ask_all(settings: IndexerSettings, words: Mapping[str, str]) -> list[Answer]:
    """Ask every server that is on. One that fails or is slow keeps nobody from answering."""
    servers = [server for server in settings.servers if server.enabled]
    async with httpx.AsyncClient(follow_redirects=True, max_redirects=5, trust_env=False) as http:
        return list(await asyncio.gather(*(_ask(http, settings, server, words) for server in servers)))


async def _ask(
    http: httpx.AsyncClient, settings: IndexerSettings, server: Server, words: Mapping[str, str]
) -> Answer:
    began = time.monotonic()
    own = dict(words)
    if server.categories and "cat" not in own:
        own["cat"] = ",".join(str(number) for number in server.categories)
    found: Sequence[Release] = ()
    error: str | None = None
    try:
        async with asyncio.timeout(settings.timeout):
            found = releases(server.name, await _get(http, server, settings.keys.get(server.name, ""), own))
    except TimeoutError:
        error = f"it did not answer within {settings.timeout} s"
    except ServerError as failure:
        error = str(failure)
    return Answer(server.name, round((time.monotonic() - began) * 1000), found, error)


async def try_server(server: Server, key: str, seconds: int) -> str:
    """How a server calls itself, when it answers and takes the key.

    Raises:
        ServerError: it does not.
    """
    try:
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as http, asyncio.timeout(seconds):
            title = server_title(await _get(http, server, key, {"t": "caps"}))
            releases(server.name, await _get(http, server, key, {"t": "search", "limit": "1"}))  # caps need no key
            return title
    except TimeoutError as error:
        raise ServerError(f"it did not answer within {seconds} s") from error


async def _get(http: httpx.AsyncClient, server: Server, key: str, words: Mapping[str, str]) -> bytes:
    received = bytearray()
    try:
        async with http.stream("GET", call_url(server.url, key, words), timeout=60) as answer:
            if not answer.is_success:
                raise ServerError(f"it answered {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                received += chunk
                if len(received) > MOST_BYTES:
                    raise ServerError(f"it answered more than {MOST_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerError(f"it cannot be reached: {type(error).__name__}") from None  # the text may hold the key
    return bytes(received)
