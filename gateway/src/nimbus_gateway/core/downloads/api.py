"""The calls of downloads, built once for people and once for plugins."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from nimbus_sdk.contracts.downloads import (
    Download,
    DownloadCreate,
    DownloadPage,
    DownloadProvider,
    DownloadProviderList,
    DownloadReport,
    DownloadState,
    DownloadUpdate,
)
from nimbus_sdk.contracts.problem import FieldProblem
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.core.downloads.rules import Action, providers
from nimbus_gateway.core.downloads.service import Downloads, view
from nimbus_gateway.core.downloads.tables import DownloadRow
from nimbus_gateway.core.media.api import Actor, IfMatch
from nimbus_gateway.core.plugin_caller import PluginDep, plugin_with
from nimbus_gateway.database import parse_id
from nimbus_gateway.errors import ValidationError
from nimbus_gateway.http.dependencies import LimitDep, ReadSessionDep, SessionDep, StateDep, caller_with
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.state import GatewayState

CursorText = Annotated[PlainText | None, Query(description="`next` of the page before.")]


def downloads_of(session: AsyncSession, state: GatewayState) -> Downloads:
    """The downloads, with the plugins that run now."""
    return Downloads(session, state.snapshots.current.plugins)


def _answer(response: Response, row: DownloadRow) -> Download:
    found = view(row)
    response.headers["ETag"] = found.etag
    return found


def _place(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 9:  # noqa: PLR2004 - digits of a place
        raise ValidationError(errors=[FieldProblem(path="cursor", message="`next` of the page before")])
    return int(cursor)


def _id(cursor: str | None) -> uuid.UUID | None:
    found = parse_id(cursor) if cursor is not None else None
    if cursor is not None and found is None:
        raise ValidationError(errors=[FieldProblem(path="cursor", message="`next` of the page before")])
    return found


def downloads_router(prefix: str, *, reader: Actor, writer: Actor) -> APIRouter:
    """The routes that people and plugins share, under a prefix."""
    router = APIRouter(prefix=prefix, route_class=StrictRoute, tags=["downloads"], responses=responses(401, 403))
    read, write = [Depends(reader)], [Depends(writer)]

    @router.get("", dependencies=read)
    async def downloads_list(
        *,
        session: ReadSessionDep,
        state: StateDep,
        cursor: CursorText = None,
        limit: LimitDep = 50,
        status: Annotated[
            list[DownloadState] | None, Query(alias="state", max_length=6, description="Only in these states.")
        ] = None,
        provider: Annotated[PlainText | None, Query(description="Only those of this plugin.")] = None,
    ) -> DownloadPage:
        """Downloads, newest first."""
        before = _id(cursor)
        rows = await downloads_of(session, state).page(
            before=before, limit=limit + 1, states=status or [], provider=provider
        )
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return DownloadPage(items=[view(row) for row in rows[:limit]], next=more)

    @router.get("/queue", dependencies=read)
    async def downloads_queue(
        session: ReadSessionDep,
        state: StateDep,
        cursor: CursorText = None,
        limit: LimitDep = 50,
        provider: Annotated[PlainText | None, Query(description="Only those of this plugin.")] = None,
    ) -> DownloadPage:
        """What has not ended, in the order in which it is to be done."""
        after = _place(cursor)
        rows = await downloads_of(session, state).queue(after=after, limit=limit + 1, provider=provider)
        more = str(rows[limit - 1].rank) if len(rows) > limit else None
        return DownloadPage(items=[view(row) for row in rows[:limit]], next=more)

    @router.get("/providers", dependencies=read)
    async def downloads_providers(state: StateDep) -> DownloadProviderList:
        """The plugins that can download."""
        found = providers(state.snapshots.current.plugins.values())
        return DownloadProviderList(
            items=[
                DownloadProvider(
                    id=one.id,
                    name=one.name,
                    schemes=list(one.schemes),
                    takes_any=one.takes_any,
                    ready=one.ready,
                )
                for one in found
            ]
        )

    @router.post("", status_code=201, responses=responses(409))
    async def downloads_create(
        body: DownloadCreate,
        response: Response,
        session: SessionDep,
        state: StateDep,
        actor: Annotated[str, Depends(writer)],
    ) -> Download:
        """Queue a download."""
        row = await downloads_of(session, state).create(body, by=actor)
        response.headers["Location"] = f"{prefix}/{row.id}"
        return _answer(response, row)

    @router.get("/{download_id}", responses=responses(404), dependencies=read)
    async def downloads_get(
        download_id: str, response: Response, session: ReadSessionDep, state: StateDep
    ) -> Download:
        """One download."""
        return _answer(response, await downloads_of(session, state).get(download_id))

    @router.patch("/{download_id}", responses=responses(404, 409, 412), dependencies=write)
    async def downloads_update(
        *,
        download_id: str,
        body: DownloadUpdate,
        response: Response,
        session: SessionDep,
        state: StateDep,
        if_match: IfMatch = None,
    ) -> Download:
        """Change title, metadata or the place in the queue."""
        return _answer(response, await downloads_of(session, state).update(download_id, body, if_match=if_match))

    @router.post("/{download_id}/{action}", responses=responses(404, 409), dependencies=write)
    async def downloads_act(
        download_id: str, action: Action, response: Response, session: SessionDep, state: StateDep
    ) -> Download:
        """Pause, resume, cancel or try again; what the provider works on changes when it has reported."""
        return _answer(response, await downloads_of(session, state).act(download_id, action))

    @router.delete("/{download_id}", status_code=204, responses=responses(404, 409), dependencies=write)
    async def downloads_delete(download_id: str, session: SessionDep, state: StateDep) -> None:
        """Take one that has ended out of the history."""
        await downloads_of(session, state).delete(download_id)

    return router


report_router = APIRouter(
    prefix="/core/v1/downloads", route_class=StrictRoute, tags=["downloads"], responses=responses(401, 403, 429)
)


@report_router.post(
    "/{download_id}/report", responses=responses(404, 409), dependencies=[Depends(plugin_with("downloads:write"))]
)
async def downloads_report(
    *,
    download_id: str,
    body: DownloadReport,
    response: Response,
    plugin: PluginDep,
    session: SessionDep,
    state: StateDep,
) -> Download:
    """Say how a download stands; from its provider. The answer's `wanted` says what people want by now."""
    row = await downloads_of(session, state).report(download_id, body, provider=plugin.detail.id)
    return _answer(response, row)


async def _reader(principal: Annotated[Principal, Depends(caller_with("downloads:read"))]) -> str:
    return f"{principal.kind}:{principal.id}"


async def _writer(principal: Annotated[Principal, Depends(caller_with("downloads:write"))]) -> str:
    return f"{principal.kind}:{principal.id}"


router = downloads_router("/api/downloads", reader=_reader, writer=_writer)
