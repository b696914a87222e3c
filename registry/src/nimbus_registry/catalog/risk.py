"""How risky a plugin is: one pure function of plain rules. `RULES` is the table that the reference shows."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from nimbus_sdk.contracts.install import PermissionInfo, Risk, RiskFactor
from nimbus_sdk.contracts.manifest import Manifest

LIMIT: Final = 10
MEDIUM: Final = 3
HIGH: Final = 6


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at.

    Attributes:
        manifest: what the plugin says of itself.
        asked: the permissions that count.
        trusted: the operator trusts its code with the powers of whoever is signed in.
        isolated: it runs in a container of its own.
        pinned: exactly the bytes that were installed are run.
    """

    manifest: Manifest
    asked: frozenset[str]
    trusted: bool
    isolated: bool
    pinned: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table: when it applies, what it adds, and what it means."""

    code: str
    points: int
    when: str
    message: str
    applies: Callable[[Facts], bool]


def _asks(*names: str) -> Callable[[Facts], bool]:
    return lambda facts: any(name in facts.asked for name in names)


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "not-isolated", 4, "plugins run as processes",
        "It runs as an ordinary process and could read whatever the Nimbus user can.",
        lambda facts: not facts.isolated,
    ),
    Rule(
        "trusted-ui", 3, "it has pages, and the operator trusts it",
        "Its pages run in the dashboard and can do all that the signed-in user can.",
        lambda facts: facts.trusted and facts.manifest.ui is not None and facts.manifest.ui.isolation == "module",
    ),
    Rule(
        "network-egress", 2, "permission `network:egress`",
        "It reaches the internet, and could send there what it gets to see.",
        _asks("network:egress"),
    ),
    Rule(
        "media-write", 2, "permission `media:write`",
        "It changes and deletes items of the media library.",
        _asks("media:write"),
    ),
    Rule(
        "downloads-write", 1, "permission `downloads:*` or `downloads:write`",
        "It starts and ends downloads.",
        _asks("downloads:*", "downloads:write"),
    ),
    Rule(
        "calls-plugins", 1, "a permission `plugins:call:<id>`",
        "It calls other plugins.",
        lambda facts: any(name.startswith("plugins:call:") for name in facts.asked),
    ),
    Rule(
        "hears-of-people", 1, "permission `users:read`",
        "It hears who gets, changes or loses an account here.",
        _asks("users:read"),
    ),
    Rule(
        "public-routes", 1, "a route with `auth: none`",
        "Some of its routes answer anybody who reaches this Nimbus.",
        lambda facts: any(route.auth == "none" for route in facts.manifest.routes),
    ),
    Rule(
        "not-pinned", 1, "its image is not pinned to a digest",
        "What its image's name stands for can change without an upgrade.",
        lambda facts: facts.isolated and not facts.pinned,
    ),
    Rule(
        "reads-media-and-sends", 1, "permissions `media:read` and `network:egress` together",
        "It sees the media library and reaches the internet.",
        lambda facts: {"media:read", "network:egress"} <= facts.asked,
    ),
)  # fmt: skip

_DESCRIPTIONS: Final = {
    "media:read": "See all items of the media library.",
    "media:write": "Add, change and delete items of the media library.",
    "downloads:*": "See, start and end downloads.",
    "downloads:read": "See downloads.",
    "downloads:write": "Start and end downloads.",
    "events:publish": "Publish events that other plugins and the dashboard get.",
    "plugins:read": "Hear of every change of every plugin's state, with its reason and who caused it.",
    "users:read": "Hear of every account that is made, changed or deleted, with its name and role.",
    "network:egress": "Reach the internet and the networks that this machine reaches.",
}


def rate(facts: Facts) -> Risk:
    """The sum of the rules that apply, at most ten."""
    found = [
        RiskFactor(code=rule.code, points=rule.points, message=rule.message) for rule in RULES if rule.applies(facts)
    ]
    score = min(LIMIT, sum(factor.points for factor in found))
    level = "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"
    return Risk(score=score, level=level, factors=sorted(found, key=lambda factor: -factor.points))


def describe(manifest: Manifest, grants: Collection[str]) -> list[PermissionInfo]:
    """The permissions that a manifest asks for, as a person is asked about them."""
    return [
        PermissionInfo(name=name, description=_sentence(name), granted=name in grants, points=_points(manifest, name))
        for name in manifest.permissions
    ]


def _sentence(name: str) -> str:
    if name.startswith("plugins:call:"):
        return f"Call the plugin {name.removeprefix('plugins:call:')}."
    return _DESCRIPTIONS.get(name, "This Nimbus does not know it; granting it has no effect.")


def _points(manifest: Manifest, name: str) -> int:
    """What one permission alone adds."""
    bare = manifest.model_copy(update={"routes": [], "ui": None})
    facts = Facts(bare, frozenset({name}), trusted=False, isolated=True, pinned=True)
    return sum(rule.points for rule in RULES if rule.applies(facts))
