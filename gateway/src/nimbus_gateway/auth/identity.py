"""The gateway's signing keys and the identity tokens that plugins are told callers by.

The key set lives in one file that all workers share. A new key is published for a while before it signs, and an
old one stays published for a while after its last signature, so that no plugin meets a key it cannot know.
"""

import fcntl
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimbus_sdk.contracts.identity import (
    IDENTITY_LIFETIME_SECONDS,
    PLATFORM_SUBJECT,
    IdentityClaims,
    KeySet,
)
from nimbus_sdk.signing import SigningKey, sign_identity

from nimbus_gateway.auth.principal import Principal

KEY_LIFE_SECONDS = 30 * 86400.0
PUBLISHED_BEFORE_SECONDS = 3600.0
PUBLISHED_AFTER_SECONDS = 3600.0
RENEW_SECONDS = 20.0
"""A cached token with less than this left to live is not handed out any more."""
MAX_CACHED = 10_000
CLOCK_SKEW_SECONDS = 1


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private key and the moment (Unix time) from which it signs."""

    key: SigningKey
    active_from: float


def rotated(keys: Sequence[StoredKey], now: float) -> list[StoredKey]:
    """The key set as it should be now: oldest first, at least one active, none longer than needed.

    Args:
        keys: oldest first.
        now: Unix time.
    """
    if not keys:
        return [StoredKey(SigningKey.generate(), now)]
    kept = list(keys)
    if now >= kept[-1].active_from + KEY_LIFE_SECONDS - PUBLISHED_BEFORE_SECONDS:
        kept.append(StoredKey(SigningKey.generate(), now + PUBLISHED_BEFORE_SECONDS))
    while len(kept) > 1 and kept[1].active_from + PUBLISHED_AFTER_SECONDS <= now:
        kept.pop(0)
    return kept


def signing_key(keys: Sequence[StoredKey], now: float) -> SigningKey:
    """The newest key that is active."""
    active = [stored for stored in keys if stored.active_from <= now]
    return (active[-1] if active else keys[0]).key


class KeyFile:
    """The key set on disk, for this process's owner only; changed under a lock, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, now: float) -> list[StoredKey]:
        """Read the set, make it when there is none, and rotate it when it is time."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = self._read()
            wanted = rotated(keys, now)
            if wanted != keys:
                self._write(wanted)
            return wanted

    def _read(self) -> list[StoredKey]:
        try:
            document: dict[str, Any] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return []
        return [
            StoredKey(SigningKey.from_jwk(entry["jwk"]), float(entry["activeFrom"])) for entry in document["keys"]
        ]

    def _write(self, keys: Sequence[StoredKey]) -> None:
        document = {"keys": [{"jwk": stored.key.to_jwk(), "activeFrom": stored.active_from} for stored in keys]}
        temporary = self._path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


@dataclass(frozen=True, slots=True, eq=False)
class IssuedToken:
    """A signed identity; `expires_at` in seconds since the epoch."""

    token: str
    expires_at: float

    def usable(self, now: float) -> bool:
        """Whether it lasts long enough to be sent; not when the clock was set back since it was issued."""
        return RENEW_SECONDS < self.expires_at - now <= IDENTITY_LIFETIME_SECONDS


class IdentitySigner:
    """Mints identity tokens; one token serves a caller and a plugin until it is nearly used up."""

    def __init__(self, path: Path, issuer: str) -> None:
        self._file = KeyFile(path)
        self._issuer = issuer
        self._cache: dict[tuple[Principal | None, str], IssuedToken] = {}
        self._keys = self._file.load(time.time())
        self._key = signing_key(self._keys, time.time())

    def refresh(self) -> None:
        """Take over what has changed on disk and rotate when it is time; called now and then."""
        now = time.time()
        self._keys = self._file.load(now)
        self._key = signing_key(self._keys, now)

    def key_set(self) -> KeySet:
        """The public keys: content of ``/core/v1/keys``."""
        return KeySet(keys=[stored.key.public for stored in self._keys], issuer=self._issuer)

    def token(self, principal: Principal, plugin_id: str) -> str:
        """`X-Nimbus-Identity` of a caller for a plugin."""
        return self.issued(principal, plugin_id).token

    def platform_token(self, plugin_id: str) -> str:
        """`X-Nimbus-Identity` of the platform's own calls on a plugin."""
        return self.issued(None, plugin_id).token

    def issued(self, principal: Principal | None, plugin_id: str) -> IssuedToken:
        """The token of a caller (None is the platform) for a plugin; the same object as long as it is usable."""
        now = time.time()
        cached = self._cache.get((principal, plugin_id))
        if cached is not None and cached.usable(now):
            return cached
        claims = _claims(principal, plugin_id, self._issuer, int(now) - CLOCK_SKEW_SECONDS)
        issued = IssuedToken(sign_identity(claims, self._key), float(claims.exp))
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[principal, plugin_id] = issued
        return issued


def _claims(principal: Principal | None, plugin_id: str, issuer: str, issued: int) -> IdentityClaims:
    expires = issued + IDENTITY_LIFETIME_SECONDS
    if principal is None:
        return IdentityClaims(
            iss=issuer, aud=plugin_id, sub=PLATFORM_SUBJECT, role="platform", iat=issued, exp=expires
        )
    return IdentityClaims(
        iss=issuer,
        aud=plugin_id,
        sub=principal.subject,
        name=principal.name,
        role=principal.role,
        scopes=sorted(principal.scopes),
        sid=principal.session_id,
        iat=issued,
        exp=expires,
    )
