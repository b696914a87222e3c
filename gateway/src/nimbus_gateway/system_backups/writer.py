"""Writing the file, one entry after the other, straight to where it is kept. Synchronous."""

import errno
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nimbus_sdk.contracts.archive import END, Entry, header, padding
from nimbus_sdk.contracts.backup import SUMS_NAME
from nimbus_sdk.contracts.system_backup import SEAL_NAME, BackupPart

from nimbus_gateway.backups.file import LOOK_BYTES, check_room, sums
from nimbus_gateway.errors import PayloadTooLargeError


class BackupFile:
    """A file that grows. The header of an entry is written when its size is known."""

    def __init__(self, file: IO[bytes], folder: Path, modified: int, most: int) -> None:
        self._file = file
        self._folder = folder
        self._modified = modified
        self._most = most
        self._start = 0
        self._name = ""
        self._digest = hashlib.sha256()
        self._size = self._written = 0
        self.parts: list[BackupPart] = []

    @contextmanager
    def entry(self, name: str) -> Iterator[None]:
        """An entry that `write` fills; one whose block raises is taken out again."""
        self._start, self._name, self._size = self._file.tell(), name, 0
        self._digest = hashlib.sha256()
        try:
            self._file.write(header(Entry(name, 0, modified=self._modified)))
            yield
        except BaseException:
            self._file.seek(self._start)
            self._file.truncate()
            raise
        self._file.write(padding(self._size))
        end = self._file.tell()
        self._file.seek(self._start)
        self._file.write(header(Entry(name, self._size, modified=self._modified)))
        self._file.seek(end)
        self.parts.append(BackupPart(name=name, size=self._size, sha256=self._digest.hexdigest()))

    def write(self, piece: bytes) -> None:
        """Add to the entry.

        Raises:
            PayloadTooLargeError: the file would be larger than may be.
            OSError: the disk is full, or hardly any room would be left for what the gateway needs itself.
        """
        if self._file.tell() + len(piece) > self._most:
            raise PayloadTooLargeError(
                f"The backup would be larger than {self._most} bytes (NIMBUS_SYSTEM_BACKUP_BYTES)."
            )
        if self._written // LOOK_BYTES != (self._written + len(piece)) // LOOK_BYTES or not self._written:
            check_room(self._folder)
        if self._file.write(piece) != len(piece):
            raise OSError(errno.EIO, "not all of it was written")
        self._digest.update(piece)
        self._size += len(piece)
        self._written += len(piece)

    def tail(self, size: int) -> bytes:
        """The last bytes of the entry."""
        end = self._file.tell()
        self._file.seek(end - min(size, self._size))
        found = self._file.read(size)
        self._file.seek(end)
        return found

    def finish(self, seal: Callable[[str], str]) -> int:
        """Write the checksums, their seal, and the end. Returns the size of the file."""
        listed = sums([(part.name, part.sha256) for part in self.parts])
        with self.entry(SUMS_NAME):
            self.write(listed)
        sealed = seal(self.parts[-1].sha256)
        with self.entry(SEAL_NAME):
            self.write(f"{sealed}\n".encode())
        self._file.write(END)
        self._file.flush()
        return self._file.tell()
