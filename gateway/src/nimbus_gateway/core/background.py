"""What the core does by itself, in each worker."""

import asyncio

from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.downloads.service import cut_history
from nimbus_gateway.core.events.dispatcher import Dispatcher, Outcome
from nimbus_gateway.core.events.feed import take_over_transitions
from nimbus_gateway.core.events.queue import Pending
from nimbus_gateway.core.events.subscribers import cut_events, sync_plugins
from nimbus_gateway.core.events.tail import EventTail
from nimbus_gateway.core.events.targets import find_target
from nimbus_gateway.core.kv.service import sweep_expired
from nimbus_gateway.core.schedules.runner import run_schedules
from nimbus_gateway.core.schedules.service import cut_runs, finish, sync_schedules
from nimbus_gateway.jobs import Job
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.shelf import Shelf
from nimbus_gateway.traffic.recorder import cut_traffic

FEED_SECONDS = 10.0


def core_jobs(state: GatewayState) -> dict[str, Job]:
    """The core's background jobs by name; each runs until cancelled."""
    state.event_tail = EventTail(state.database)
    dispatcher = Dispatcher(state.database, lambda name: find_target(state, name), _settled)
    return {
        "deliver events": dispatcher.run,
        "show events": state.event_tail.run,
        "subscribe plugins to events": lambda: _subscribe_plugins(state, dispatcher),
        "start schedules": lambda: run_schedules(state),
        "take over transitions": lambda: _take_over(state),
    }


async def _settled(session: AsyncSession, pending: Pending, outcome: Outcome) -> None:
    if outcome.kind == "gone":
        await finish(session, pending.event, "The plugin has no such job.")
    else:
        await finish(session, pending.event, outcome.detail if outcome.kind == "failed" else None)


async def housekeeping(state: GatewayState) -> None:
    """Delete what is not kept any longer."""
    installed = list(state.snapshots.current.plugins) if state.snapshots.loaded else None
    async with state.database.write() as session:
        await sweep_expired(session)
        await cut_events(session, installed)
        await cut_history(session)
        await cut_runs(session)
        await cut_traffic(session)


async def _subscribe_plugins(state: GatewayState, dispatcher: Dispatcher) -> None:
    async with state.snapshots.subscribe() as changes:
        if state.snapshots.loaded:
            await _sync(state, dispatcher)
        async for _ in changes:
            await _sync(state, dispatcher)


async def _sync(state: GatewayState, dispatcher: Dispatcher) -> None:
    async with state.database.write() as session:
        await sync_plugins(session, state.snapshots.current.plugins)
        # Behind its lock, which a restore holds while it replaces the tables: asked before, it could be over by now.
        restoring = await asyncio.to_thread(Shelf(state.settings.data_dir).restoring)
        await sync_schedules(session, state.snapshots.current.plugins, keep_absent=restoring)
    dispatcher.wake()


async def _take_over(state: GatewayState) -> None:
    """After each change of the snapshot, and now and then: not every transition changes the snapshot."""
    while True:
        generation = state.snapshots.current.generation
        await take_over_transitions(state)
        await state.snapshots.wait_for(generation + 1, FEED_SECONDS)
