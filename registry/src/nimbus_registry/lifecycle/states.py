"""The states of a plugin and which may follow which."""

from nimbus_sdk.contracts.snapshot import SERVING_STATES, PluginState

PREPARING: frozenset[PluginState] = frozenset({"building", "pulling", "starting", "initializing"})
"""A start is under way."""

ACTIVE: frozenset[PluginState] = PREPARING | SERVING_STATES
"""A run is there or about to be."""

RESTING: frozenset[PluginState] = frozenset({"disabled", "invalid"})
"""Nothing runs and nothing is wanted to."""

BROKEN: frozenset[PluginState] = frozenset({"failed", "backoff", "quarantined"})
"""The last start or run failed."""

_FOLLOWS: dict[PluginState, frozenset[PluginState]] = {
    "invalid": frozenset({"disabled", "starting"}),
    "disabled": frozenset({"starting", "invalid"}),
    "building": frozenset({"pulling", "starting", "initializing", "failed"}),
    "pulling": frozenset({"building", "starting", "initializing", "failed"}),
    "starting": frozenset({"building", "pulling", "initializing", "failed"}),
    "initializing": frozenset({"ready", "degraded", "starting", "failed"}),
    "ready": frozenset({"degraded", "starting", "failed"}),
    "degraded": frozenset({"ready", "starting", "failed"}),
    "stopping": frozenset({"disabled", "invalid", "starting", "idle"}),
    "idle": frozenset({"starting", "invalid"}),
    "failed": frozenset({"backoff", "quarantined", "starting"}),
    "backoff": frozenset({"starting", "quarantined"}),
    "quarantined": frozenset({"starting"}),
}


def may_follow(before: PluginState, after: PluginState) -> bool:
    """Whether a plugin may go from one state to another. Every state may go to `stopping`."""
    return after in _FOLLOWS[before] or (after == "stopping" and before != "stopping")


def require_transition(before: PluginState, after: PluginState) -> None:
    """Refuse a transition that the lifecycle does not have.

    Raises:
        ValueError: a programming error; the message names both states.
    """
    if not may_follow(before, after):
        raise ValueError(f"a plugin does not go from {before} to {after}")
