"""The media library."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nimbus_sdk.client.bulk import CONTENT_TYPE, calls_of, outcomes
from nimbus_sdk.contracts.core_api import Media as Item
from nimbus_sdk.contracts.core_api import (
    MediaBulkItem,
    MediaChangePage,
    MediaCreate,
    MediaPage,
    MediaUpdate,
    MediaUpsert,
)

if TYPE_CHECKING:
    from nimbus_sdk.client.transport import Transport


class Media:
    """Reads and changes media items. Reading needs the permission `media:read`, the rest `media:write`.

    An item is a `nimbus_sdk.MediaItem`.
    """

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    async def page(
        self,
        *,
        kind: str | None = None,
        search: str | None = None,
        year: int | None = None,
        parent_id: str | None = None,
        external_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> MediaPage:
        """One page of items, newest first; pass its `next` as `cursor` for the following one.

        Args:
            kind: only items of this kind, e.g. `movie`.
            search: only items whose title holds these words.
            year: only items of this year.
            parent_id: only items that belong to this one.
            external_id: only items with this name in another catalogue, e.g. `imdb:tt0017136`.
            metadata: only items whose metadata hold these values.
            limit: most items on the page.
            cursor: where the page starts.
        """
        params = _query(
            kind=kind,
            search=search,
            year=year,
            parentId=parent_id,
            externalId=external_id,
            limit=limit,
            cursor=cursor,
        )
        params |= {f"metadata.{name}": value for name, value in (metadata or {}).items()}
        return MediaPage.model_validate(await self._transport.json("GET", "/media", params=params))

    async def iterate(
        self,
        *,
        kind: str | None = None,
        search: str | None = None,
        year: int | None = None,
        parent_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[Item]:
        """Every item that fits, newest first, fetched page by page as they are asked for.

        Example::

            async for item in media.iterate(kind="movie"):
                ...
        """
        cursor: str | None = None
        while True:
            page = await self.page(
                kind=kind,
                search=search,
                year=year,
                parent_id=parent_id,
                metadata=metadata,
                limit=page_size,
                cursor=cursor,
            )
            for item in page.items:
                yield item
            if page.next is None:
                return
            cursor = page.next

    async def get(self, item_id: str) -> Item:
        """One item.

        Raises:
            NotFound: there is none with this id.
        """
        return Item.model_validate(await self._transport.json("GET", _path(item_id)))

    async def find(self, kind: str, external_id: str) -> Item | None:
        """The item of this kind with this name in another catalogue, e.g. `find("movie", "imdb:tt0017136")`."""
        return next(iter((await self.page(kind=kind, external_id=external_id, limit=1)).items), None)

    async def create(
        self,
        kind: str,
        title: str,
        *,
        year: int | None = None,
        parent_id: str | None = None,
        external_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Item:
        """Add an item and return it with its id.

        Raises:
            ValidationFailed: a value does not fit.
            Conflict: there is one of this kind with this external id.
        """
        body = MediaCreate.model_construct(
            kind=kind,
            title=title,
            year=year,
            parent_id=parent_id,
            external_id=external_id,
            metadata=dict(metadata or {}),
        )
        return Item.model_validate(await self._transport.json("POST", "/media", json=body.wire()))

    async def update(self, item: Item | str, /, **changes: Any) -> Item:  # noqa: ANN401 - fields of MediaUpdate
        """Change some fields of an item and return it as it is now.

        Args:
            item: the item as it was read, then the change fails when somebody else changed it since; or its id,
                then the last writer wins.
            changes: any of `kind`, `title`, `year`, `parent_id`, `external_id`, `metadata`. Metadata are merged;
                None removes a value (RFC 7396).

        Raises:
            TypeError: a field has another name.
            PreconditionFailed: it changed since it was read.
            NotFound: it is gone.
        """
        unknown = changes.keys() - MediaUpdate.model_fields.keys()
        if unknown:
            raise TypeError(f"a media item has no field {', '.join(sorted(unknown))}")
        body = {MediaUpdate.model_fields[name].alias or name: value for name, value in changes.items()}
        item_id, etag = (item.id, item.etag) if isinstance(item, Item) else (item, None)
        return Item.model_validate(await self._transport.json("PATCH", _path(item_id), json=body, etag=etag))

    async def delete(self, item: Item | str, /) -> None:
        """Remove an item; given as it was read, only when nobody changed it since.

        Raises:
            PreconditionFailed: it changed since it was read.
            NotFound: it is gone.
        """
        item_id, etag = (item.id, item.etag) if isinstance(item, Item) else (item, None)
        await self._transport.request("DELETE", _path(item_id), etag=etag)

    async def upsert(self, items: Iterable[MediaUpsert] | AsyncIterable[MediaUpsert]) -> AsyncIterator[MediaBulkItem]:
        """Make items, or bring those that are there by kind and external id to what is given; any number of them.

        They are read as they are sent, some thousands a call, and what came of each is told in their order, `line`
        from 1. One that fails holds up no other. A call that is lost is repeated, which changes nothing twice; when
        the whole breaks off, what was told is stored, and sending all of it again finds that unchanged.

        Example::

            async for done in media.upsert(MediaUpsert(kind="movie", external_id=f.id, title=f.name) for f in films):
                if done.outcome == "failed":
                    log.warning("not stored", line=done.line, error=done.error)
        """
        before = 0
        async for call in calls_of(items):
            answer = await self._transport.json(
                "POST",
                "/media/bulk",
                content=call.body(),
                headers={"Content-Type": CONTENT_TYPE},
                repeatable=True,
            )
            for item in outcomes(answer, before):
                yield item
            before += len(call)

    async def changes(self, after: str = "0", *, limit: int = 100) -> AsyncIterator[MediaChangePage]:
        """What has changed in the library since `after`, page by page, until there is no more at this moment.

        From `"0"` every item comes once, then only what is new; of several changes of an item the last is told. Keep
        a page's `next` when the page is dealt with, and pass it the next time.

        Example::

            async for page in media.changes(await kv.get("seen", "0")):
                for change in page.items:
                    forget(change.id) if change.deleted else take(change.item)
                await kv.put("seen", page.next)
        """
        while True:
            params = {"after": after, "limit": str(limit)}
            page = MediaChangePage.model_validate(await self._transport.json("GET", "/media/changes", params=params))
            if page.items:
                yield page
            if not page.more:
                return
            after = page.next


def _path(item_id: str) -> str:
    return f"/media/{quote(item_id, safe='')}"


def _query(**values: str | int | None) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}
