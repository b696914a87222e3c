"""Backup and restore of one plugin as one file: for administrators."""

import asyncio
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request
from nimbus_sdk.contracts.backup import BACKUP_MEDIA_TYPE, RestoreResult
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nimbus_gateway.backups.file import file_chunks, file_size
from nimbus_gateway.backups.pace import Pace
from nimbus_gateway.backups.service import Backup, Backups
from nimbus_gateway.errors import BadRequestError, GatewayError, PayloadTooLargeError, RateLimitedError
from nimbus_gateway.http.dependencies import AdminDep, AuditDep, StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.plugins.api import plugin_or_404, record_action
from nimbus_gateway.plugins.install_api import registry_of
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.exclusion import not_while_restoring

MOST_AT_ONCE = 2
"""So many backups and restores at a time in one worker: each has a file on disk."""

_FILE: dict[str, Any] = {BACKUP_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}

log = structlog.get_logger("nimbus.backups")

router = APIRouter(prefix="/api/admin/plugins", tags=["plugin backup"], responses=responses(401, 403))


class BackupDownload(Response):
    """Sends a backup and gives its space back, however that ends."""

    media_type = BACKUP_MEDIA_TYPE

    def __init__(self, backup: Backup, state: GatewayState) -> None:
        head = backup.head
        name = f"{head.plugin_id}-{head.version}-{head.created_at:%Y%m%d-%H%M%S}.nimbus-backup.tar"
        super().__init__(
            headers={
                "content-disposition": f'attachment; filename="{name}"',
                "cache-control": "no-store",
                "content-length": str(file_size(backup.parts)),
            }
        )
        self._backup = backup
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's own
        """Send it, as fast as the client takes it, unless that is hardly anything."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            pieces, pace = file_chunks(self._backup.parts, int(self._backup.head.created_at.timestamp())), Pace()
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                async with pace.step():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                pace.add(len(piece))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # The answer is shorter than announced, and the connection is closed: nobody takes it for a backup.
            log.info("a backup was taken too slowly and is cut off", plugin=self._backup.head.plugin_id)
        finally:
            self._backup.close()
            self._state.backups.discard(self)


def _enter(state: GatewayState, what: object) -> None:
    if len(state.backups) >= MOST_AT_ONCE:
        raise RateLimitedError(
            f"{MOST_AT_ONCE} backups or restores are under way already; wait for one of them.", retry_after=10
        )
    state.backups.add(what)


@router.post(
    "/{plugin_id}/backup",
    response_class=Response,
    responses={200: {"description": "The backup", "content": _FILE}, **responses(404, 409, 413, 429, 503, 507)},
)
async def admin_plugins_backup(plugin_id: PlainText, admin: AdminDep, state: StateDep, audit: AuditDep) -> Response:
    """One file with the plugin's settings, keys, data, version and manifest, without its secret settings.

    A plugin with data is stopped while these are copied, and started again before the download begins; its requests
    are held meanwhile. So it is a POST, which no page of another site can have a browser send.
    """
    await not_while_restoring(state)
    registry_of(state)
    plugin = plugin_or_404(state, plugin_id)
    place = object()
    _enter(state, place)
    try:
        backup = await Backups(state, f"{admin.kind}:{admin.id}").make(plugin)
    except GatewayError:
        await record_action(state, audit, admin, "plugin.backup", plugin_id=plugin_id, outcome="failed")
        raise
    finally:
        state.backups.discard(place)
    await record_action(state, audit, admin, "plugin.backup", plugin_id=plugin_id, outcome="done")
    download = BackupDownload(backup, state)
    state.backups.add(download)
    return download


@router.post(
    "/{plugin_id}/restore",
    responses=responses(404, 408, 409, 413, 422, 429, 503, 507),
    openapi_extra={"requestBody": {"required": True, "content": _FILE}},
)
async def admin_plugins_restore(
    *,
    plugin_id: PlainText,
    request: Request,
    admin: AdminDep,
    state: StateDep,
    audit: AuditDep,
    any_version: Annotated[
        bool, Query(alias="anyVersion", description="Also when another version is installed than the backup's.")
    ] = False,
) -> RestoreResult:
    """Restore a backup into the plugin of the same id; one that is not installed is installed first.

    The file is checked completely before anything is changed. Settings, keys and data of now are replaced while the
    plugin is stopped; secret settings stay. A plugin that does not become ready with them gets back what it had: 409.
    What was installed for it is disabled, and asks for its permissions as at every installation; it is uninstalled
    again when it cannot be restored.
    """
    await not_while_restoring(state)
    registry_of(state)
    most = state.settings.backup_bytes
    if int(request.headers.get("content-length", 0)) > most:
        raise PayloadTooLargeError(f"The backup is larger than {most} bytes (NIMBUS_BACKUP_BYTES).")
    backups, place = Backups(state, f"{admin.kind}:{admin.id}"), object()
    _enter(state, place)
    try:
        with backups.temporary() as file:
            await backups.receive(request.stream(), file)
            result = await backups.restore(plugin_id, file, any_version=any_version)
    except ClientDisconnect as error:
        raise BadRequestError("The backup did not arrive whole. Nothing was changed.") from error
    except GatewayError:
        await record_action(state, audit, admin, "plugin.restore", plugin_id=plugin_id, outcome="failed")
        raise
    finally:
        state.backups.discard(place)
    await record_action(state, audit, admin, "plugin.restore", plugin_id=plugin_id, outcome="done")
    return result
