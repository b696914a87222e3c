"""Who calls: what a plugin knows about the one behind a request."""

from dataclasses import dataclass, field
from typing import Literal

from nimbus_sdk.contracts.identity import PLATFORM_SUBJECT, IdentityClaims
from nimbus_sdk.contracts.manifest import Route

Kind = Literal["user", "api-key", "plugin", "platform"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever is behind a request, as a verified identity token says.

    Attributes:
        kind: a person, an API key, another plugin, or Nimbus itself.
        id: id of the user, the API key or the plugin.
        name: for display.
        role: `admin` or `user` for people and API keys.
        scopes: what an API key or plugin may do.
    """

    kind: Kind
    id: str
    name: str | None = None
    role: str = "user"
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_admin(self) -> bool:
        """Whether the caller administers this Nimbus."""
        return self.role == "admin"


@dataclass(frozen=True, slots=True)
class User(Caller):
    """The person who is signed in. As a handler's parameter it is that person, or the answer is 401."""


def caller_of(claims: IdentityClaims) -> Caller:
    """The caller that verified claims stand for."""
    subject = claims.sub
    scopes = frozenset(claims.scopes)
    if subject == PLATFORM_SUBJECT and claims.role == "platform":
        return Caller("platform", PLATFORM_SUBJECT, claims.name, claims.role, scopes)
    kind, _, rest = subject.partition(":")
    if kind == "key" and rest:
        return Caller("api-key", rest, claims.name, claims.role, scopes)
    if kind == "plugin" and rest:
        return Caller("plugin", rest, claims.name, claims.role, scopes)
    if kind == "user" and rest:
        subject = rest
    return User("user", subject, claims.name, claims.role, scopes)


def refusal(route: Route, caller: Caller | None) -> tuple[int, str] | None:
    """Why `caller` may not use `route`, as status and sentence; None when it may. Pure."""
    if route.auth == "none":
        return None
    if caller is None:
        return 401, "Sign in to use this."
    if route.auth == "session" and caller.kind == "api-key":
        return 403, "This needs a signed-in user; an API key does not do."
    if route.role == "admin" and not caller.is_admin:
        return 403, "This is for administrators."
    # A plugin's permission to call this one stands for the route's scopes; the gateway has checked it.
    scoped = caller.kind not in {"user", "plugin"}
    missing = sorted(set(route.scopes) - caller.scopes) if scoped else []
    if missing and "*" not in caller.scopes:
        return 403, f"The caller lacks {', '.join(missing)}."
    return None
