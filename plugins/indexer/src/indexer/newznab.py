"""The Newznab API and its relative Torznab: addresses of calls, and what their XML says. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

SearchKind = Literal["search", "tvsearch", "movie"]
MOST_BYTES = 16 * 1024 * 1024
LONGEST_NUMBER = 15
"""Digits: a petabyte has no more, and what reads JSON knows it exactly."""
_ATTRIBUTES = (
    "{http://www.newznab.com/DTD/2010/feeds/attributes/}attr",
    "{http://torznab.com/schemas/2015/feed}attr",
)


class ServerError(Exception):
    """The server did not answer as it should; the message is for people and holds no key."""


@dataclass(frozen=True, slots=True)
class Release:
    """Something that a server offers."""

    id: str
    server: str
    title: str
    link: str
    size: int | None = None
    published: datetime | None = None
    categories: tuple[int, ...] = ()
    seeders: int | None = None
    grabs: int | None = None


def call_url(base: str, key: str, words: Mapping[str, str]) -> str:
    """The address of a call."""
    root = base.rstrip("/")
    root = root if root.endswith("/api") else f"{root}/api"
    return f"{root}?{urlencode({**words, **({'apikey': key} if key else {})})}"


def search_words(
    kind: SearchKind, query: str, categories: Sequence[int], *, season: int | None = None, episode: int | None = None
) -> dict[str, str]:
    """The parameters of a search."""
    words = {"t": kind, "limit": "100", "extended": "1"}
    if query:
        words["q"] = query
    if categories:
        words["cat"] = ",".join(str(number) for number in categories)
    if season is not None:
        words["season"] = str(season)
    if episode is not None:
        words["ep"] = str(episode)
    return words


def document(text: bytes) -> ET.Element:
    """The root of an answer.

    Raises:
        ServerError: it is no XML, declares entities, or says that something is wrong.
    """
    if len(text) > MOST_BYTES:
        raise ServerError(f"it answered more than {MOST_BYTES} bytes")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ServerError("its answer declares a document type, which no such server needs")
    try:
        root = ET.fromstring(text)  # noqa: S314 - without a document type there are no entities to expand
    except ET.ParseError as error:
        raise ServerError("it answered no XML; is the address that of a Newznab or Torznab server?") from error
    if root.tag == "error":
        code, said = root.get("code", "?"), root.get("description", "")
        raise ServerError(f"it refused: {said or 'no reason given'} (code {code})")
    return root


def releases(server: str, text: bytes) -> list[Release]:
    """What an answer to a search lists; items without a title or an address are left out.

    Raises:
        ServerError: see `document`.
    """
    found = [_release(server, item) for item in document(text).iter("item")]
    return [release for release in found if release is not None]


def server_title(text: bytes) -> str:
    """How a server calls itself, of its answer to `t=caps`.

    Raises:
        ServerError: see `document`, or it is no answer to that.
    """
    root = document(text)
    if root.tag != "caps":
        raise ServerError("it answered something else than its capabilities")
    about = root.find("server")
    return (about.get("title") if about is not None else None) or "a server without a name"


def _release(server: str, item: ET.Element) -> Release | None:
    attributes = {
        (one.get("name") or "").lower(): one.get("value") or "" for tag in _ATTRIBUTES for one in item.iter(tag)
    }
    categories = {int(one.get("value") or 0) for tag in _ATTRIBUTES for one in item.iter(tag) if _is_category(one)}
    enclosure = item.find("enclosure")
    title = " ".join((item.findtext("title") or "").split())
    link = attributes.get("magneturl") or (enclosure.get("url") if enclosure is not None else None)
    link = (link or item.findtext("link") or "").strip()
    if not title or not link.lower().startswith(("http://", "https://", "magnet:")):
        return None
    size = (
        attributes.get("size") or item.findtext("size") or (enclosure.get("length") if enclosure is not None else "")
    )
    guid = item.findtext("guid") or link
    return Release(
        id=hashlib.sha256(f"{server}\n{guid}".encode()).hexdigest()[:32],
        server=server,
        title=title,
        link=link,
        size=_number(size),
        published=_date(attributes.get("usenetdate") or item.findtext("pubDate")),
        categories=tuple(sorted(categories)),
        seeders=_number(attributes.get("seeders")),
        grabs=_number(attributes.get("grabs")),
    )


def _is_category(one: ET.Element) -> bool:
    return one.get("name") == "category" and _number(one.get("value")) is not None


def _number(text: str | None) -> int | None:
    """A whole number above 0; what no size or count could be is none."""
    return int(text) or None if text and text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
        if found is None:
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # the last hour of the year 9999, in a zone that is behind
        return None
