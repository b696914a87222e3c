"""What to do next about one plugin: a pure function of what is wanted, what is observed and what is remembered."""

from dataclasses import dataclass
from typing import Literal

from nimbus_sdk.contracts.snapshot import SERVING_STATES, PluginState

from nimbus_registry.lifecycle.states import ACTIVE, BROKEN, RESTING
from nimbus_registry.runtime.base import ExitStatus


@dataclass(frozen=True, slots=True)
class Desired:
    """What people want: that it runs, by which spec, and whether by a new run; `awake` unless nobody uses it.

    `held`: it is not to be started yet, because plugins that it needs do not serve. What runs goes on.
    """

    run: bool
    spec_hash: str | None = None
    restart: bool = False
    awake: bool = True
    held: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What the runtime says. `stray`: there is a second run, which an interrupted upgrade left behind."""

    phase: Literal["absent", "running", "exited"] = "absent"
    spec_hash: str | None = None
    run_id: str | None = None
    linked: bool = True
    exit: ExitStatus | None = None
    stray: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the registry remembers.

    Attributes:
        run_id: the run that became ready under the stored token.
        seen: this process has seen that run alive. After a reboot of the machine nothing was seen yet, so a run
            that is gone has not failed.
        leftovers: the engine holds pieces of an unfinished start.
    """

    state: PluginState
    run_id: str | None = None
    seen: bool = False
    retry_at: float = 0.0
    probe_at: float = 0.0
    leftovers: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Start a new run with a new token; `replace` what is there."""

    replace: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop what runs and remove all of it but the data."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Stop what runs until somebody asks for it."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop what runs and keep what tells why it failed."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove the second run, which nobody needs."""


@dataclass(frozen=True, slots=True)
class Link:
    """Make it reachable for the gateway again."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask for its health."""


@dataclass(frozen=True, slots=True)
class Fail:
    """It ended by itself; `exit` is None when nothing is left of it."""

    exit: ExitStatus | None = None


@dataclass(frozen=True, slots=True)
class Await:
    """Nothing to do before the plugins that it needs serve."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do before this monotonic time."""

    until: float


Action = Start | Stop | Sleep | Halt | Discard | Link | Probe | Fail | Await | Rest


def plan(desired: Desired, observed: Observed, standing: Standing, now: float) -> tuple[Action, ...]:
    """The actions that bring the plugin nearer to what is wanted, in order; empty when it is there."""
    actions = _plan(desired, observed, standing, now)
    starts = any(isinstance(action, Start) for action in actions)
    return (Await(),) if starts and desired.held and observed.phase != "running" else actions


def _plan(desired: Desired, observed: Observed, standing: Standing, now: float) -> tuple[Action, ...]:  # noqa: PLR0911
    if not desired.run:
        at_rest = (
            observed.phase == "absent" and not observed.stray and standing.state in RESTING and not standing.leftovers
        )
        return () if at_rest else (Stop(),)
    there = observed.phase != "absent" or observed.stray
    if not desired.awake and standing.state != "quarantined":
        asleep = not there and standing.state == "idle" and not standing.leftovers
        return () if asleep else (Sleep(),)
    if desired.restart:
        return (Start(replace=there),)
    if standing.state in BROKEN:
        if observed.phase == "running":
            return (Halt(),)
        if standing.state == "quarantined":
            return ()
        return (Rest(standing.retry_at),) if now < standing.retry_at else (Start(replace=there),)
    if observed.phase != "running":
        ended = standing.seen and standing.state in ACTIVE
        return (Fail(observed.exit),) if ended else (Start(replace=there),)
    return _about_running(desired, observed, standing, now)


def _about_running(desired: Desired, observed: Observed, standing: Standing, now: float) -> tuple[Action, ...]:
    known = observed.run_id == standing.run_id and standing.state in SERVING_STATES
    if observed.spec_hash != desired.spec_hash or not known:
        return (Start(replace=True),)
    if observed.stray:
        return (Discard(),)
    link = () if observed.linked else (Link(),)
    return (*link, Probe() if now >= standing.probe_at else Rest(standing.probe_at))
