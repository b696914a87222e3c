"""The token that gateway and registry share over the control network."""

import hmac
import os
import secrets
import time
from pathlib import Path

MIN_LENGTH = 32
WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.05


def load_service_token(path: Path, wait: float = WAIT_SECONDS) -> str:
    """Read the token; whoever comes first makes it, the other waits until it is there whole.

    Raises:
        TimeoutError: the file stayed empty or cut off for `wait` seconds.
        OSError: the file cannot be made; none is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _wait_for(path, wait)
    except PermissionError:
        # A read-only mount, e.g. a secret of the container engine: somebody else makes it.
        return _wait_for(path, wait)
    token = secrets.token_urlsafe(32)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(token)
    except OSError:
        # What a full disk cut off would keep every later start waiting for the rest.
        path.unlink(missing_ok=True)
        raise
    return token


def _wait_for(path: Path, wait: float) -> str:
    deadline = time.monotonic() + wait
    while True:
        try:
            token = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            token = ""
        if len(token) >= MIN_LENGTH:
            return token
        if time.monotonic() > deadline:
            raise TimeoutError(f"the service token in {path} did not appear within {wait:g} s")
        time.sleep(_POLL_SECONDS)


def bearer_matches(authorization: str | None, token: str) -> bool:
    """Whether an Authorization header carries the token; takes the same time for any wrong one."""
    scheme, _, given = (authorization or "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())
