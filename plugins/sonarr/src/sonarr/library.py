"""The library as the API's routes need it: items with their numbers, fetched from the core."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException
from nimbus_sdk import Kv, Media
from nimbus_sdk import MediaItem as Item
from nimbus_sdk.errors import NotFound

from sonarr.app import numbers, plugin
from sonarr.shows import EPISODE, SERIES, Episode, Json, key_of, series_resource


@dataclass(frozen=True, slots=True)
class Library:
    """Series and episodes of one request; what is asked for is read once."""

    media: Media
    kv: Kv

    async def item(self, number: int, kind: str) -> Item:
        """The item of a number.

        Raises:
            HTTPException: 404, there is none of this kind.
        """
        item_id = await numbers.item(self.kv, number)
        try:
            found = await self.media.get(item_id) if item_id is not None else None
        except NotFound:
            found = None
        if found is None or found.kind != kind:
            raise HTTPException(404, f"There is no {kind} {number}.")
        return found

    async def series(self) -> list[Item]:
        """Every series, by title."""
        found = [item async for item in self.media.iterate(kind=SERIES)]
        return sorted(found, key=lambda item: (key_of(item.title), item.id))

    async def episodes(self, series: Item | None = None) -> list[Episode]:
        """The episodes of a series, or of all, in their order; what belongs to no series is none of them."""
        parent = series.id if series is not None else None
        items = [item async for item in self.media.iterate(kind=EPISODE, parent_id=parent) if item.parent_id]
        return sorted(
            [await self.numbered(item) for item in items],
            key=lambda one: (one.series_number, one.season, one.episode),
        )

    async def numbered(self, item: Item) -> Episode:
        """An episode with its numbers."""
        series_number = await numbers.of(self.kv, item.parent_id or "")
        return Episode(item, await numbers.of(self.kv, item.id), series_number)

    async def shown(self, series: Item) -> Json:
        """A series as the API shows it."""
        return series_resource(series, await numbers.of(self.kv, series.id), await self.episodes(series))

    async def all_shown(self, wanted: Iterable[Item]) -> list[Json]:
        """Many series as the API shows them: the episodes are read once for all."""
        of_series = defaultdict(list)
        for one in await self.episodes():
            of_series[one.series_number].append(one)
        result = []
        for item in wanted:
            number = await numbers.of(self.kv, item.id)
            result.append(series_resource(item, number, of_series[number]))
        return result


def library() -> Library:
    """The library, for one request."""
    return Library(plugin.core.media, plugin.core.kv)


LibraryDep = Annotated[Library, Depends(library)]
