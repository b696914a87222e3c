"""Ending the run of a plugin: nobody asks it any more, it is told, it stops, and nothing of it but its data stays."""

import asyncio

import structlog
from nimbus_sdk.contracts.plugin_api import LifecycleEvent
from nimbus_sdk.contracts.snapshot import SERVING_STATES, PluginState, Reason

from nimbus_registry.gateway_client import GatewayUnreachableError
from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.states import RESTING
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

_STOP_GRACE = 10.0
_GOODBYE = 2.0
_DRAIN_LOOK = 1.0


async def stop(tools: Tools, record: PluginRecord, *, cause: str, sleep: bool = False) -> None:
    """Stop what runs and remove all of it but the data; with `sleep` it only rests until somebody asks for it.

    Raises:
        RuntimeFailure: the engine does not do it; the plugin is shown as stopping, and why.
    """
    upstream = record.upstream if record.state in SERVING_STATES else None
    was_resting = record.state in (RESTING | {"idle"} if sleep else RESTING)
    if not was_resting:
        tools.ledger.move(record, "stopping", cause)
    try:
        if upstream is not None and record.manifest is not None:
            # New requests get their 404 before the plugin begins to close.
            await tools.workers.until_serving(tools.ledger.generation, _DRAIN_LOOK)
            if not sleep:
                await _say_goodbye(tools, record, record.manifest.version)
        await tools.runtime.stop(record.id, _STOP_GRACE)
        await tools.runtime.remove(record.id)
    except RuntimeFailure as failure:
        if not was_resting:
            tools.ledger.move(record, "stopping", cause, reasons.stop_failed(failure))
        raise
    record.waiting = False
    record.token_sha256, record.run_id, record.upstream = None, None, None
    record.ui = record.ui if sleep else None
    record.failures = []
    if not was_resting:
        state, reason = ("idle", None) if sleep else _resting_place(tools.ledger, record)
        tools.ledger.move(record, state, cause, reason)


def _resting_place(ledger: Ledger, record: PluginRecord) -> tuple[PluginState, Reason | None]:
    if record.manifest is None:
        return "invalid", reasons.invalid_manifest(record.source, len(record.problems), still_runs=False)
    if record.enabled and not ledger.switched_on:
        return "disabled", reasons.switched_off(safe_mode=ledger.safe_mode)
    return "disabled", None


async def _say_goodbye(tools: Tools, record: PluginRecord, version: str) -> None:
    upstream = record.upstream
    if upstream is None:
        return
    event = LifecycleEvent(event="disabled", version=version)
    try:
        async with asyncio.timeout(_GOODBYE):
            await tools.gateway.lifecycle(record.id, upstream, event, timeout=_GOODBYE)
    except (GatewayUnreachableError, TimeoutError):
        log.info("the plugin was not told that it is disabled", plugin=record.id)
