"""Secrets that are made once and shared by all workers through a file that only the service may read."""

import os
import secrets
from pathlib import Path


def read_or_create(path: Path, content: str) -> str:
    """The file's text; when there is no file it is made with `content`, mode 0600.

    The file appears whole or not at all, so of several processes that start at once all read the same.

    Raises:
        OSError: the folder cannot be written, or the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new(draft, content)
        os.link(draft, path)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    finally:
        draft.unlink(missing_ok=True)
    return content.strip()


def write_new(path: Path, content: str) -> None:
    """Write a file that must not exist yet, mode 0600, and wait until it is on disk.

    Raises:
        FileExistsError: it is there already.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
