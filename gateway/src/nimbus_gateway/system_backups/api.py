"""Backup and restore of everything: for administrators."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import IO, Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Request
from nimbus_sdk.contracts.backup import BACKUP_MEDIA_TYPE
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.system_backup import (
    TICKET_HEADER,
    BackupProgress,
    SystemBackup,
    SystemBackupList,
    SystemBackupRequest,
    SystemRestore,
    SystemRestoreRequest,
    SystemRestoreStarted,
)
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response

from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.backups.file import Spool, check_room
from nimbus_gateway.backups.pace import paced
from nimbus_gateway.database import new_id, now
from nimbus_gateway.errors import (
    BadRequestError,
    DatabaseUnavailableError,
    GatewayError,
    PayloadTooLargeError,
    UnauthenticatedError,
    ValidationError,
)
from nimbus_gateway.http.dependencies import AdminDep, Audit, AuditDep, StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.plugins.install_api import registry_of
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.exclusion import refuse_while_restoring
from nimbus_gateway.system_backups.making import Making, room, summary
from nimbus_gateway.system_backups.plugin_switch import why
from nimbus_gateway.system_backups.progress import Teller
from nimbus_gateway.system_backups.restoring import Restoring
from nimbus_gateway.system_backups.resuming import conclude, reason, told
from nimbus_gateway.system_backups.seals import open_seal
from nimbus_gateway.system_backups.shelf import Shelf
from nimbus_gateway.system_backups.verify import verified

_FILE: dict[str, Any] = {BACKUP_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}

router = APIRouter(prefix="/api/admin/backups", tags=["system backup"])
_DENIED = responses(401, 403)
Recorder = Callable[..., Awaitable[None]]
"""Writes how a job ended into the audit log: `outcome`, and further facts."""

log = structlog.get_logger("nimbus.backups")


def _shelf(state: GatewayState) -> Shelf:
    return Shelf(state.settings.data_dir)


async def _record(
    state: GatewayState,
    audit: Audit,
    by: Principal,
    action: str,
    *,
    target: str,
    outcome: str = "done",
    **detail: Any,  # noqa: ANN401 - any JSON value
) -> None:
    """Write an action into the audit log; the database may be away, and what happened is true without it."""
    try:
        async with state.database.write() as session:
            audit.write(session, action, by, f"backup:{target}", outcome=outcome, **detail)
    except DatabaseUnavailableError:
        log.warning("an action could not be recorded", action=action, backup=target, actor=by.id)


@router.get("", responses=_DENIED)
async def system_backups_list(_: AdminDep, state: StateDep) -> SystemBackupList:
    """The backups that are kept here or being made, newest first, and how the last restore went."""
    shelf = _shelf(state)
    return SystemBackupList(
        instance=state.settings.instance,
        items=await asyncio.to_thread(shelf.all),
        restore=await asyncio.to_thread(shelf.restore),
    )


@router.post("", status_code=202, responses={**_DENIED, **responses(404, 409, 429)})
async def system_backups_make(
    body: SystemBackupRequest, admin: AdminDep, state: StateDep, audit: AuditDep
) -> SystemBackup:
    """Begin a backup of everything; the list shows how far it is.

    The tables are those of one moment. Each plugin with data is stopped while these are copied, and started again;
    one whose data cannot be copied is named, and does not stop the rest.
    """
    registry_of(state)
    shelf = _shelf(state)
    lock = await asyncio.to_thread(shelf.lock)
    try:
        refuse_while_restoring(shelf)
        backup = SystemBackup(id=str(new_id()), origin="made", state="making", created_at=now())
        await asyncio.to_thread(shelf.make_room)
        await asyncio.to_thread(shelf.note, backup)
        job = _making(state, shelf, backup, body.passphrase, f"{admin.kind}:{admin.id}")
        _start(
            state, lock, job, lambda **told: _record(state, audit, admin, "system.backup", target=backup.id, **told)
        )
    except BaseException:
        lock.close()
        raise
    return backup


def _making(
    state: GatewayState, shelf: Shelf, backup: SystemBackup, passphrase: str, cause: str
) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def job() -> dict[str, Any]:
        try:
            await Making(state, shelf, cause).make(backup, passphrase, _teller(shelf, backup))
        except Exception as error:
            backup.state, backup.progress, backup.error = "failed", None, reason(error)
            await asyncio.to_thread(shelf.note, backup)
            raise
        return {"bytes": backup.size}

    return job


def _teller(shelf: Shelf, backup: SystemBackup) -> Teller:
    def tell(progress: BackupProgress) -> None:
        backup.progress = progress
        shelf.note(backup)

    return Teller(tell)


def _start(
    state: GatewayState, lock: IO[bytes], job: Callable[[], Awaitable[dict[str, Any]]], record: Recorder
) -> None:
    """Run a job beside the requests; its end is in the audit log."""

    async def run() -> None:
        try:
            detail = await job()
        except GatewayError as error:
            log.warning("a backup or restore of everything failed", reason=why(error))
            await record(outcome="failed", reason=why(error))
        except Exception:
            log.exception("a backup or restore of everything failed")
            await record(outcome="failed")
        else:
            await record(**detail)
        finally:
            lock.close()  # the last thing: whoever gets it finds no job under way

    state.system_backup.start("backup or restore of everything", run())


@router.post(
    "/upload",
    status_code=201,
    responses={**_DENIED, **responses(408, 409, 413, 422, 429, 507)},
    openapi_extra={"requestBody": {"required": True, "content": _FILE}},
)
async def system_backups_upload(request: Request, admin: AdminDep, state: StateDep, audit: AuditDep) -> SystemBackup:
    """Keep a backup that was made elsewhere. It is checked whole; nothing else is changed by it."""
    most = state.settings.system_backup_bytes
    too_large = f"The backup is larger than {most} bytes (NIMBUS_SYSTEM_BACKUP_BYTES)."
    if int(request.headers.get("content-length", 0)) > most:
        raise PayloadTooLargeError(too_large)
    shelf = _shelf(state)
    backup = SystemBackup(id=str(new_id()), origin="uploaded", state="ready", created_at=now())
    with await asyncio.to_thread(shelf.lock):
        await asyncio.to_thread(shelf.make_room)
        try:
            with room(), shelf.create(backup.id) as file:
                spool = Spool(file)
                async for piece in paced(request.stream()):
                    if spool.size + len(piece) > most:
                        raise PayloadTooLargeError(too_large)
                    await asyncio.to_thread(_keep, shelf, spool, piece)
                found = await asyncio.to_thread(verified, file)
                summary(backup, found, spool.size)
                await asyncio.to_thread(shelf.keep, file, backup, found.head)
        except ClientDisconnect as error:
            raise BadRequestError("The backup did not arrive whole. It was not kept.") from error
    await _record(state, audit, admin, "system.backup-upload", target=backup.id, bytes=backup.size)
    return backup


def _keep(shelf: Shelf, spool: Spool, piece: bytes) -> None:
    check_room(shelf.folder)
    spool.write(piece)


async def _by_ticket(
    state: StateDep,
    ticket: Annotated[str, Header(alias=TICKET_HEADER, max_length=100, description="Of the restore.")] = "",
) -> SystemRestore:
    """The last restore, to whoever has its ticket."""
    shelf = _shelf(state)
    wanted = await asyncio.to_thread(shelf.ticket)
    given = hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).hexdigest()
    found = await asyncio.to_thread(shelf.restore)
    if not ticket or not wanted or found is None or not hmac.compare_digest(given, wanted):
        raise UnauthenticatedError("This needs the ticket that the restore was begun with.")
    return found


@router.get("/restore", responses=responses(401, 404))
async def system_backups_restore_status(restore: Annotated[SystemRestore, Depends(_by_ticket)]) -> SystemRestore:
    """How the last restore goes, for whoever began it: the sessions have ended, so its ticket is asked for."""
    return restore


@router.get(
    "/{backup_id}/file",
    response_class=Response,
    responses={200: {"description": "The backup", "content": _FILE}, **_DENIED, **responses(404, 409)},
)
async def system_backups_download(
    backup_id: PlainText, admin: AdminDep, state: StateDep, audit: AuditDep
) -> FileResponse:
    """The file. Besides the sealed secrets it holds password hashes and the data of plugins: keep it safe."""
    shelf = _shelf(state)
    backup, head = await asyncio.to_thread(shelf.get, backup_id)
    await _record(state, audit, admin, "system.backup-download", target=backup.id)
    name = f"{head.instance}-{head.created_at:%Y%m%d-%H%M%S}.nimbus-system.tar"
    headers = {"cache-control": "no-store"}
    return FileResponse(shelf.file(backup.id), media_type=BACKUP_MEDIA_TYPE, filename=name, headers=headers)


@router.delete("/{backup_id}", status_code=204, responses={**_DENIED, **responses(404, 409, 429)})
async def system_backups_delete(backup_id: PlainText, admin: AdminDep, state: StateDep, audit: AuditDep) -> None:
    """Delete a backup that is kept here."""
    shelf = _shelf(state)
    with await asyncio.to_thread(shelf.lock):
        refuse_while_restoring(shelf)  # it may be the one that is restored
        await asyncio.to_thread(shelf.delete, backup_id)
    await _record(state, audit, admin, "system.backup-delete", target=backup_id)


@router.post("/{backup_id}/restore", status_code=202, responses={**_DENIED, **responses(404, 409, 429)})
async def system_backups_restore(
    backup_id: PlainText, body: SystemRestoreRequest, admin: AdminDep, state: StateDep, audit: AuditDep
) -> SystemRestoreStarted:
    """Begin to replace everything by a backup; every session ends by that.

    The file is checked once more before anything is changed. Then the plugins are stopped, the tables replaced in one
    transaction, and each plugin is installed by the image of the backup, gets its permissions and data, and is
    enabled if it was. A plugin that cannot be had is named, and does not stop the rest.
    """
    registry_of(state)
    if body.confirm != state.settings.instance:
        message = f"the name of this instance, {state.settings.instance}"
        raise ValidationError(errors=[FieldProblem(path="/confirm", message=message, value=body.confirm)])
    shelf = _shelf(state)
    lock = await asyncio.to_thread(shelf.lock)
    try:
        backup, head = await asyncio.to_thread(shelf.get, backup_id)
        refuse_while_restoring(shelf)
        box = await asyncio.to_thread(open_seal, body.passphrase, head.secrets)
        if body.keep_current:
            await asyncio.to_thread(shelf.make_room)
        restoring = Restoring(state, shelf, f"{admin.kind}:{admin.id}", box)
        noted = SystemRestore(
            backup_id=backup.id, state="running", started_at=now(), backup_created_at=backup.created_at
        )
        ticket = secrets.token_urlsafe(32)
        await asyncio.to_thread(shelf.set_ticket, hashlib.sha256(ticket.encode()).hexdigest())
        await asyncio.to_thread(shelf.note_restore, noted)
        await _record(state, audit, admin, "system.restore", target=backup.id, outcome="started")
        job = _restoring(restoring, noted, body)
        _start(
            state, lock, job, lambda **told: _record(state, audit, admin, "system.restore", target=backup.id, **told)
        )
    except BaseException:
        lock.close()
        raise
    return SystemRestoreStarted(restore=noted, ticket=ticket)


def _restoring(
    restoring: Restoring, noted: SystemRestore, body: SystemRestoreRequest
) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def job() -> dict[str, Any]:
        before = None
        if body.keep_current:
            before = SystemBackup(id=str(new_id()), origin="before-restore", state="making", created_at=now())
        try:
            await restoring.restore(noted, before, body.passphrase)
        except Exception as error:
            noted.error = reason(error)
            raise
        finally:
            # Without a thread to wait in: also a gateway that is ending says how far it came.
            conclude(restoring.shelf, noted)
        return told(noted)

    return job
