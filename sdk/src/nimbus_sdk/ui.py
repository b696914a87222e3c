"""The files of a plugin's UI bundle: which they are, and their SHA-256."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from nimbus_sdk.errors import ManifestError

MAX_FILES = 500
MAX_BYTES = 20 * 1024 * 1024
"""What the gateway keeps of one plugin."""

_NAME = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_\-.]*")
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})
_SKIPPED_SUFFIXES = frozenset({".md", ".py", ".pyc"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files by their path from the plugin's root, e.g. `web/main.js`."""

    files: dict[str, Path]

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, in hex."""
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in self.files.items()}


def collect(root: Path, bundle: str) -> Bundle:
    """Everything in the bundle's folder and below it, hidden files and notes left out.

    Raises:
        ManifestError: the bundle is not there, or there is more than the gateway keeps.
    """
    entry = root / bundle
    if not entry.is_file():
        raise ManifestError(f"ui.bundle names {bundle}, which is not in {root}; build it first")
    top = entry.parent
    files: dict[str, Path] = {}
    if top.resolve() == root.resolve():
        files[bundle] = entry  # the plugin's root holds its code: nothing but the named file is for browsers
    else:
        for path in sorted(top.rglob("*")):
            parts = path.relative_to(root).parts
            wanted = all(_NAME.fullmatch(part) for part in parts) and not _SKIPPED_FOLDERS.intersection(parts)
            if wanted and path.is_file() and not path.is_symlink() and path.suffix not in _SKIPPED_SUFFIXES:
                files["/".join(parts)] = path
    total = sum(path.stat().st_size for path in files.values())
    if len(files) > MAX_FILES or total > MAX_BYTES:
        raise ManifestError(
            f"the UI bundle has {len(files)} files and {total} bytes; "
            f"Nimbus keeps {MAX_FILES} files and {MAX_BYTES} bytes"
        )
    return Bundle(files)
