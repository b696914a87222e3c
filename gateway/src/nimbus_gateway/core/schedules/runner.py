"""Starts schedules when their time comes, in each worker; a row's lock decides who is first."""

import asyncio

from nimbus_gateway.core.schedules.service import Schedules, due_schedules
from nimbus_gateway.state import GatewayState

TICK_SECONDS = 1.0


async def run_schedules(state: GatewayState) -> None:
    """Start what is due until cancelled."""
    while True:
        await start_due(state)
        await asyncio.sleep(TICK_SECONDS)


async def start_due(state: GatewayState) -> None:
    """Start what is due now."""
    enabled = [name for name, plugin in state.snapshots.current.plugins.items() if plugin.detail.enabled]
    if not enabled:
        return
    async with state.database.read() as session:
        due = await due_schedules(session, enabled)
    for plugin_id, schedule in due:
        async with state.database.write() as session:
            await Schedules(session, plugin_id).start_due(schedule)
