"""The media library: one service for people and plugins."""

import json
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from nimbus_sdk.contracts.core_api import Media, MediaChange, MediaCreate, MediaUpdate
from nimbus_sdk.contracts.problem import FieldProblem
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.etags import require_match, version_etag
from nimbus_gateway.core.events.outbox import NewEvent, emit_all
from nimbus_gateway.core.media.tables import MediaChangeRow, MediaItem
from nimbus_gateway.core.merge import merge_metadata
from nimbus_gateway.database import lock, now, parse_id
from nimbus_gateway.errors import ConflictError, NotFoundError, ValidationError

KEY_LENGTH = 2000
DEEPEST = 32
EXACT_NUMBERS = 2**53
"""Below this, JSON numbers mean the same everywhere (RFC 8259, section 6)."""
CHANGES_LOCK = "media-changes"
"""Taken before anything else by all that changes the library: rows and lock in another order could wait for each
other, and two moves at once could close a circle together."""


@dataclass(frozen=True, slots=True)
class MediaFilter:
    """What a list is narrowed to; what is None or empty does not narrow.

    Attributes:
        kind: of this kind.
        search: the title holds all these words or parts of words, whatever their case.
        year: of this year.
        parent_id: direct children of this item.
        external_id: with this name in another catalogue.
        metadata: top-level metadata entries that are these values: as text, or read as a JSON scalar.
    """

    kind: str | None = None
    search: str | None = None
    year: int | None = None
    parent_id: str | None = None
    external_id: str | None = None
    metadata: Mapping[str, str] | None = None


def title_key(title: str) -> str:
    """A title as search compares it."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", title).casefold())[:KEY_LENGTH]


def view(item: MediaItem) -> Media:
    """The wire form of a row."""
    return Media(
        id=str(item.id),
        kind=item.kind,
        title=item.title,
        year=item.year,
        parent_id=str(item.parent_id) if item.parent_id else None,
        external_id=item.external_id,
        metadata=item.details,
        etag=version_etag(item.version),
        created_by=item.created_by,
        created_at=item.created_at,
        updated_at=item.updated_at,
    )


async def tell(session: AsyncSession, changes: Sequence[tuple[str, MediaItem]]) -> None:
    """Note changes of items for the feed of changes, and tell of them by events."""
    await lock(session, CHANGES_LOCK)
    ids = [item.id for _, item in changes]
    await session.exec(sa.delete(MediaChangeRow).where(col(MediaChangeRow.media_id).in_(ids)))
    rows = [{"media_id": item.id, "deleted": what == "deleted"} for what, item in changes]
    await session.exec(sa.insert(MediaChangeRow).values(rows))
    events = [
        NewEvent(f"io.nimbus.media.{what}.v1", subject=str(item.id), data=view(item).wire()) for what, item in changes
    ]
    await emit_all(session, events)


class MediaLibrary:
    """The library within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def page(self, wanted: MediaFilter, *, before: uuid.UUID | None, limit: int) -> Sequence[MediaItem]:
        """Items that fit, newest first, before the given one."""
        query = select(MediaItem).order_by(col(MediaItem.id).desc()).limit(limit)
        if before is not None:
            query = query.where(col(MediaItem.id) < before)
        if wanted.kind is not None:
            query = query.where(col(MediaItem.kind) == wanted.kind)
        for word in title_key(wanted.search or "").split():
            query = query.where(col(MediaItem.title_key).contains(word, autoescape=True))
        if wanted.year is not None:
            query = query.where(col(MediaItem.year) == wanted.year)
        if wanted.parent_id is not None:
            parent = parse_id(wanted.parent_id)
            query = query.where(col(MediaItem.parent_id) == parent if parent else sa.false())
        if wanted.external_id is not None:
            query = query.where(col(MediaItem.external_id) == wanted.external_id)
        for key, value in (wanted.metadata or {}).items():
            query = query.where(self._has_entry(key, value))
        return (await self._session.exec(query)).all()

    def _has_entry(self, key: str, text: str) -> sa.ColumnElement[bool]:
        number = _scalar(text)
        if self._session.get_bind().dialect.name == "postgresql":
            details = sa.type_coerce(col(MediaItem.details), JSONB)
            return sa.or_(
                *(details.contains({key: value}) for value in ([text] if number is None else [text, *number]))
            )
        # json_each rather than a path: SQLite's paths cannot name every key.
        entries = sa.func.json_each(col(MediaItem.details)).table_valued("key", "atom", "type")
        as_text = sa.and_(entries.c.type == "text", entries.c.atom == text)
        kinds = {"true": "true", "false": "false", "null": "null"}
        match number:
            case None:
                fits = as_text
            case [bool() | None]:
                fits = sa.or_(as_text, entries.c.type == kinds[text])
            case [value]:
                fits = sa.or_(as_text, sa.and_(entries.c.type.in_(("integer", "real")), entries.c.atom == value))
        return sa.exists(sa.select(sa.literal(1)).select_from(entries).where(entries.c.key == key, fits))

    async def changes(self, *, after: int, limit: int) -> list[tuple[int, MediaChange]]:
        """The last change of each item that changed after a place in the feed, oldest first, with their places."""
        query = (
            select(MediaChangeRow, MediaItem)
            .join(MediaItem, col(MediaItem.id) == col(MediaChangeRow.media_id), isouter=True)
            .where(col(MediaChangeRow.seq) > after)
            .order_by(col(MediaChangeRow.seq))
            .limit(limit)
        )
        return [
            (
                change.seq or 0,
                MediaChange(
                    id=str(change.media_id),
                    deleted=change.deleted,
                    item=view(item) if item is not None and not change.deleted else None,
                ),
            )
            for change, item in (await self._session.exec(query)).all()
        ]

    async def get(self, media_id: str) -> MediaItem:
        """One item.

        Raises:
            NotFoundError: there is none with that id.
        """
        key = parse_id(media_id)
        found = await self._session.get(MediaItem, key) if key else None
        if found is None:
            raise NotFoundError("No such media item.")
        return found

    async def create(self, body: MediaCreate, *, by: str) -> MediaItem:
        """Add an item.

        Raises:
            ValidationError: the parent does not exist.
        """
        await lock(self._session, CHANGES_LOCK)
        item = MediaItem(
            kind=body.kind,
            title=body.title,
            title_key=title_key(body.title),
            year=body.year,
            parent_id=await self._parent(body.parent_id) if body.parent_id is not None else None,
            external_id=body.external_id,
            details=body.metadata,
            created_by=by,
        )
        self._session.add(item)
        await self._flush(item)
        await tell(self._session, [("created", item)])
        return item

    async def _flush(self, item: MediaItem) -> None:
        kind, external_id = item.kind, item.external_id
        try:
            await self._session.flush()
        except sa.exc.IntegrityError as error:
            raise ConflictError(f"There is a {kind} with the external id {external_id!r} already.") from error

    async def update(self, media_id: str, body: MediaUpdate, *, if_match: str | None) -> MediaItem:
        """Change what the body names; metadata is merged (RFC 7396), `year` and `parentId` may be set to null.

        Raises:
            NotFoundError: there is no such item.
            PreconditionFailedError: it was changed since `if_match`.
            ValidationError: the parent does not exist, or kind or title is null.
            ConflictError: the item would be its own ancestor.
        """
        await lock(self._session, CHANGES_LOCK)
        item = await self._locked(media_id)
        require_match(if_match, version_etag(item.version))
        given = body.model_fields_set
        empty = [name for name in ("kind", "title", "metadata") if name in given and getattr(body, name) is None]
        if empty:
            raise ValidationError(errors=[FieldProblem(path=f"/{name}", message="a value") for name in empty])
        if body.kind is not None:
            item.kind = body.kind
        if body.title is not None:
            item.title, item.title_key = body.title, title_key(body.title)
        if "year" in given:
            item.year = body.year
        if "parent_id" in given:
            item.parent_id = await self._new_parent(item, body.parent_id)
        if body.metadata is not None:
            item.details = merge_metadata(item.details, body.metadata)
        if "external_id" in given:
            item.external_id = body.external_id
        item.version += 1
        item.updated_at = now()
        self._session.add(item)
        await self._flush(item)
        await tell(self._session, [("updated", item)])
        return item

    async def delete(self, media_id: str, *, if_match: str | None) -> MediaItem:
        """Delete an item that no other belongs to.

        Raises:
            NotFoundError: there is no such item.
            PreconditionFailedError: it was changed since `if_match`.
            ConflictError: other items belong to it.
        """
        await lock(self._session, CHANGES_LOCK)
        item = await self._locked(media_id)
        require_match(if_match, version_etag(item.version))
        try:
            await self._session.delete(item)
            await self._session.flush()
        except sa.exc.IntegrityError as error:
            raise ConflictError("Other items belong to this one. Delete or move them first.") from error
        await tell(self._session, [("deleted", item)])
        return item

    async def _locked(self, media_id: str) -> MediaItem:
        key = parse_id(media_id)
        query = select(MediaItem).where(col(MediaItem.id) == key).with_for_update()
        found = (await self._session.exec(query)).one_or_none() if key else None
        if found is None:
            raise NotFoundError("No such media item.")
        return found

    async def _parent(self, parent_id: str) -> uuid.UUID:
        key = parse_id(parent_id)
        # The row is locked against deletion until this transaction ends.
        query = select(MediaItem.id).where(col(MediaItem.id) == key).with_for_update(read=True, key_share=True)
        if key is None or (await self._session.exec(query)).one_or_none() is None:
            problem = FieldProblem(path="/parentId", message="the id of an item that exists", value=parent_id[:80])
            raise ValidationError("There is no such parent.", errors=[problem])
        return key

    async def _new_parent(self, item: MediaItem, parent_id: str | None) -> uuid.UUID | None:
        if parent_id is None:
            return None
        key = await self._parent(parent_id)
        ancestor: uuid.UUID | None = key
        for _ in range(DEEPEST):
            if ancestor is None:
                return key
            if ancestor == item.id:
                raise ConflictError("An item cannot belong to itself or to one below it.")
            query = select(MediaItem.parent_id).where(col(MediaItem.id) == ancestor)
            ancestor = (await self._session.exec(query)).one()
        raise ConflictError(f"Items nest at most {DEEPEST} deep.")


def _scalar(text: str) -> list[bool | int | float | None] | None:
    """What the text is when read as a JSON number, boolean or null, in a list; None when it is only text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, str | list | dict):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) < EXACT_NUMBERS:
        return None
    return [value]
