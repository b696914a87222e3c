"""A media library in memory."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import ValidationError

from nimbus_sdk.contracts.core_api import (
    Media,
    MediaBulkItem,
    MediaBulkResult,
    MediaChange,
    MediaChangePage,
    MediaCreate,
    MediaPage,
    MediaUpdate,
    MediaUpsert,
)
from nimbus_sdk.testing.refusals import Refused, invalid

PAGE_LIMIT = 50
MOST_PER_PAGE = 200
CHANGES_LIMIT = 100
MOST_LINES = 10_000
_OUTCOMES = ("created", "updated", "unchanged", "failed")


class FakeMedia:
    """Media items, newest first.

    Attributes:
        items: what there is, by id, oldest first.
    """

    def __init__(self) -> None:
        self.items: dict[str, Media] = {}
        self._count = 0
        self._changes: dict[str, int] = {}
        self._changed = 0

    def add(
        self,
        kind: str,
        title: str,
        *,
        year: int | None = None,
        parent_id: str | None = None,
        external_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        created_by: str = "user:operator",
    ) -> Media:
        """Put an item into the library, as the operator would."""
        wanted = MediaCreate(
            kind=kind,
            title=title,
            year=year,
            parent_id=parent_id,
            external_id=external_id,
            metadata=dict(metadata or {}),
        )
        return self._store(wanted, created_by)

    def _store(self, wanted: MediaCreate, created_by: str) -> Media:
        if wanted.parent_id is not None:
            self._check_parent(wanted.parent_id, None)
        self._check_external_id(wanted.kind, wanted.external_id, None)
        self._count += 1
        now = datetime.now(UTC)
        item = Media(
            **wanted.model_dump(),
            id=str(uuid.UUID(int=(self._count << 80) | (7 << 76) | (0b10 << 62))),
            etag="1",
            created_by=created_by,
            created_at=now,
            updated_at=now,
        )
        self._put(item)
        return item

    def _put(self, item: Media) -> None:
        self.items[item.id] = item
        self._note(item.id)

    def _note(self, item_id: str) -> None:
        self._changed += 1
        self._changes.pop(item_id, None)
        self._changes[item_id] = self._changed

    def _known(self, kind: str | None, external_id: str | None) -> Media | None:
        fitting = (item for item in self.items.values() if (item.kind, item.external_id) == (kind, external_id))
        return next(fitting, None) if external_id is not None else None

    def _check_external_id(self, kind: str, external_id: str | None, item_id: str | None) -> None:
        known = self._known(kind, external_id)
        if known is not None and known.id != item_id:
            raise Refused(409, "conflict", f"There is a {kind} with the external id {external_id!r} already.")

    def _check_parent(self, parent_id: str, item_id: str | None) -> None:
        """Refuse a parent that does not exist, or that lies below the item itself."""
        if parent_id not in self.items:
            problem = {"path": "/parentId", "message": "there is no such item", "value": parent_id}
            raise Refused(422, "validation", "The parent does not exist.", errors=[problem])
        above: str | None = parent_id
        while above is not None:
            if above == item_id:
                raise Refused(409, "conflict", "An item cannot belong to itself or to one below it.")
            above = self.items[above].parent_id

    def answer(self, request: httpx.Request, item_id: str, caller: str) -> httpx.Response:
        """Answer one call under `/media`."""
        try:
            if not item_id:
                return self._collection(request, caller)
            if (request.method, item_id) == ("POST", "bulk"):
                return httpx.Response(200, json=self._bulk(request.content, caller).wire())
            if (request.method, item_id) == ("GET", "changes"):
                return httpx.Response(200, json=self._changes_page(request.url.params).wire())
            return self._one(request, item_id)
        except ValidationError as error:
            raise invalid(error) from error

    def _collection(self, request: httpx.Request, caller: str) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=self._page(request.url.params).wire())
        if request.method == "POST":
            item = self._store(MediaCreate.model_validate_json(request.content), caller)
            return httpx.Response(201, headers={"etag": f'"{item.etag}"'}, json=item.wire())
        raise Refused(405, "method-not-allowed", f"{request.method} is not for this path.")

    def _one(self, request: httpx.Request, item_id: str) -> httpx.Response:
        item = self.items.get(item_id)
        if item is None:
            raise Refused(404, "not-found", f"There is no media item {item_id}.")
        if request.method == "GET":
            return httpx.Response(200, headers={"etag": f'"{item.etag}"'}, json=item.wire())
        guard = request.headers.get("if-match")
        if guard is not None and guard not in {"*", f'"{item.etag}"'}:
            raise Refused(412, "precondition-failed", "The item was changed meanwhile.")
        if request.method == "DELETE":
            if any(other.parent_id == item_id for other in self.items.values()):
                raise Refused(409, "conflict", "Other items belong to this one.")
            del self.items[item_id]
            self._note(item_id)
            return httpx.Response(204)
        if request.method == "PATCH":
            changed = self._merge(item, MediaUpdate.model_validate_json(request.content))
            return httpx.Response(200, headers={"etag": f'"{changed.etag}"'}, json=changed.wire())
        raise Refused(405, "method-not-allowed", f"{request.method} is not for this path.")

    def _merge(self, item: Media, update: MediaUpdate) -> Media:
        changes = update.model_dump(include=update.model_fields_set - {"metadata"})
        for name in ("kind", "title", "metadata"):
            if name in update.model_fields_set and getattr(update, name) is None:
                problem = {"path": f"/{name}", "message": "it cannot be removed"}
                raise Refused(422, "validation", "A field that is needed was removed.", errors=[problem])
        if update.parent_id is not None:
            self._check_parent(update.parent_id, item.id)
        if update.metadata is not None:
            changes["metadata"] = merge_patch(item.metadata, update.metadata)
        self._check_external_id(changes.get("kind", item.kind), changes.get("external_id", item.external_id), item.id)
        return self._change(item, changes)

    def _change(self, item: Media, changes: Mapping[str, Any]) -> Media:
        now = datetime.now(UTC)
        self._put(item.model_copy(update={**changes, "etag": str(int(item.etag) + 1), "updated_at": now}))
        return self.items[item.id]

    def _bulk(self, body: bytes, caller: str) -> MediaBulkResult:
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
        if lines and lines[-1][0] > MOST_LINES:
            raise Refused(413, "payload-too-large", f"A call takes at most {MOST_LINES} lines.")
        found = [self._line(number, line, caller) for number, line in lines]
        counts = {name: sum(one.outcome == name for one in found) for name in _OUTCOMES}
        return MediaBulkResult.model_validate({**counts, "items": found})

    def _line(self, number: int, line: bytes, caller: str) -> MediaBulkItem:
        try:
            wanted = MediaUpsert.model_validate_json(line)
            parent = self._known(wanted.parent_kind, wanted.parent_external_id)
            if wanted.parent_external_id is not None and parent is None:
                message = "parentKind and parentExternalId name no item that is there or came before."
                return MediaBulkItem(line=number, outcome="failed", error=message)
            item = self._known(wanted.kind, wanted.external_id)
            fields = wanted.model_dump(include={"title", "year", "metadata"})
            if item is None:
                made = MediaCreate(
                    kind=wanted.kind,
                    external_id=wanted.external_id,
                    parent_id=parent.id if parent else None,
                    **fields,
                )
                return MediaBulkItem(line=number, outcome="created", id=self._store(made, caller).id)
            if parent is not None:
                self._check_parent(parent.id, item.id)
                fields["parent_id"] = parent.id
        except ValidationError as error:
            return MediaBulkItem(line=number, outcome="failed", error=error.errors()[0]["msg"])
        except Refused as refused:
            return MediaBulkItem(line=number, outcome="failed", error=refused.detail)
        if all(getattr(item, name) == value for name, value in fields.items()):
            return MediaBulkItem(line=number, outcome="unchanged", id=item.id)
        return MediaBulkItem(line=number, outcome="updated", id=self._change(item, fields).id)

    def _changes_page(self, params: httpx.QueryParams) -> MediaChangePage:
        after, limit = int(params.get("after", 0)), int(params.get("limit", CHANGES_LIMIT))
        new = [(item_id, place) for item_id, place in self._changes.items() if place > after]
        changes = [
            MediaChange(id=item_id, deleted=item_id not in self.items, item=self.items.get(item_id))
            for item_id, _ in new[:limit]
        ]
        following = new[:limit][-1][1] if changes else after
        return MediaChangePage(items=changes, next=str(following), more=len(new) > limit)

    def _page(self, params: httpx.QueryParams) -> MediaPage:
        limit = int(params.get("limit", PAGE_LIMIT))
        if not 1 <= limit <= MOST_PER_PAGE:
            problem = {"path": "limit", "message": f"from 1 to {MOST_PER_PAGE}", "value": limit}
            raise Refused(422, "validation", "The limit does not fit.", errors=[problem])
        fitting = [item for item in reversed(self.items.values()) if _fits(item, params)]
        after = params.get("cursor")
        if after is not None:
            fitting = [item for item in fitting if item.id < after]
        page = fitting[:limit]
        return MediaPage(items=page, next=page[-1].id if len(fitting) > limit else None)


def _fits(item: Media, params: httpx.QueryParams) -> bool:
    wanted = dict(params)
    metadata = {
        name.removeprefix("metadata."): value for name, value in wanted.items() if name.startswith("metadata.")
    }
    return (
        wanted.get("kind", item.kind) == item.kind
        and wanted.get("year", str(item.year)) == str(item.year)
        and wanted.get("parentId", item.parent_id) == item.parent_id
        and wanted.get("externalId", item.external_id) == item.external_id
        and wanted.get("search", "").casefold() in item.title.casefold()
        and all(str(item.metadata.get(name)) == value for name, value in metadata.items())
    )


def merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """RFC 7396: members of `patch` replace those of `target`, None removes them, objects are merged."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
