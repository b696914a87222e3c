"""Folders that a plugin filled: measured, copied and deleted however deep they are. Synchronous, for threads.

The standard library's own ways recurse, so that a plugin which nests a thousand folders could end them.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_BLOCK: Final = 512
"""Bytes of the unit that `st_blocks` counts in, whatever the file system's own."""
_CHUNK: Final = 1024**2


def tree_size(folder: Path) -> int:
    """Allocated bytes below a folder that changes meanwhile; links are not followed, holes do not count."""
    total = 0
    for _, entries in _walk(str(folder), suppressed=True):
        for one in entries:
            with suppress(OSError):
                if not one.is_dir(follow_symlinks=False):
                    total += one.stat(follow_symlinks=False).st_blocks * _BLOCK
    return total


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder to a place where nothing is yet. Links stay links, holes in files stay holes.

    Raises:
        OSError: it cannot be read or written.
    """
    folders: list[tuple[str, str]] = []
    for folder, entries in _walk(str(source)):
        place = f"{target}{folder[len(str(source)) :]}"
        os.mkdir(place, 0o700)  # noqa: PTH102 - many files
        folders.append((folder, place))
        for one in entries:
            if not one.is_dir(follow_symlinks=False):
                _copy(one, f"{place}/{one.name}")
    for folder, place in reversed(folders):
        shutil.copystat(folder, place)


def remove_tree(folder: Path) -> None:
    """Delete a folder with all that is in it, as far as that is possible."""
    places: list[str] = []
    for place, entries in _walk(str(folder), suppressed=True):
        places.append(place)
        for one in entries:
            with suppress(OSError):
                if not one.is_dir(follow_symlinks=False):
                    os.unlink(one.path)  # noqa: PTH108 - many files
    for place in reversed(places):
        with suppress(OSError):
            os.rmdir(place)  # noqa: PTH106 - many files


def _walk(root: str, *, suppressed: bool = False) -> Iterator[tuple[str, list["os.DirEntry[str]"]]]:
    """Each folder with its entries, before the folders in it."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
            below = [one.path for one in entries if one.is_dir(follow_symlinks=False)]
        except OSError:
            if not suppressed:
                raise
            continue
        yield folder, entries
        waiting += below


def _copy(one: "os.DirEntry[str]", target: str) -> None:
    facts = one.stat(follow_symlinks=False)
    if stat.S_ISREG(facts.st_mode):
        _copy_content(one.path, target, facts.st_size)
    elif stat.S_ISLNK(facts.st_mode):
        os.symlink(os.readlink(one.path), target)  # noqa: PTH115, PTH211 - many files
    else:
        os.mknod(target, facts.st_mode)  # a pipe or socket, which a backup names; the kernel refuses devices
    shutil.copystat(one.path, target, follow_symlinks=False)


def _copy_content(source: str, target: str, size: int) -> None:
    """Copy what there is of a file: 8 TiB of nothing are copied in no time, and stay nothing."""
    with open(source, "rb", buffering=0) as old, open(target, "xb", buffering=0) as new:  # noqa: PTH123 - many files
        place = 0
        while place < size and (begin := _data_after(old.fileno(), place)) is not None:
            place = min(os.lseek(old.fileno(), begin, os.SEEK_HOLE), size)
            os.lseek(old.fileno(), begin, os.SEEK_SET)
            os.lseek(new.fileno(), begin, os.SEEK_SET)
            left = place - begin
            while left and (piece := old.read(min(left, _CHUNK))):
                view = memoryview(piece)
                while view:
                    view = view[new.write(view) :]
                left -= len(piece)
            if left:
                break  # it became shorter
        new.truncate(size)


def _data_after(handle: int, place: int) -> int | None:
    try:
        return os.lseek(handle, place, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole up to the end
            return None
        raise
