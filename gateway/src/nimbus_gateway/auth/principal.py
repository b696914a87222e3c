"""Who calls, once it is known, and what the proxy needs of whoever finds it out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

SESSION_COOKIE = "nimbus_session"
"""Name of the session cookie on http."""

SECURE_SESSION_COOKIE = "__Host-nimbus_session"
"""Name of the session cookie on https: a browser takes it only from this host, over TLS (RFC 6265bis)."""

API_KEY_PREFIX = "nbk_"
"""What every API key starts with, so that it is told from other bearer tokens."""

Kind = Literal["user", "api-key", "plugin"]
CallerRole = Literal["admin", "user", "plugin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Attributes:
        kind: what the credential was.
        id: id of the user, the API key or the plugin.
        name: for display.
        role: what it may do in general; `admin` may do everything a `user` may.
        scopes: what an API key is limited to; empty for a session.
        session_id: the session that it stands for, when there is one.
    """

    kind: Kind
    id: str
    name: str
    role: CallerRole
    scopes: frozenset[str] = frozenset()
    session_id: str | None = None

    def __hash__(self) -> int:
        """Principals are looked up for each request: the id tells them apart well enough."""
        return hash(self.id)

    @property
    def subject(self) -> str:
        """`sub` of the identity token: the user's id, ``key:<id>`` or ``plugin:<id>``."""
        if self.kind == "user":
            return self.id
        return f"key:{self.id}" if self.kind == "api-key" else f"plugin:{self.id}"


class Credentials(NamedTuple):
    """What a request brought along, not yet checked."""

    session_cookie: str | None = None
    api_key: str | None = None


class Authenticator(Protocol):
    """Finds out who a request's credentials belong to.

    A hit in its cache returns without awaiting anything. With both credentials given the API key decides.
    """

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """The caller, or None when the credentials are not valid (any more).

        Raises:
            DatabaseUnavailableError: it is not in the cache and cannot be looked up now.
        """
        ...

    def key_of(self, credentials: Credentials) -> str | None:
        """What their caller is remembered under; None when they cannot be valid."""
        ...

    def remembered(self, key: str) -> Principal | None:
        """The caller when the credentials with this `key_of` are in the cache, else `authenticate` finds out."""
        ...

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call back, on the event loop, whenever a credential may have changed; the result ends it."""
        ...
