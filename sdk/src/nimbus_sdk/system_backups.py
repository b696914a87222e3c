"""Backups of everything from a script: `SystemBackups` beside a `NimbusClient` of an administrator."""

import time
from collections.abc import Callable
from typing import IO, Final, TypeVar

from nimbus_sdk.contracts.system_backup import (
    TICKET_HEADER,
    BackupProgress,
    SystemBackup,
    SystemBackupList,
    SystemRestore,
    SystemRestoreStarted,
)
from nimbus_sdk.errors import Unavailable
from nimbus_sdk.nimbus_client import NimbusClient
from nimbus_sdk.nimbus_connection import Progress

Shown = Callable[[BackupProgress], None]
"""Told how far a backup or restore is."""

_Found = TypeVar("_Found")
_PATH: Final = "/api/admin/backups"
_LOOK_SECONDS: Final = 1.0
_AWAY_SECONDS: Final = 120.0
"""So long Nimbus may be away while it is waited for."""


class SystemBackups:
    """Makes, fetches and restores backups of everything.

    Example::

        with NimbusClient("http://nimbus.local:8080") as nimbus:
            nimbus.login("admin", password)
            backups = SystemBackups(nimbus)
            made = backups.make(passphrase)
            with open("nimbus.tar", "wb") as file:
                backups.download(made.id, file)
    """

    def __init__(self, client: NimbusClient) -> None:
        self._client = client

    def list(self) -> SystemBackupList:
        """What is kept, newest first, and how the last restore went."""
        return SystemBackupList.model_validate(self._client.request("GET", _PATH).json())

    def make(self, passphrase: str, *, shown: Shown | None = None) -> SystemBackup:
        """Make a backup, and wait for it; `state` and `error` say how it went.

        Raises:
            CoreError: it did not begin.
        """
        answer = self._client.request("POST", _PATH, json={"passphrase": passphrase})
        made = SystemBackup.model_validate(answer.json())

        def look() -> SystemBackup | None:
            return next((one for one in self.list().items if one.id == made.id), None)

        while made.state == "making":
            made = self._looked(look) or made.model_copy(update={"state": "failed", "error": "It was deleted."})
            if made.progress is not None and shown is not None:
                shown(made.progress)
        return made

    def download(self, backup_id: str, file: IO[bytes], *, progress: Progress | None = None) -> int:
        """Write a backup into a file. Returns its size in bytes."""
        return self._client.download("GET", f"{_PATH}/{backup_id}/file", file, progress=progress)

    def upload(self, file: IO[bytes], *, progress: Progress | None = None) -> SystemBackup:
        """Put a file on the shelf of this Nimbus; it is checked whole.

        Raises:
            ValidationFailed: it is no backup of everything, or damaged.
        """
        return SystemBackup.model_validate(self._client.upload(f"{_PATH}/upload", file, progress=progress).json())

    def delete(self, backup_id: str) -> None:
        """Delete one from the shelf."""
        self._client.request("DELETE", f"{_PATH}/{backup_id}")

    def restore(
        self,
        backup_id: str,
        passphrase: str,
        *,
        confirm: str,
        keep_current: bool = True,
        shown: Shown | None = None,
    ) -> SystemRestore:
        """Replace everything by a backup on the shelf, and wait for it. Every session ends, this one too.

        Args:
            backup_id: the backup.
            passphrase: of the backup.
            confirm: the name of the instance whose everything is replaced.
            keep_current: first make a backup of what is there now.
            shown: told how far it is.

        Raises:
            PermissionMissing: it has another passphrase.
            CoreError: it did not begin.
        """
        body = {"passphrase": passphrase, "confirm": confirm, "keepCurrent": keep_current}
        answer = self._client.request("POST", f"{_PATH}/{backup_id}/restore", json=body)
        started = SystemRestoreStarted.model_validate(answer.json())

        def look() -> SystemRestore:
            headers = {TICKET_HEADER: started.ticket}
            found = self._client.request("GET", f"{_PATH}/restore", headers=headers)
            return SystemRestore.model_validate(found.json())

        current = started.restore
        while current.state == "running":
            current = self._looked(look)
            if current.progress is not None and shown is not None:
                shown(current.progress)
        return current

    @staticmethod
    def _looked(look: Callable[[], _Found]) -> _Found:
        """What is there after a moment; a Nimbus that does not answer for a while is asked again."""
        deadline = time.monotonic() + _AWAY_SECONDS
        while True:
            time.sleep(_LOOK_SECONDS)
            try:
                return look()
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
