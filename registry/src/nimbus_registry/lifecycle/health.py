"""What a health probe of a running plugin means: a pure judgement of the answer and what came before."""

from dataclasses import dataclass
from typing import Literal

from nimbus_sdk.contracts.control import ProbeResult
from nimbus_sdk.contracts.snapshot import Reason

from nimbus_registry.lifecycle import reasons

INTERVAL_SECONDS = 5.0
TIMEOUT_SECONDS = 2.0
GIVE_UP_AFTER = 3
"""Failures in a row after which a plugin is started again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a probe. `failed` means that the plugin is to be started again."""

    state: Literal["ready", "degraded", "failed"]
    misses: int
    reason: Reason | None = None


def judge(result: ProbeResult, misses: int) -> Verdict:
    """The verdict on an answer after `misses` failures in a row."""
    if result.ok:
        if result.health is not None and result.health.status == "degraded":
            return Verdict("degraded", 0, reasons.degraded(result.health))
        return Verdict("ready", 0)
    misses += 1
    given_up = misses >= GIVE_UP_AFTER
    state: Literal["degraded", "failed"] = "failed" if given_up else "degraded"
    return Verdict(state, misses, reasons.unhealthy(result, misses, given_up=given_up))
