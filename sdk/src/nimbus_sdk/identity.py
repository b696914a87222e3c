"""Verifying `X-Nimbus-Identity` with the core's published keys."""

import asyncio
import http.client
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from nimbus_sdk.callers import Caller, caller_of
from nimbus_sdk.contracts.identity import IdentityClaims, KeySet
from nimbus_sdk.verifying import InvalidIdentity, UnknownKey, VerifyingKeys

REFRESH_FLOOR_SECONDS = 5.0
"""An unknown key id makes the keys be fetched again, at most this often."""

RETRY_FLOOR_SECONDS = 0.5
"""After a failed fetch."""

MAX_AGE_SECONDS = 600.0
"""Keys older than this are fetched again, so that a withdrawn one is forgotten."""

_FETCH_TIMEOUT = 3.0
_MAX_KEYS_BYTES = 64 * 1024
_CACHED_TOKENS = 512

Fetch = Callable[[], Awaitable[KeySet]]


class InvalidToken(Exception):  # noqa: N818 - named for what the caller is told
    """The token does not hold; the message says why."""


class KeysUnavailable(Exception):  # noqa: N818
    """The core's keys could not be fetched, so nothing can be verified now."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token was found to say.

    Attributes:
        expires: Unix time.
        ends: the same in monotonic seconds: a clock that is set back makes no token live longer.
    """

    claims: IdentityClaims
    caller: Caller
    expires: float
    ends: float


class IdentityVerifier:
    """Verifies tokens for one plugin. Keys are fetched once and kept; verified tokens are remembered.

    Args:
        audience: the plugin's id.
        fetch: gets the current key set.
        clock: monotonic seconds.
    """

    def __init__(self, audience: str, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._audience = audience
        self._fetch = fetch
        self._clock = clock
        self._keys = VerifyingKeys(KeySet(keys=[]))
        self._fetched_at: float | None = None
        self._failed_at: float | None = None
        self._lock = asyncio.Lock()
        self._verified: dict[bytes, Verified] = {}

    async def warm(self) -> None:
        """Fetch the keys ahead of the first request. A failure is not one: the first request tries again."""
        try:
            await self._refresh(older_than=None)
        except KeysUnavailable:
            return

    def known(self, token: bytes) -> Caller | None:
        """Whom a token stands for that was verified before and has not expired; else None, and `caller` finds out."""
        kept = self._remembered(token)
        return None if kept is None else kept.caller

    def _remembered(self, token: bytes) -> Verified | None:
        kept = self._verified.get(token)
        return kept if kept is not None and kept.expires > time.time() and kept.ends > self._clock() else None

    async def caller(self, token: bytes) -> Caller:
        """Whom a token stands for. Errors as for `verify`."""
        return (await self._verify(token)).caller

    async def verify(self, token: str) -> IdentityClaims:
        """The claims of a token.

        Raises:
            InvalidToken: it does not hold.
            KeysUnavailable: there are no keys to verify with.
        """
        return (await self._verify(token.encode("latin-1", "replace"))).claims

    async def _verify(self, raw: bytes) -> Verified:
        known = self._remembered(raw)
        if known is not None:
            return known
        token = raw.decode("latin-1")
        if self._fetched_at is None or self._clock() - self._fetched_at > MAX_AGE_SECONDS:
            await self._refresh(older_than=self._fetched_at)
        try:
            try:
                claims = self._keys.verify(token, audience=self._audience)
            except UnknownKey:
                if self._fetched_at is not None and self._clock() - self._fetched_at < REFRESH_FLOOR_SECONDS:
                    raise
                await self._refresh(older_than=self._fetched_at)
                claims = self._keys.verify(token, audience=self._audience)
        except InvalidIdentity as error:
            raise InvalidToken(str(error)) from error
        if len(self._verified) >= _CACHED_TOKENS:
            self._verified.clear()
        found = self._verified[raw] = Verified(
            claims, caller_of(claims), claims.exp, self._clock() + claims.exp - time.time()
        )
        return found

    async def _refresh(self, *, older_than: float | None) -> None:
        """Fetch once for everyone who waits; whoever comes after a success takes its result."""
        async with self._lock:
            if self._fetched_at != older_than:
                return
            now = self._clock()
            if self._failed_at is not None and now - self._failed_at < RETRY_FLOOR_SECONDS:
                raise KeysUnavailable
            try:
                keys = await self._fetch()
            except (OSError, ValueError, http.client.HTTPException, TimeoutError) as error:
                self._failed_at = self._clock()
                if self._fetched_at is not None:
                    return  # old keys are better than none; the token may still be known to be unknown
                raise KeysUnavailable from error
            self._keys = VerifyingKeys(keys)
            self._fetched_at = self._clock()
            self._failed_at = None
            self._verified.clear()


def core_keys(core_url: str | None) -> Fetch:
    """Fetches `/core/v1/keys`. By the standard library: the one call that every start makes should cost nothing."""

    async def fetch() -> KeySet:
        if core_url is None:
            raise OSError("the plugin was started without NIMBUS_CORE_URL")
        return await asyncio.to_thread(_fetch_keys, core_url)

    return fetch


def _fetch_keys(core_url: str) -> KeySet:
    parts = urlsplit(core_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_FETCH_TIMEOUT)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/core/v1/keys", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(_MAX_KEYS_BYTES)
        if answer.status != http.client.OK:
            raise OSError(f"the core answered {answer.status} when asked for its keys")
        return KeySet.model_validate_json(body)
    finally:
        connection.close()
