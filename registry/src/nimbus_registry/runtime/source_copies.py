"""Copies of a plugin's folder, one a version: what an older version is run from once the folder holds a newer one.

Images keep their versions by themselves; a process runs from its folder, which is changed under it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog
from nimbus_sdk.contracts.jsontext import MAX_DOCUMENT_BYTES

from nimbus_registry.runtime.base import RuntimeFailure

log = structlog.get_logger(__name__)

MOST_KEPT: Final = 6
"""So many versions have a copy, the one that runs among them."""
MOST_BYTES: Final = 256 * 1024**2
MOST_FILES: Final = 20_000
_FACTS: Final = ".facts"
_LEFT_OUT: Final = frozenset({".git", ".venv", "node_modules", "__pycache__"})
"""What is made anew, or says nothing about the version."""


class SourceCopies:
    """The copies of one plugin's folder.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def source_of(self, version: str, live: Path) -> Path:
        """What a version is to be run from: the plugin's folder, else the copy that was made when it ran last.

        Raises:
            RuntimeFailure: the folder holds another version, and there is no copy.
        """
        copy = self._folder / version / "source"
        if version_in(live) not in {None, version} and copy.is_dir():
            return copy.resolve()
        require_version(live, version)
        return live

    def keep(self, version: str, live: Path) -> None:
        """Copy the folder as it is for this version; one that is too large is not kept.

        Raises:
            OSError, shutil.Error: it cannot be read, or the disk is full.
        """
        if version_in(live) != version:
            return
        place = self._folder / version
        facts = _facts(live)
        if facts is None:
            log.warning("the plugin's folder is too large: no copy of this version is kept", folder=str(live))
            return
        if (place / _FACTS).is_file() and (place / _FACTS).read_text() == facts:
            os.utime(place)
            return
        shutil.rmtree(place, ignore_errors=True)
        unfinished = self._folder / ".unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o700)
        shutil.copytree(live, unfinished / "source", symlinks=True, ignore=lambda _, names: _LEFT_OUT & set(names))
        (unfinished / _FACTS).write_text(facts)
        unfinished.rename(place)
        self._forget_old()

    def _forget_old(self) -> None:
        found = sorted(self._folder.iterdir(), key=lambda place: place.stat().st_mtime, reverse=True)
        for place in found[MOST_KEPT:]:
            shutil.rmtree(place, ignore_errors=True)


def require_version(live: Path, version: str) -> None:
    """Refuse to make a version of a folder that holds another one.

    Raises:
        RuntimeFailure: it does.
    """
    found = version_in(live)
    if found not in {None, version}:
        raise RuntimeFailure(
            "start",
            "source-changed",
            f"The plugin's folder holds version {found}, and nothing of {version} is kept.",
            hint=f"Put version {version} back into the folder, or change to {found}.",
        )


def version_in(folder: Path) -> str | None:
    """The version that a plugin's folder holds; None when that cannot be read."""
    try:
        with (folder / "manifest.json").open("rb") as file:
            document = json.loads(file.read(MAX_DOCUMENT_BYTES + 1))
    except (OSError, ValueError):
        return None
    version = document.get("version") if isinstance(document, dict) else None
    return version if isinstance(version, str) else None


def _facts(folder: Path) -> str | None:
    """Hash of names, sizes and times of everything that is copied; None when that is too much."""
    digest, size = hashlib.sha256(), 0
    for count, path in enumerate(_walk(folder)):
        status = path.lstat()
        size += status.st_size
        if count >= MOST_FILES or size > MOST_BYTES:
            return None
        digest.update(
            f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="replace")
        )
    return digest.hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        yield from (Path(root) / name for name in sorted(names))
