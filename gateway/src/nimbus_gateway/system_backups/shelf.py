"""Where backups of everything are kept: a folder with a file and a note for each. Synchronous.

All workers see the same folder. One that makes or restores a backup holds the folder's lock as long as that takes, so
whatever a note says to be under way while nobody holds it was cut off.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from nimbus_sdk.contracts.system_backup import BackupProgress, SystemBackup, SystemBackupHead, SystemRestore
from pydantic import ValidationError

from nimbus_gateway.database import parse_id
from nimbus_gateway.errors import ConflictError, NotFoundError, RateLimitedError
from nimbus_gateway.system_backups.journal import Journal

MOST_KEPT: Final = 10
FOLDER: Final = "backups"
_CUT_OFF: Final = "Nimbus was stopped meanwhile."
_LOCK: Final = "lock"
_LOCK_SECONDS: Final = 0.5
"""Whoever only looks whether it is held holds it for a moment too."""
_RESTORE: Final = "restore.json"
_JOURNAL: Final = "restore-journal.json"
_TICKET: Final = "restore-ticket"


class Shelf:
    """The folder `backups` of the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / FOLDER

    def file(self, backup_id: str) -> Path:
        """Where a whole backup is."""
        return self.folder / f"{backup_id}.tar"

    def draft(self, backup_id: str) -> Path:
        """Where one is that is being written."""
        return self.folder / f"{backup_id}.part"

    def _note(self, backup_id: str) -> Path:
        return self.folder / f"{backup_id}.json"

    def _head(self, backup_id: str) -> Path:
        return self.folder / f"{backup_id}.head.json"

    @contextmanager
    def create(self, backup_id: str) -> Iterator[IO[bytes]]:
        """A file for a new backup, to read and write; it is taken away unless `keep` was called for it."""
        path = self.draft(backup_id)
        try:
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
                yield file
        finally:
            path.unlink(missing_ok=True)

    def keep(self, file: IO[bytes], backup: SystemBackup, head: SystemBackupHead) -> None:
        """Put a whole one on the shelf."""
        file.flush()
        os.fsync(file.fileno())
        self._write(self._head(backup.id), head.model_dump_json(by_alias=True))
        self.draft(backup.id).rename(self.file(backup.id))
        self.note(backup)

    def note(self, backup: SystemBackup) -> None:
        """Write down how a backup stands."""
        self._write(self._note(backup.id), backup.model_dump_json(by_alias=True))

    def note_restore(self, restore: SystemRestore) -> None:
        """Write down how the last restore stands."""
        self._write(self.folder / _RESTORE, restore.model_dump_json(by_alias=True))

    def restore(self) -> SystemRestore | None:
        """The last restore."""
        try:
            found = SystemRestore.model_validate_json((self.folder / _RESTORE).read_bytes())
        except (OSError, ValidationError):
            return None
        if found.state == "running" and not self.busy():
            if self.restoring():
                found.progress = BackupProgress(step=f"{_CUT_OFF} It goes on as soon as the registry answers")
            else:
                found.state, found.progress, found.error = "failed", None, f"{_CUT_OFF} Restore the backup again."
        return found

    def restoring(self) -> bool:
        """Whether a restore has begun to stop plugins, and is not at its end."""
        return (self.folder / _JOURNAL).exists()

    def journal(self) -> Journal | None:
        """What a restore has to do yet."""
        try:
            return Journal.model_validate_json((self.folder / _JOURNAL).read_bytes())
        except FileNotFoundError:
            return None

    def set_journal(self, journal: Journal | None) -> None:
        """Write that down; None when nothing is left. The caller holds the lock."""
        if journal is None:
            (self.folder / _JOURNAL).unlink(missing_ok=True)
        else:
            self._write(self.folder / _JOURNAL, journal.model_dump_json())

    def set_ticket(self, digest: str) -> None:
        """The SHA-256 of what shows the last restore."""
        self._write(self.folder / _TICKET, digest)

    def ticket(self) -> str:
        """The same; empty when there is none."""
        try:
            return (self.folder / _TICKET).read_text(encoding="ascii")
        except OSError:
            return ""

    def all(self) -> list[SystemBackup]:
        """What is kept or being made, newest first."""
        somebody_works = self.busy()
        found = []
        for path in self.folder.glob("*.json"):
            if parse_id(path.stem) is None:
                continue
            with suppress(OSError, ValidationError):
                backup = SystemBackup.model_validate_json(path.read_bytes())
                found.append(backup if somebody_works else _without_a_maker(backup))
        return sorted(found, key=lambda backup: backup.id, reverse=True)

    def get(self, backup_id: str) -> tuple[SystemBackup, SystemBackupHead]:
        """One that is whole.

        Raises:
            NotFoundError: there is none of this id.
            ConflictError: it is not whole.
        """
        if parse_id(backup_id) is None:
            raise NotFoundError("There is no such backup.")
        try:
            backup = SystemBackup.model_validate_json(self._note(backup_id).read_bytes())
            if backup.state != "ready":
                raise ConflictError("This backup is not whole.")
            return backup, SystemBackupHead.model_validate_json(self._head(backup_id).read_bytes())
        except (OSError, ValidationError) as error:
            raise NotFoundError("There is no such backup.") from error

    def delete(self, backup_id: str) -> None:
        """Take one away. The caller holds the lock.

        Raises:
            NotFoundError: there is none of this id.
        """
        if parse_id(backup_id) is None or not self._note(backup_id).exists():
            raise NotFoundError("There is no such backup.")
        for path in (self._note(backup_id), self._head(backup_id), self.file(backup_id)):
            path.unlink(missing_ok=True)

    def make_room(self) -> None:
        """Take away what was cut off or failed. The caller holds the lock.

        Raises:
            ConflictError: so many are kept already that there may be no more.
        """
        for path in self.folder.glob("*.part"):
            path.unlink(missing_ok=True)
        kept = self.all()
        for backup in kept:
            if backup.state != "ready":
                self.delete(backup.id)
        for path in self.folder.glob("*.tar"):
            if not self._note(path.stem).exists():  # its upload was cut off between the file and its note
                self._head(path.stem).unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        if sum(backup.state == "ready" for backup in kept) >= MOST_KEPT:
            raise ConflictError(f"{MOST_KEPT} backups are kept already. Download what you need and delete some.")

    def lock(self) -> IO[bytes]:
        """Hold the folder until the result is closed.

        Raises:
            RateLimitedError: somebody does.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = (self.folder / _LOCK).open("ab")
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    handle.close()
                    text = "A backup or restore of everything is under way; wait until it is done."
                    raise RateLimitedError(text, retry_after=10) from None
                time.sleep(0.05)
            else:
                return handle

    def busy(self) -> bool:
        """Whether somebody holds it."""
        try:
            with (self.folder / _LOCK).open("rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    @staticmethod
    def _write(path: Path, text: str) -> None:
        """Whole or not at all."""
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


def _without_a_maker(backup: SystemBackup) -> SystemBackup:
    """How a backup stands that nobody works on: what is noted as being made was cut off. Pure."""
    if backup.state != "making":
        return backup
    return backup.model_copy(update={"state": "failed", "progress": None, "error": _CUT_OFF})
