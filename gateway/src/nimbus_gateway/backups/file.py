"""Writing a backup: its parts on disk with their checksums, then one archive of them. Synchronous."""

import errno
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from nimbus_sdk.contracts.archive import CHUNK, END, Entry, header, padding
from nimbus_sdk.contracts.backup import SUMS_NAME

RESERVE_BYTES: Final = 1024**3
"""So much of the disk is left free, or a twentieth of a small one."""
LOOK_BYTES: Final = 16 * 1024**2
"""So often it is looked at how much that is."""


def check_room(folder: Path) -> None:
    """See that there is room for `LOOK_BYTES` more beside what the gateway needs itself: its database, its log.

    Raises:
        OSError: there is not (ENOSPC).
    """
    disk = shutil.disk_usage(folder)
    if disk.free - LOOK_BYTES < min(RESERVE_BYTES, disk.total // 20):
        raise OSError(errno.ENOSPC, "the rest is kept free")


class Spool:
    """A file without a name that grows: its size and SHA-256 are known at any time. Gone when it is closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what was written so far, in hexadecimal."""
        return self._hash.hexdigest()

    def write(self, piece: bytes) -> None:
        """Add something to the end.

        Raises:
            OSError: the disk is full.
        """
        self.file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)

    def tail(self, size: int) -> bytes:
        """The last bytes that were written."""
        self.file.seek(max(0, self.size - size))
        return self.file.read(size)

    def chunks(self) -> Iterator[bytes]:
        """All of it."""
        self.file.seek(0)
        while piece := self.file.read(CHUNK):
            yield piece

    def close(self) -> None:
        """Give the space back."""
        self.file.close()


@dataclass(frozen=True, slots=True)
class Part:
    """An entry of the backup: in memory when it is small."""

    name: str
    content: bytes | Spool

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.size

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        return self.content.sha256

    def close(self) -> None:
        """Give the space back."""
        if isinstance(self.content, Spool):
            self.content.close()


def sums(parts: list[tuple[str, str]]) -> bytes:
    """`SHA256SUMS` of names and checksums, as `sha256sum` writes it. Pure."""
    return "".join(f"{digest}  {name}\n" for name, digest in parts).encode()


def with_sums(parts: list[Part]) -> list[Part]:
    """The parts and, as the last one, their checksums."""
    return [*parts, Part(SUMS_NAME, sums([(part.name, part.sha256) for part in parts]))]


def file_size(parts: list[Part]) -> int:
    """Size of the archive of these parts, in bytes."""
    heads = sum(len(header(Entry(part.name, part.size))) for part in parts)
    return heads + sum(part.size + len(padding(part.size)) for part in parts) + len(END)


def file_chunks(parts: list[Part], modified: int) -> Iterator[bytes]:
    """The archive of these parts, piece by piece."""
    for part in parts:
        yield header(Entry(part.name, part.size, modified=modified))
        if isinstance(part.content, bytes):
            yield part.content
        else:
            yield from part.content.chunks()
        yield padding(part.size)
    yield END
