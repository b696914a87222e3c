"""The data of a plugin as an archive: from a folder or an engine's tar file, and back. Synchronous, for threads."""

import json
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from nimbus_sdk.contracts.archive import (
    CHUNK,
    END,
    MOST_ENTRIES,
    ArchiveError,
    ArchiveTooLargeError,
    Entry,
    Source,
    header,
    name_problem,
    padding,
)
from nimbus_sdk.contracts.backup import (
    DATA_FOLDER,
    LEFT_OUT_BYTES,
    LEFT_OUT_NAME,
    MOST_LEFT_OUT,
    DataLeftOut,
    DataReader,
    failure,
)

_LISTED: Final = 1000
"""Characters of a name in the list of what was left out."""
_LIST_BYTES: Final = LEFT_OUT_BYTES // 2
"""The names in that list are at most so long together, as JSON."""


class _Writer:
    """What an archive holds so far: never more than its reader takes."""

    def __init__(self, most_bytes: int | None) -> None:
        self._most_bytes = most_bytes
        self._left = DataLeftOut()
        self._list_bytes = 0
        self._entries = self._bytes = 0

    def head(self, entry: Entry) -> bytes:
        """The blocks before an entry's content.

        Raises:
            ArchiveTooLargeError: it is one too many, or too large.
        """
        self._entries += 1
        self._bytes += entry.size
        if self._entries > MOST_ENTRIES - 1:  # the list of what was left out is one, too
            raise ArchiveTooLargeError(
                f"The plugin's data have more than {MOST_ENTRIES} files and folders, which no backup takes. "
                "Have the plugin delete or pack some of them."
            )
        if self._most_bytes is not None and self._bytes > self._most_bytes:
            raise ArchiveTooLargeError(
                f"The files in the plugin's data have more than {self._most_bytes} bytes together (NIMBUS_MAX_DATA); "
                "holes in sparse files count in a backup. Have the plugin delete some of them, or raise the limit."
            )
        return header(entry)

    def note(self, name: str) -> None:
        """Something cannot be in it."""
        self._left.count += 1
        text = name.encode("utf-8", "replace").decode()[:_LISTED]
        size = len(json.dumps(text, ensure_ascii=False).encode())
        if len(self._left.names) < MOST_LEFT_OUT and self._list_bytes + size <= _LIST_BYTES:
            self._left.names.append(text)
            self._list_bytes += size

    def end(self) -> bytes:
        """All that comes after the data."""
        text = json.dumps(self._left.wire(), ensure_ascii=False).encode()
        return header(Entry(LEFT_OUT_NAME, len(text))) + text + padding(len(text)) + END


def of_folder(root: Path, most_bytes: int | None = None) -> Iterator[bytes]:
    """A folder as an archive, piece by piece. Nothing may write there meanwhile.

    One that no reader would take, or with more bytes than may be, ends with the reason (`contracts.backup.failure`).

    Raises:
        OSError: it cannot be read.
        ArchiveError: it changed while it was read.
    """
    writer = _Writer(most_bytes)
    try:
        yield writer.head(Entry(DATA_FOLDER, folder=True, mode=0o700))
        if root.is_dir():
            yield from _below(root, writer)
        yield writer.end()
    except ArchiveTooLargeError as error:
        yield failure(str(error))


def _below(root: Path, writer: _Writer) -> Iterator[bytes]:
    """Everything in a folder, each folder followed by what is in it. Without recursion: a plugin may nest deeply."""
    open_folders = [(DATA_FOLDER, _entries(root))]
    while open_folders:
        name, entries = open_folders[-1]
        one = next(entries, None)
        if one is None:
            open_folders.pop()
            continue
        inside = f"{name}/{one.name}"
        facts = one.stat(follow_symlinks=False)
        if name_problem(inside) or not (stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode)):
            writer.note(inside)
        elif stat.S_ISDIR(facts.st_mode):
            yield writer.head(Entry(inside, 0, True, facts.st_mode, int(facts.st_mtime)))  # noqa: FBT003 - a field
            open_folders.append((inside, _entries(one.path)))
        else:
            entry = Entry(inside, facts.st_size, mode=facts.st_mode, modified=int(facts.st_mtime))
            yield writer.head(entry)
            with os.fdopen(os.open(one.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                yield from _content(file, entry)


def _entries(folder: str | Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as found:
        return iter(sorted(found, key=lambda one: os.fsencode(one.name)))


def of_engine(file: Source, most_bytes: int | None = None) -> Iterator[bytes]:
    """What the engine gives of a folder, as an archive, piece by piece. The folder's own name is replaced.

    One that no reader would take, or with more bytes than may be, ends with the reason (`contracts.backup.failure`).

    Raises:
        tarfile.TarError, ArchiveError: it is not whole.
    """
    writer = _Writer(most_bytes)
    try:
        with tarfile.open(fileobj=file, mode="r|", bufsize=CHUNK) as archive:  # type: ignore[call-overload]
            while (info := archive.next()) is not None:
                archive.members.clear()  # it would keep every one of them
                _, slash, below = info.name.rstrip("/").partition("/")
                name = f"{DATA_FOLDER}{slash}{below}"
                content = archive.extractfile(info) if info.isreg() else None
                if name_problem(name) or not (info.isdir() or content is not None):
                    writer.note(name)
                    continue
                entry = Entry(name, 0 if info.isdir() else info.size, info.isdir(), info.mode, int(info.mtime))
                yield writer.head(entry)
                if content is not None:
                    yield from _content(content, entry)
        yield writer.end()
    except ArchiveTooLargeError as error:
        yield failure(str(error))


def _content(file: IO[bytes], entry: Entry) -> Iterator[bytes]:
    remaining = entry.size
    while remaining:
        piece = file.read(min(remaining, CHUNK))
        if not piece:
            raise ArchiveError(f"{entry.name!r} became shorter while it was read")
        remaining -= len(piece)
        yield piece
    yield padding(entry.size)


def unpack(source: Source, target: Path, most_bytes: int | None = None) -> None:
    """Write the data of an archive into a folder that does not exist yet.

    Raises:
        ArchiveTooLargeError: it holds more bytes than may be.
        ArchiveError: it is no such archive, or not whole.
        OSError: it cannot be written.
    """
    target.mkdir(mode=0o700)
    reader = DataReader(source, most_bytes=most_bytes)
    folders: list[tuple[Path, int]] = []
    for entry in reader:
        path = target / entry.name
        if entry.folder:
            path.mkdir(mode=0o700)
            folders.append((path, entry.mode & 0o777 | 0o700))
            continue
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            for piece in reader.chunks():
                file.write(piece)
        path.chmod(entry.mode & 0o777)
        os.utime(path, (entry.modified, entry.modified))
    for path, mode in folders:
        path.chmod(mode)


def owned(source: Source, owner: int, most_bytes: int | None = None) -> Iterator[bytes]:
    """The data of an archive as a tar file whose files belong to a user, for an engine that unpacks it.

    Raises:
        ArchiveTooLargeError: it holds more bytes than may be.
        ArchiveError: it is no such archive, or not whole.
    """
    reader = DataReader(source, most_bytes=most_bytes)
    for entry in reader:
        yield header(entry, owner=owner)
        if not entry.folder:
            yield from reader.chunks()
            yield padding(entry.size)
    yield END
