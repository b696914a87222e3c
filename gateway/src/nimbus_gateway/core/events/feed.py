"""The registry's transitions as events, by a cursor that is kept with them: none is lost, none told twice."""

from nimbus_sdk.contracts.snapshot import Transition
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.events.outbox import NewEvent, emit_all
from nimbus_gateway.core.events.tables import FeedCursor
from nimbus_gateway.database import lock
from nimbus_gateway.state import GatewayState

FEED = "transitions"
PLUGIN_CHANGED = "io.nimbus.plugin.state-changed.v1"
_PAGE = 200


def transition_event(transition: Transition) -> NewEvent:
    """The event that tells of a transition. Pure. What the plugin printed is left out: it may hold secrets."""
    reason = transition.reason.model_copy(update={"log_tail": []}) if transition.reason else None
    return NewEvent(
        PLUGIN_CHANGED,
        subject=transition.plugin_id,
        data=transition.model_copy(update={"reason": reason}).wire(),
        id=f"transition-{transition.id}-{transition.at.timestamp():.0f}",
        time=transition.at,
    )


async def take_over_transitions(state: GatewayState) -> None:
    """Make events of all transitions that are not events yet."""
    while True:
        async with state.database.read() as session:
            seen = await _position(session)
        page = await state.registry.all_transitions(seen, _PAGE)
        if not page.items:
            return
        async with state.database.write() as session:
            await lock(session, f"feed:{FEED}")
            if await _position(session) == seen:  # else another worker was faster
                await emit_all(session, [transition_event(transition) for transition in page.items])
                await session.merge(FeedCursor(name=FEED, position=page.items[-1].id))
        if page.next is None:
            return


async def _position(session: AsyncSession) -> int:
    row = await session.get(FeedCursor, FEED, populate_existing=True)
    return row.position if row else 0
