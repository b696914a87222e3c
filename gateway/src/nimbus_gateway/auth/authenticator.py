"""From credentials to a principal, from memory where possible.

What a worker has verified once it keeps, and forgets when the log of credential changes says so; a hit awaits
nothing. A miss costs one read, however many requests wait for it. While the log cannot be followed (the database
is down) entries stay usable for `UNSYNCED_SECONDS`.
"""

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime

from nimbus_gateway.auth.changes import Change, CredentialChanges
from nimbus_gateway.auth.credentials_store import LoadedCredential, load_api_key, load_session, store_usage
from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.database import Database, now

UNSYNCED_SECONDS = 15 * 60.0
NEGATIVE_SECONDS = 5.0
MAXIMUM_ENTRIES = 10_000
MAXIMUM_TOKEN_LENGTH = 256
USAGE_SECONDS = 60.0
NOTE_SECONDS = 1.0
"""A credential's last use is noted this exactly."""


@dataclass(slots=True)
class _Entry:
    """A verified credential; times are monotonic seconds."""

    principal: Principal
    kind: str
    credential_id: uuid.UUID
    owner_id: str
    verified_at: float
    ends_at: float
    idle: float
    used_at: float
    noted_at: float


def hash_token(token: str) -> str:
    """SHA-256 in hex: tokens have 256 bits of their own, so no salt and no slow hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class CachingAuthenticator:
    """The gateway's `Authenticator`: one per worker."""

    def __init__(
        self, database: Database, changes: CredentialChanges, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._flights: dict[str, asyncio.Task[Principal | None]] = {}
        self._used: dict[tuple[str, uuid.UUID], datetime] = {}
        self._watches: set[tuple[frozenset[str], asyncio.Event]] = set()
        self._listeners: list[Callable[[], None]] = []
        self._forgotten = 0
        changes.subscribe(self._forget)

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Who the credentials stand for; an API key counts before a cookie.

        Raises:
            DatabaseUnavailableError: they are not in memory and the database does not answer.
        """
        key = self.key_of(credentials)
        if key is None:
            return None
        found = self.remembered(key)
        if found is not None:
            return found
        if self._unknown.get(key, 0.0) > self._clock():
            return None
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._load(key), name="authenticate")
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    def key_of(self, credentials: Credentials) -> str | None:
        """What a caller is remembered under; an API key counts before a cookie."""
        kind, token = "api-key", credentials.api_key
        if token is None:
            kind, token = "session", credentials.session_cookie
        if not token or len(token) > MAXIMUM_TOKEN_LENGTH:
            return None
        return f"{kind}:{hash_token(token)}"

    def remembered(self, key: str) -> Principal | None:
        """The caller when the credentials with this `key_of` are in memory, else None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        moment = self._clock()
        confirmed = max(entry.verified_at, self._changes.synced_at)
        if moment >= entry.ends_at or moment - entry.used_at >= entry.idle or moment - confirmed > UNSYNCED_SECONDS:
            del self._entries[key]
            return None
        entry.used_at = moment
        if moment - entry.noted_at >= NOTE_SECONDS:
            entry.noted_at = moment
            self._used[(entry.kind, entry.credential_id)] = now()
        return entry.principal

    async def _load(self, key: str) -> Principal | None:
        kind, _, digest = key.partition(":")
        forgotten = self._forgotten
        async with self._database.read() as session:
            loaded = await (load_session if kind == "session" else load_api_key)(session, digest)
        if forgotten != self._forgotten:
            # A change arrived while reading: the answer is true as of the read, but must not be kept.
            return loaded.principal if loaded else None
        if loaded is None:
            self._keep_unknown(key)
            return None
        self._keep(key, kind, loaded)
        return loaded.principal

    def _keep(self, key: str, kind: str, loaded: LoadedCredential) -> None:
        moment = self._clock()
        present = now()
        life = (loaded.expires_at - present).total_seconds() if loaded.expires_at else float("inf")
        idle = loaded.idle.total_seconds() if loaded.idle else float("inf")
        self._entries[key] = _Entry(
            principal=loaded.principal,
            kind=kind,
            credential_id=loaded.id,
            owner_id=loaded.owner_id,
            verified_at=moment,
            ends_at=moment + life,
            idle=idle,
            used_at=moment,
            noted_at=moment,
        )
        self._used[(kind, loaded.id)] = present
        while len(self._entries) > MAXIMUM_ENTRIES:
            self._entries.popitem(last=False)

    def _keep_unknown(self, key: str) -> None:
        self._unknown[key] = self._clock() + NEGATIVE_SECONDS
        self._unknown.move_to_end(key)
        while len(self._unknown) > MAXIMUM_ENTRIES:
            self._unknown.popitem(last=False)

    def _forget(self, change: Change) -> None:
        self._forgotten += 1
        if change.kind is None:
            self._entries.clear()
        else:
            for key in [key for key, entry in self._entries.items() if _concerns(change, entry)]:
                del self._entries[key]
        name = f"{change.kind}:{change.subject}"
        for names, event in self._watches:
            if change.kind is None or name in names:
                event.set()
        for listener in self._listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call back whenever a credential may have changed; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def watch(self, principal: Principal) -> Iterator[asyncio.Event]:
        """An event that is set when the principal's credential may have changed.

        A long-lived stream waits for it, authenticates again, and ends when that gives nobody.
        """
        names = {f"session:{principal.session_id}"} if principal.session_id else set()
        names |= {f"user:{principal.id}"} if principal.kind == "user" else {f"api-key:{principal.id}"}
        owners = {f"user:{entry.owner_id}" for entry in self._entries.values() if entry.principal is principal}
        watch = (frozenset(names | owners), asyncio.Event())
        self._watches.add(watch)
        try:
            yield watch[1]
        finally:
            self._watches.discard(watch)

    async def write_usage(self) -> None:
        """Store when credentials were last used.

        Raises:
            DatabaseUnavailableError: the database does not answer; nothing is lost.
        """
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with self._database.write() as session:
                await store_usage(session, used)
        except BaseException:
            self._used = used | self._used
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The time in which it serves; at the end loads under way are cancelled and usage is stored."""
        try:
            yield
        finally:
            flights = list(self._flights.values())
            for flight in flights:
                flight.cancel()
            await asyncio.gather(*flights, return_exceptions=True)
            with contextlib.suppress(Exception):
                await self.write_usage()


def _concerns(change: Change, entry: _Entry) -> bool:
    match change.kind:
        case "user":
            return entry.owner_id == change.subject
        case kind:
            return entry.kind == kind and str(entry.credential_id) == change.subject
