"""What follows when a plugin fails: its last lines are kept, and it is decided when it is started again."""

import asyncio
import random
import time

import structlog
from nimbus_sdk.contracts.control import LogLine
from nimbus_sdk.contracts.snapshot import Reason

from nimbus_registry.lifecycle import backoff, configuration, reasons
from nimbus_registry.lifecycle.states import ACTIVE
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import Runtime, RuntimeFailure
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

ENGINE_PAUSE = 2.0
"""Seconds before anything is tried again that the engine was at fault for."""
_LOG_DEADLINE = 2.0


async def fail(
    tools: Tools, record: PluginRecord, reason: Reason, *, cause: str, counts: bool, for_good: bool = False
) -> bool:
    """Note a failure with the last log lines, and decide when the plugin is started again.

    Args:
        tools: carry it out.
        record: the plugin that failed.
        reason: why.
        cause: what a change of its state is put down to.
        counts: whether it is one of the failures after which a plugin is left alone.
        for_good: trying again does not help, a person must do something.

    Returns: whether it has failed; a plugin that nobody runs any more has not.
    """
    if record.state not in ACTIVE:
        return False
    if not reason.log_tail and reason.hop != "engine":
        reason = reason.model_copy(update={"log_tail": await last_lines(tools.runtime, record.id)})
    if record.state not in ACTIVE:
        return False
    reason = configuration.explained(record, reason)
    record.token_sha256, record.run_id, record.upstream = None, None, None
    now = time.time()
    record.failures = backoff.counting(record.failures, now)
    if counts:
        record.failures.append(now)
    pause = backoff.pause(max(1, len(record.failures)), random.random())  # noqa: S311 - spreads starts
    record.retry_at = time.monotonic() + (pause if counts else max(pause, ENGINE_PAUSE))
    tools.ledger.move(record, "failed", cause, reason)
    if for_good:
        tools.ledger.move(record, "quarantined", cause, reason)
    elif backoff.quarantined(record.failures, now):
        tools.ledger.move(record, "quarantined", cause, reasons.left_alone(reason))
    else:
        tools.ledger.move(record, "backoff", cause, reason)
    return True


async def last_lines(runtime: Runtime, plugin_id: str, slot: int | None = None) -> list[str]:
    """What the plugin printed last, as far as it can be read within two seconds.

    The lines of its build come first in its log and would crowd these out; they are all there is before it printed.
    """
    lines: list[LogLine] = []
    try:
        async with asyncio.timeout(_LOG_DEADLINE):
            logs = runtime.logs(plugin_id, tail=reasons.TAIL_LINES, follow=False, slot=slot)
            lines.extend([line async for line in logs])
    except (RuntimeFailure, TimeoutError):
        log.info("the last lines of a plugin could not be read", plugin=plugin_id)
    except Exception:
        log.exception("reading the last lines of a plugin failed", plugin=plugin_id)
    printed = [line.text for line in lines if line.stream != "build"]
    return reasons.tail(printed or [line.text for line in lines])
