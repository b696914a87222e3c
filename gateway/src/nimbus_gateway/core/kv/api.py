"""What a plugin does with its own key-value store."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from nimbus_sdk.contracts.kv import KvEntry, KvKey, KvPage, KvPut, KvUsage
from pydantic import StringConstraints
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.kv.service import KvLimits, KvStore, view
from nimbus_gateway.core.media.api import IfMatch
from nimbus_gateway.core.plugin_caller import PluginDep
from nimbus_gateway.http.dependencies import LimitDep, ReadSessionDep, SessionDep, StateDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.settings import Settings

router = APIRouter(prefix="/core/v1", route_class=StrictRoute, tags=["kv"], responses=responses(401, 429))

Key = Annotated[KvKey, Path()]
KeyText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:@./-]*$", max_length=256)]


def store_of(session: AsyncSession, settings: Settings, plugin_id: str) -> KvStore:
    """The store of a plugin with the operator's limits."""
    return KvStore(session, plugin_id, KvLimits(settings.kv_keys, settings.kv_bytes))


@router.get("/kv")
async def kv_list(
    *,
    plugin: PluginDep,
    state: StateDep,
    session: ReadSessionDep,
    prefix: Annotated[KeyText, Query(description="Only entries whose key begins so.")] = "",
    cursor: Annotated[KeyText | None, Query(description="`next` of the page before.")] = None,
    limit: LimitDep = 100,
) -> KvPage:
    """Own entries, by key."""
    store = store_of(session, state.settings, plugin.detail.id)
    rows = await store.page(prefix=prefix, after=cursor, limit=limit + 1)
    return KvPage(items=[view(row) for row in rows[:limit]], next=rows[limit - 1].key if len(rows) > limit else None)


@router.get("/kv-usage")
async def kv_usage(plugin: PluginDep, state: StateDep, session: ReadSessionDep) -> KvUsage:
    """How much is kept, and how much may be."""
    return await store_of(session, state.settings, plugin.detail.id).usage()


@router.get("/kv/{key:path}", responses=responses(404))
async def kv_get(
    key: Key, response: Response, plugin: PluginDep, state: StateDep, session: ReadSessionDep
) -> KvEntry:
    """One own entry."""
    found = view(await store_of(session, state.settings, plugin.detail.id).get(key))
    response.headers["ETag"] = found.etag
    return found


@router.put("/kv/{key:path}", responses=responses(412, 413))
async def kv_put(
    *,
    key: Key,
    body: KvPut,
    response: Response,
    plugin: PluginDep,
    state: StateDep,
    session: SessionDep,
    if_match: IfMatch = None,
    if_none_match: Annotated[
        str | None, Header(max_length=200, description="`*`: the call fails when the entry is there already.")
    ] = None,
) -> KvEntry:
    """Store one own entry."""
    store = store_of(session, state.settings, plugin.detail.id)
    found = view(await store.put(key, body, if_match=if_match, if_none_match=if_none_match))
    response.headers["ETag"] = found.etag
    return found


@router.delete("/kv/{key:path}", status_code=204, responses=responses(412))
async def kv_delete(
    key: Key, plugin: PluginDep, state: StateDep, session: SessionDep, if_match: IfMatch = None
) -> None:
    """Remove one own entry. Also right when it is not there."""
    await store_of(session, state.settings, plugin.detail.id).delete(key, if_match=if_match)
