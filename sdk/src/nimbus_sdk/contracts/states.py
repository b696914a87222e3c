"""The states of a plugin."""

from typing import Literal

PluginState = Literal[
    "invalid",
    "disabled",
    "building",
    "pulling",
    "starting",
    "initializing",
    "ready",
    "degraded",
    "stopping",
    "failed",
    "backoff",
    "quarantined",
    "idle",
]
"""Where a plugin stands. `idle` sleeps until the next request (`activation: on-demand`).

`failed` is short: `backoff` or, after too many failures, `quarantined` follows.
"""

SERVING_STATES: frozenset[PluginState] = frozenset({"ready", "degraded"})
