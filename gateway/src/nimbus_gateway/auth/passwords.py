"""Passwords: argon2id in threads, a few at a time, because each hash takes memory and a core for a while."""

import secrets

import anyio
import anyio.to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from nimbus_gateway.errors import RateLimitedError

MINIMUM_LENGTH = 8
MAXIMUM_LENGTH = 256
PARALLEL = 2
WAITING = 64


def generated_password() -> str:
    """A password of 120 bits, for a person to sign in with and then change."""
    return secrets.token_urlsafe(15)


class Passwords:
    """Hashes and verifies.

    Args:
        hasher: the argon2 parameters; those of the library unless a test asks for cheaper ones.
    """

    def __init__(self, hasher: Argon2Hasher | None = None) -> None:
        self._hash = PasswordHash((hasher or Argon2Hasher(),))
        self._slots = anyio.CapacityLimiter(PARALLEL)
        self._nobody = self._hash.hash("nobody has this password")

    def _check_queue(self) -> None:
        if self._slots.statistics().tasks_waiting >= WAITING:
            raise RateLimitedError("too many sign-ins are waiting; try again in a moment", retry_after=5)

    async def hash(self, password: str) -> str:
        """The hash to store.

        Raises:
            RateLimitedError: too many are waiting already.
        """
        self._check_queue()
        return await anyio.to_thread.run_sync(self._hash.hash, password, limiter=self._slots)

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether the password fits, and the new hash to store when the old one's parameters are outdated.

        Without a stored hash (no such account) it takes the same time and says no.

        Raises:
            RateLimitedError: too many are waiting already.
        """
        self._check_queue()
        fits, updated = await anyio.to_thread.run_sync(
            self._hash.verify_and_update, password, stored or self._nobody, limiter=self._slots
        )
        return (fits, updated) if stored is not None else (False, None)
