"""The secret that gateway and registry share: made by whichever of them starts first."""

import asyncio
import os
import secrets
import time
from pathlib import Path

from nimbus_registry.errors import StartError

MIN_LENGTH = 32
_WAIT = 30.0


async def service_token(path: Path) -> str:
    """Read the token, or create it (mode 0600) when it is not there yet.

    Raises:
        StartError: the file cannot be read or written, or stays empty for 30 seconds.
    """
    return await asyncio.to_thread(_read_or_create, path)


def _read_or_create(path: Path) -> str:
    deadline = time.monotonic() + _WAIT
    try:
        _create(path)
        while len(token := path.read_text(encoding="ascii").strip()) < MIN_LENGTH:
            # The other service has made the file and is about to fill it.
            if time.monotonic() > deadline:
                raise StartError(f"the service token in {path} is empty or too short; delete it to make a new one")
            time.sleep(0.05)
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"the service token in {path} cannot be read or made: {error}") from error
    return token


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    except OSError:
        # An empty file of a full disk would keep every later start waiting for its content.
        path.unlink(missing_ok=True)
        raise
