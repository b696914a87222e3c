"""The tar files of a backup: a subset of GNU tar that has exactly one reading.

Regular files and folders only, by relative names, each folder before what is in it, every header the one that
`header` makes. So there is nothing in such a file that two programs could understand differently, and a changed
byte anywhere is found: in a header by its form, in contents by the checksums beside them.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

BLOCK: Final = tarfile.BLOCKSIZE
END: Final = bytes(2 * BLOCK)
CHUNK: Final = 256 * 1024
MOST_ENTRIES: Final = 200_000
LONGEST_NAME: Final = 4096
_LONGEST_SEGMENT: Final = 255
_TEXT: Final = ("utf-8", "surrogateescape")


class ArchiveError(ValueError):
    """The file is not such an archive; the message says what is wrong in it."""


class ArchiveTooLargeError(ArchiveError):
    """It holds more than may be: too many entries, or too many bytes."""


class Source(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder. Size in bytes, `modified` in whole seconds since 1970, of `mode` only the permission bits."""

    name: str
    size: int = 0
    folder: bool = False
    mode: int = 0o600
    modified: int = 0


def header(entry: Entry, *, owner: int = 0) -> bytes:
    """The blocks before an entry's content. Backups have the owner 0; who unpacks decides about that."""
    info = tarfile.TarInfo(entry.name)
    info.type = tarfile.DIRTYPE if entry.folder else tarfile.REGTYPE
    info.size = 0 if entry.folder else entry.size
    info.mode = entry.mode & 0o777
    info.mtime = max(0, entry.modified)
    info.uid = info.gid = owner
    return info.tobuf(tarfile.GNU_FORMAT, *_TEXT)


def padding(size: int) -> bytes:
    """The zeros after a content of this size."""
    return bytes(-size % BLOCK)


def name_problem(name: str) -> str | None:
    """Why a name cannot be in an archive; None when it can. Pure."""
    raw = name.encode(*_TEXT)
    segments = name.split("/")
    if not name or "\0" in name or name.startswith("/"):
        return "is not a relative path"
    if any(segment in {"", ".", ".."} for segment in segments):
        return "is not a plain path: it has an empty, '.' or '..' part"
    if len(raw) > LONGEST_NAME or any(len(segment.encode(*_TEXT)) > _LONGEST_SEGMENT for segment in segments):
        return "is too long"
    return None


class ArchiveReader:
    """Reads an archive from its beginning to its end, checking all of it.

    Iterate over it for the entries; between two of them `read` and `chunks` give the content of the first.
    """

    def __init__(self, source: Source, *, most_entries: int = MOST_ENTRIES, most_bytes: int | None = None) -> None:
        self._source = source
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._left = self._padding = 0
        self._seen: dict[bytes, bool] = {}
        self.entries = self.content_bytes = 0

    def __iter__(self) -> Iterator[Entry]:
        """The entries, in order.

        Raises:
            ArchiveError: it is not such an archive, not whole, or too large.
        """
        while (entry := self._next()) is not None:
            yield entry

    def chunks(self) -> Iterator[bytes]:
        """The content of the entry that was given last."""
        while self._left:
            piece = self._exactly(min(self._left, CHUNK))
            self._left -= len(piece)
            yield piece
        if self._padding:
            if any(self._exactly(self._padding)):
                raise ArchiveError("there is something between two entries")
            self._padding = 0

    def content(self, most: int) -> bytes:
        """The whole content of the entry that was given last, when it is at most so long."""
        if self._left > most:
            raise ArchiveError(f"an entry has {self._left} bytes where at most {most} are expected")
        return b"".join(self.chunks())

    def _next(self) -> Entry | None:
        for _ in self.chunks():
            """What nobody wanted is passed over."""
        raw = self._exactly(BLOCK)
        if not any(raw):
            if any(self._exactly(BLOCK)) or self._source.read(1):
                raise ArchiveError("there is something after its end")
            return None
        info, raw, name = self._info(raw)
        if info.type not in {tarfile.REGTYPE, tarfile.DIRTYPE}:
            raise ArchiveError(f"{name!r} is neither a file nor a folder (links, devices and the like are refused)")
        entry = Entry(name, info.size, info.type == tarfile.DIRTYPE, info.mode, int(info.mtime))
        self._check(entry)
        if header(entry) != raw:
            raise ArchiveError(f"the header of {name!r} is not as Nimbus writes it")
        self._left, self._padding = entry.size, -entry.size % BLOCK
        self.entries += 1
        self.content_bytes += entry.size
        return entry

    def _info(self, raw: bytes) -> tuple[tarfile.TarInfo, bytes, str]:
        """A header with its blocks, and its name, which has blocks of its own when it is long."""
        info = _parsed(raw)
        if info.type != tarfile.GNUTYPE_LONGNAME:
            return info, raw, info.name.rstrip("/")
        if not 0 < info.size <= LONGEST_NAME + 2:
            raise ArchiveError("an entry's name is too long")
        text = self._exactly(info.size + -info.size % BLOCK)
        head = self._exactly(BLOCK)
        name = text[: info.size].rstrip(b"\0").decode(*_TEXT).rstrip("/")
        return _parsed(head), raw + text + head, name

    def _check(self, entry: Entry) -> None:
        if reason := name_problem(entry.name):
            raise ArchiveError(f"the name {entry.name[:200]!r} {reason}")
        if entry.size < 0 or (entry.folder and entry.size):
            raise ArchiveError(f"{entry.name!r} has an impossible size")
        if self.entries >= self._most_entries:
            raise ArchiveTooLargeError(f"it has more than {self._most_entries} entries")
        if self._most_bytes is not None and self.content_bytes + entry.size > self._most_bytes:
            raise ArchiveTooLargeError(f"it holds more than {self._most_bytes} bytes")
        parent, _, _ = entry.name.rpartition("/")
        if parent and not self._seen.get(_digest(parent), False):
            raise ArchiveError(f"{entry.name!r} is in no folder of the archive")
        key = _digest(entry.name)
        if key in self._seen:
            raise ArchiveError(f"{entry.name!r} is there twice")
        self._seen[key] = entry.folder

    def _exactly(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size:
            piece = self._source.read(size)
            if not piece:
                raise ArchiveError("it is not whole: it ends too early")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _parsed(raw: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(raw, *_TEXT)
    except tarfile.HeaderError as error:
        raise ArchiveError(f"it is no tar archive, or damaged: {error}") from error


def _digest(name: str) -> bytes:
    """Names are remembered by their digests: a hundred thousand long ones must not fill the memory."""
    return hashlib.blake2b(name.encode(*_TEXT), digest_size=16).digest()
