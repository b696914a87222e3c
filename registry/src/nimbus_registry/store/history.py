"""The history of plugin states: paged by a cursor, bounded per plugin."""

from collections.abc import Iterable

from nimbus_sdk.contracts.control import TransitionPage
from nimbus_sdk.contracts.snapshot import Transition
from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_registry.store.tables import TransitionRow

KEPT = 1000
"""So many transitions of each plugin are kept."""


async def page(session: AsyncSession, plugin_id: str | None, *, after: int, limit: int) -> TransitionPage:
    """Transitions of one plugin, or of all, after a cursor, oldest first."""
    query = (
        select(TransitionRow).where(col(TransitionRow.id) > after).order_by(col(TransitionRow.id)).limit(limit + 1)
    )
    if plugin_id is not None:
        query = query.where(col(TransitionRow.plugin_id) == plugin_id)
    rows = (await session.exec(query)).all()
    items = [Transition.model_validate(row.model_dump() | {"reason": row.reason}) for row in rows[:limit]]
    return TransitionPage(items=items, next=items[-1].id if len(rows) > limit else None)


async def prune(session: AsyncSession, plugin_ids: Iterable[str]) -> None:
    """Delete what is older than the newest `KEPT` of each plugin."""
    for plugin_id in plugin_ids:
        boundary = (
            select(TransitionRow.id)
            .where(col(TransitionRow.plugin_id) == plugin_id)
            .order_by(col(TransitionRow.id).desc())
            .offset(KEPT)
            .limit(1)
        )
        oldest = (await session.exec(boundary)).first()
        if oldest is not None:
            await session.exec(
                delete(TransitionRow).where(
                    col(TransitionRow.plugin_id) == plugin_id, col(TransitionRow.id) <= oldest
                )
            )
