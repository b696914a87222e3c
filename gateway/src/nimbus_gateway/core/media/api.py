"""The calls of the media library, built once for people and once for plugins."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from nimbus_sdk.contracts.core_api import (
    Media,
    MediaBulkResult,
    MediaChangePage,
    MediaCreate,
    MediaPage,
    MediaUpdate,
    MediaUpsert,
)
from nimbus_sdk.contracts.problem import FieldProblem
from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError

from nimbus_gateway.core.media.bulk import lines_of, store_lines
from nimbus_gateway.core.media.service import MediaFilter, MediaLibrary, view
from nimbus_gateway.core.media.tables import MediaItem
from nimbus_gateway.errors import ValidationError
from nimbus_gateway.http.dependencies import CursorDep, LimitDep, ReadSessionDep, SessionDep, StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

METADATA_PREFIX = "metadata."
MOST_METADATA_FILTERS = 10

Actor = Callable[..., Coroutine[Any, Any, str]]
"""A dependency that refuses who may not, and else names the caller: `user:<id>`, `plugin:<id>`, …"""

IfMatch = Annotated[
    str | None, Header(max_length=200, description="The `etag` that was read: the call fails when it changed since.")
]

_PLAIN_TEXT = TypeAdapter(PlainText)
_METADATA_PARAMETER = {
    "parameters": [
        {
            "name": "metadata.{key}",
            "in": "query",
            "required": False,
            "description": "Only items whose metadata has this value at `{key}`, e.g. `metadata.genre=drama`.",
            "schema": {"type": "string", "maxLength": 200},
        }
    ]
}


_LINES = {
    "requestBody": {
        "required": True,
        "content": {"application/x-ndjson": {"schema": MediaUpsert.model_json_schema()}},
    }
}


def metadata_filters(request: Request) -> dict[str, str]:
    """The `metadata.<key>=<value>` parameters.

    Raises:
        ValidationError: there are too many, or a value cannot be compared.
    """
    given = {
        name.removeprefix(METADATA_PREFIX): value
        for name, value in request.query_params.items()
        if name.startswith(METADATA_PREFIX)
    }
    if len(given) > MOST_METADATA_FILTERS:
        problem = FieldProblem(path="metadata", message=f"at most {MOST_METADATA_FILTERS} filters")
        raise ValidationError(errors=[problem])
    for key, value in given.items():
        try:
            _PLAIN_TEXT.validate_python(key)
            _PLAIN_TEXT.validate_python(value)
        except PydanticError as error:
            message = "at most 200 characters, without NUL"
            raise ValidationError(errors=[FieldProblem(path=METADATA_PREFIX + key[:80], message=message)]) from error
    return given


def _answer(response: Response, item: MediaItem) -> Media:
    found = view(item)
    response.headers["ETag"] = found.etag
    return found


def media_router(prefix: str, *, reader: Actor, writer: Actor) -> APIRouter:
    """The library's routes under a prefix.

    Args:
        prefix: such as ``/api/media``.
        reader: who may read.
        writer: who may change.
    """
    router = APIRouter(prefix=prefix, route_class=StrictRoute, tags=["media"], responses=responses(401, 403))

    @router.get("", openapi_extra=_METADATA_PARAMETER, dependencies=[Depends(reader)])
    async def media_list(
        *,
        session: ReadSessionDep,
        cursor: CursorDep,
        metadata: Annotated[dict[str, str], Depends(metadata_filters)],
        limit: LimitDep = 50,
        kind: Annotated[PlainText | None, Query(description="Only items of this kind.")] = None,
        search: Annotated[PlainText | None, Query(description="Only items whose title holds these words.")] = None,
        year: Annotated[int | None, Query(ge=1, le=9999)] = None,
        parent_id: Annotated[
            PlainText | None, Query(alias="parentId", description="Only items that belong to this one.")
        ] = None,
        external_id: Annotated[
            PlainText | None, Query(alias="externalId", description="Only items with this name in another catalogue.")
        ] = None,
    ) -> MediaPage:
        """Media items, newest first."""
        wanted = MediaFilter(
            kind=kind, search=search, year=year, parent_id=parent_id, external_id=external_id, metadata=metadata
        )
        rows = await MediaLibrary(session).page(wanted, before=cursor, limit=limit + 1)
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return MediaPage(items=[view(row) for row in rows[:limit]], next=more)

    @router.post("", status_code=201, responses=responses(409, 413))
    async def media_create(
        *,
        body: MediaCreate,
        response: Response,
        state: StateDep,
        session: SessionDep,
        actor: Annotated[str, Depends(writer)],
    ) -> Media:
        """Add an item."""
        await state.media_quota.take(session, actor)
        item = await MediaLibrary(session).create(body, by=actor)
        response.headers["Location"] = f"{prefix}/{item.id}"
        return _answer(response, item)

    @router.get("/changes", dependencies=[Depends(reader)])
    async def media_changes(
        session: ReadSessionDep,
        after: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the page before; 0 begins.")] = 0,
        limit: LimitDep = 100,
    ) -> MediaChangePage:
        """What has changed since: from 0, every item once, then only what is new."""
        found = await MediaLibrary(session).changes(after=after, limit=limit + 1)
        page = found[:limit]
        following = str(page[-1][0] if page else after)
        return MediaChangePage(items=[change for _, change in page], next=following, more=len(found) > limit)

    @router.post("/bulk", responses=responses(413), openapi_extra=_LINES)
    async def media_bulk(
        request: Request, state: StateDep, actor: Annotated[str, Depends(writer)]
    ) -> MediaBulkResult:
        """Make or change up to 10 000 items, one line of JSON each; lines that fail hold up no others."""
        return await store_lines(state.database, lines_of(request.stream()), by=actor, quota=state.media_quota)

    @router.get("/{media_id}", responses=responses(404), dependencies=[Depends(reader)])
    async def media_get(media_id: str, response: Response, session: ReadSessionDep) -> Media:
        """One item, its `etag` also as the ETag header."""
        return _answer(response, await MediaLibrary(session).get(media_id))

    @router.patch("/{media_id}", responses=responses(404, 409, 412), dependencies=[Depends(writer)])
    async def media_update(
        media_id: str, body: MediaUpdate, response: Response, session: SessionDep, if_match: IfMatch = None
    ) -> Media:
        """Change what the body names; metadata is merged (RFC 7396)."""
        return _answer(response, await MediaLibrary(session).update(media_id, body, if_match=if_match))

    @router.delete("/{media_id}", status_code=204, responses=responses(404, 409, 412), dependencies=[Depends(writer)])
    async def media_delete(media_id: str, session: SessionDep, if_match: IfMatch = None) -> None:
        """Delete an item that no other belongs to."""
        await MediaLibrary(session).delete(media_id, if_match=if_match)

    return router
