"""Restores of everything that were cut off: each is finished or undone by whoever finds its journal.

A gateway that ends leaves the plugins as they are, and its journal. When it is there again, or another worker has
seen that nobody holds the folder, what is left is done: without new tables the plugins that were on are enabled; with
them the plugins are brought back to the backup once more, from the beginning.
"""

import asyncio
from typing import Any, Final

import structlog
from nimbus_sdk.contracts.system_backup import SystemRestore
from pydantic import ValidationError

from nimbus_gateway.audit.service import write_audit
from nimbus_gateway.database import now
from nimbus_gateway.errors import BackupRefusedError, DatabaseUnavailableError, GatewayError, RateLimitedError
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.finishing import Finishing
from nimbus_gateway.system_backups.journal import MOST_ATTEMPTS, Journal
from nimbus_gateway.system_backups.plugin_switch import PluginSwitch, why
from nimbus_gateway.system_backups.shelf import Shelf
from nimbus_gateway.system_backups.verify import verified

LOOK_SECONDS: Final = 5.0
_MOST_FINISHES: Final = 3
_CUT_OFF: Final = "Nimbus was stopped meanwhile. Nothing was changed. Restore the backup again."
_UNDONE: Final = "Nimbus was stopped before anything was replaced. Nothing was changed. Restore the backup again."

log = structlog.get_logger("nimbus.backups")


def reason(error: Exception) -> str:
    """Why a job failed, for whoever asked for it. Pure."""
    if isinstance(error, GatewayError):
        return why(error)
    return "It took too long." if isinstance(error, TimeoutError) else "It failed; the gateway's log says why."


def told(noted: SystemRestore) -> dict[str, Any]:
    """What the audit record says of a restore. Pure."""
    return {"plugins": {one.id: one.outcome for one in noted.plugins}}


def conclude(shelf: Shelf, noted: SystemRestore) -> bool:
    """Say in its note how a restore ended, or how far it is; whether it is at its end. Synchronous."""
    over = not shelf.restoring()
    if over:
        noted.state = "done" if noted.changed and noted.error is None else "failed"
        noted.error = noted.error if noted.changed else noted.error or _CUT_OFF
        noted.progress, noted.finished_at = None, now()
    try:
        shelf.note_restore(noted)
    except OSError as error:
        log.warning("how a restore ended could not be written down", reason=str(error))
    return over


async def resume_restores(state: GatewayState) -> None:
    """Look again and again whether a restore was cut off, and do what it has left. Runs until cancelled."""
    shelf = Shelf(state.settings.data_dir)
    while True:
        if state.settings.enable_plugins and await asyncio.to_thread(_cut_off, shelf) and state.registry.reachable:
            await resume(state, shelf)
        await asyncio.sleep(LOOK_SECONDS)


def _cut_off(shelf: Shelf) -> bool:
    return shelf.restoring() and not shelf.busy()


async def resume(state: GatewayState, shelf: Shelf) -> None:
    """Do what a restore has left, if one has and nobody else is doing it.

    Raises:
        DatabaseUnavailableError, RegistryUnavailableError: it cannot be done yet.
    """
    try:
        lock = await asyncio.to_thread(shelf.lock)
    except RateLimitedError:
        return
    with lock:
        try:
            journal = await asyncio.to_thread(shelf.journal)
        except (OSError, ValidationError):
            log.exception("what a restore has to do yet cannot be read; plugins may be off")
            await asyncio.to_thread(shelf.set_journal, None)
            return
        noted = await asyncio.to_thread(shelf.restore)
        if journal is None:
            return
        if noted is None or noted.backup_id != journal.backup_id:
            moment = now()
            noted = SystemRestore(
                backup_id=journal.backup_id, state="running", started_at=moment, backup_created_at=moment
            )
        await _go_on(Finishing(state, shelf, noted, journal))
        if conclude(shelf, noted):
            await _record(state, journal, noted)


async def _go_on(end: Finishing) -> None:
    journal, noted = end.journal, end.noted
    await end.state.registry.plugins()  # raises when it does not answer
    journal.attempts += 1
    await asyncio.to_thread(end.shelf.set_journal, journal)
    log.info("going on with a restore that was cut off", backup=journal.backup_id, phase=journal.phase)
    if journal.phase == "starting":
        await _start(end)
    elif not await end.replaced():
        noted.error = noted.error or _UNDONE
        await end.switch_back()
    elif journal.attempts > _MOST_FINISHES:
        noted.changed, noted.error = True, "It was cut off again and again while plugins were brought back."
        await end.switch_back()
    else:
        try:
            with await asyncio.to_thread(end.shelf.file(journal.backup_id).open, "rb") as file:
                await end.bring_back(file, await asyncio.to_thread(verified, file))
        except (OSError, BackupRefusedError) as error:
            log.exception("the backup that is restored cannot be read any more", backup=journal.backup_id)
            noted.changed, noted.error = True, f"Its plugins were not brought back: {reason(error)}"
            await end.switch_back()


async def _start(end: Finishing) -> None:
    journal = end.journal
    left = await PluginSwitch(end.state, journal.cause).start(journal.wanted)
    for one in end.noted.plugins:
        if one.id in journal.wanted and one.id not in left:
            one.message = f"{one.message} By now it is on."
    waits = [plugin_id for plugin_id, one in left.items() if one.passing]
    over = not waits or journal.attempts >= MOST_ATTEMPTS
    journal.wanted = waits
    await asyncio.to_thread(end.shelf.set_journal, None if over else journal)


async def _record(state: GatewayState, journal: Journal, noted: SystemRestore) -> None:
    try:
        async with state.database.write() as session:
            write_audit(
                session,
                "system.restore",
                actor=journal.cause,
                target=f"backup:{journal.backup_id}",
                outcome="done" if noted.state == "done" else "failed",
                detail=told(noted),
            )
    except DatabaseUnavailableError:
        log.warning("an action could not be recorded", action="system.restore", backup=journal.backup_id)
