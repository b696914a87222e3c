"""The plan: a table of cases, and properties over every sequence of events."""

import itertools
from dataclasses import dataclass, field, replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nimbus_registry.lifecycle import backoff
from nimbus_registry.lifecycle.plan import (
    Action,
    Await,
    Desired,
    Fail,
    Halt,
    Link,
    Observed,
    Probe,
    Rest,
    Sleep,
    Standing,
    Start,
    Stop,
    plan,
)
from nimbus_registry.lifecycle.states import ACTIVE, BROKEN, PREPARING, RESTING, may_follow, require_transition
from nimbus_registry.runtime.base import ExitStatus
from nimbus_sdk.contracts.snapshot import SERVING_STATES, PluginState

NOW = 100.0
WANTED = Desired(run=True, spec_hash="a")
UNWANTED = Desired(run=False, spec_hash="a")
ABSENT = Observed()
RUNNING = Observed("running", "a", "run-1")
EXITED = Observed("exited", "a", "run-1", exit=ExitStatus(code=1))
READY = Standing("ready", "run-1", seen=True, probe_at=NOW + 5)

CASES = {
    "disabled and absent is done": (UNWANTED, ABSENT, Standing("disabled"), ()),
    "invalid and absent is done": (UNWANTED, ABSENT, Standing("invalid"), ()),
    "disabled but running is stopped": (UNWANTED, RUNNING, READY, (Stop(),)),
    "disabled with an exited run is cleaned": (UNWANTED, EXITED, Standing("disabled"), (Stop(),)),
    "disabled with leftovers is cleaned": (UNWANTED, ABSENT, Standing("disabled", leftovers=True), (Stop(),)),
    "a start that was cut off is cleaned": (UNWANTED, ABSENT, Standing("building"), (Stop(),)),
    "wanted and absent is started": (WANTED, ABSENT, Standing("disabled"), (Start(),)),
    "a fixed manifest is started": (WANTED, ABSENT, Standing("invalid"), (Start(),)),
    "running as wanted rests": (WANTED, RUNNING, READY, (Rest(NOW + 5),)),
    "a due probe is made": (WANTED, RUNNING, replace(READY, probe_at=NOW), (Probe(),)),
    "unlinked is linked first": (WANTED, replace(RUNNING, linked=False), READY, (Link(), Rest(NOW + 5))),
    "another spec is replaced": (WANTED, replace(RUNNING, spec_hash="b"), READY, (Start(replace=True),)),
    "an unknown run is replaced": (WANTED, replace(RUNNING, run_id="x"), READY, (Start(replace=True),)),
    "a run that was never ready is replaced": (WANTED, RUNNING, Standing("starting"), (Start(replace=True),)),
    "a wished restart replaces": (replace(WANTED, restart=True), RUNNING, READY, (Start(replace=True),)),
    "a wished restart after quarantine": (replace(WANTED, restart=True), ABSENT, Standing("quarantined"), (Start(),)),
    "what it needs comes first": (replace(WANTED, held=True), ABSENT, Standing("disabled"), (Await(),)),
    "what runs goes on without what it needs": (replace(WANTED, held=True), RUNNING, READY, (Rest(NOW + 5),)),
    "another spec does not wait": (
        replace(WANTED, held=True),
        replace(RUNNING, spec_hash="b"),
        READY,
        (Start(replace=True),),
    ),
    "an end is noted before it waits": (replace(WANTED, held=True), EXITED, READY, (Fail(ExitStatus(code=1)),)),
    "backoff comes before waiting": (
        replace(WANTED, held=True),
        ABSENT,
        Standing("backoff", retry_at=NOW + 2),
        (Rest(NOW + 2),),
    ),
    "what is off waits for nothing": (replace(UNWANTED, held=True), ABSENT, Standing("disabled"), ()),
    "an end by itself is a failure": (WANTED, EXITED, READY, (Fail(ExitStatus(code=1)),)),
    "being gone is a failure": (WANTED, ABSENT, READY, (Fail(None),)),
    "gone after a reboot is no failure": (WANTED, ABSENT, replace(READY, seen=False), (Start(),)),
    "ended after a reboot is no failure": (WANTED, EXITED, replace(READY, seen=False), (Start(replace=True),)),
    "adopted after a restart of the registry": (WANTED, RUNNING, replace(READY, seen=False, probe_at=0), (Probe(),)),
    "backoff waits": (WANTED, EXITED, Standing("backoff", retry_at=NOW + 2), (Rest(NOW + 2),)),
    "backoff ends": (WANTED, EXITED, Standing("backoff", retry_at=NOW), (Start(replace=True),)),
    "backoff halts what still runs": (WANTED, RUNNING, Standing("backoff", retry_at=NOW + 2), (Halt(),)),
    "asleep is done": (replace(WANTED, awake=False), ABSENT, Standing("idle"), ()),
    "nobody uses it": (replace(WANTED, awake=False), RUNNING, READY, (Sleep(),)),
    "asleep but running is stopped": (replace(WANTED, awake=False), RUNNING, Standing("idle"), (Sleep(),)),
    "asleep with leftovers is cleaned": (
        replace(WANTED, awake=False),
        ABSENT,
        Standing("idle", leftovers=True),
        (Sleep(),),
    ),
    "woken is started": (WANTED, ABSENT, Standing("idle"), (Start(),)),
    "asleep and disabled is stopped": (UNWANTED, ABSENT, Standing("idle"), (Stop(),)),
    "quarantine does not sleep": (replace(WANTED, awake=False), EXITED, Standing("quarantined"), ()),
    "quarantine rests": (WANTED, EXITED, Standing("quarantined"), ()),
    "quarantine halts what still runs": (WANTED, RUNNING, Standing("quarantined"), (Halt(),)),
}


@pytest.mark.parametrize("name", CASES)
def test_plan(name: str) -> None:
    desired, observed, standing, expected = CASES[name]
    assert plan(desired, observed, standing, NOW) == expected


def test_every_state_has_a_way_to_rest_and_back() -> None:
    states: tuple[PluginState, ...] = get_args(PluginState)
    assert ACTIVE == PREPARING | SERVING_STATES
    assert set(states) == ACTIVE | RESTING | BROKEN | {"stopping", "idle"}
    for state in states:
        assert state == "stopping" or may_follow(state, "stopping")
        reachable, frontier = {state}, {state}
        while frontier:
            frontier = {after for before in frontier for after in states if may_follow(before, after)} - reachable
            reachable |= frontier
        assert {"disabled", "ready"} <= reachable
    with pytest.raises(ValueError, match="from disabled to ready"):
        require_transition("disabled", "ready")


@dataclass
class Model:
    """An engine and a registry's memory, reduced to what the plan sees."""

    desired: Desired = UNWANTED
    run: Observed = ABSENT
    state: PluginState = "disabled"
    run_id: str | None = None
    seen: bool = False
    failures: int = 0
    leftovers: bool = False
    fails_to_start: bool = False
    now: float = 0.0
    retry_at: float = 0.0
    probe_at: float = 0.0
    numbers: itertools.count = field(default_factory=itertools.count)  # type: ignore[type-arg]

    def step(self) -> tuple[Action, ...]:
        standing = Standing(self.state, self.run_id, self.seen, self.retry_at, self.probe_at, self.leftovers)
        if self.state in SERVING_STATES and self.run.phase == "running" and self.run.run_id == self.run_id:
            standing = replace(standing, seen=True)
            self.seen = True
        actions = plan(self.desired, self.run, standing, self.now)
        for action in actions:
            self.apply(action)
        return actions

    def apply(self, action: Action) -> None:
        if isinstance(action, Start):
            assert self.run.phase == "absent" or action.replace, "two runs at once"
            assert self.desired.run, "nobody wants it"
            assert not self.desired.held or self.run.phase == "running", "what it needs is not there"
            self.desired = replace(self.desired, restart=False)
            if self.fails_to_start:
                self.run, self.leftovers = ABSENT, True
                self.fail()
                return
            number = next(self.numbers)
            self.run = Observed("running", self.desired.spec_hash, f"run-{number}")
            self.state, self.run_id, self.seen, self.leftovers = "ready", self.run.run_id, True, False
            self.probe_at = self.now + 5
        elif isinstance(action, Await):
            assert self.desired.held, "nothing to wait for"
            assert self.run.phase != "running", "what runs goes on"
            self.state, self.run_id, self.seen = "starting", None, False
        elif isinstance(action, Stop):
            self.run, self.state, self.run_id, self.seen, self.leftovers = ABSENT, "disabled", None, False, False
        elif isinstance(action, Halt):
            self.run = replace(self.run, phase="exited")
        elif isinstance(action, Fail):
            self.fail()
        elif isinstance(action, Link):
            self.run = replace(self.run, linked=True)
        elif isinstance(action, Probe):
            self.state, self.probe_at = "ready", self.now + 5
        elif isinstance(action, Rest):
            assert action.until > self.now, "a rest that is over already"

    def fail(self) -> None:
        self.failures += 1
        self.state = "quarantined" if self.failures >= backoff.QUARANTINE_AFTER else "backoff"
        self.retry_at, self.run_id, self.seen = self.now + backoff.pause(self.failures, 0), None, False

    def person(self, event: str) -> None:  # noqa: C901 - a table of events
        if event == "enable":
            broken = self.state in BROKEN
            self.desired = replace(self.desired, run=True, restart=broken)
            self.failures = 0 if broken else self.failures
        elif event == "disable":
            self.desired = replace(self.desired, run=False, restart=False)
        elif event == "restart" and self.desired.run:
            self.desired = replace(self.desired, restart=True)
        elif event == "edit":
            self.desired = replace(self.desired, spec_hash="b" if self.desired.spec_hash == "a" else "a")
        elif event == "crash" and self.run.phase == "running":
            self.run = replace(self.run, phase="exited", exit=ExitStatus(code=1))
        elif event == "vanish":
            self.run = ABSENT
        elif event == "unlink" and self.run.phase == "running":
            self.run = replace(self.run, linked=False)
        elif event == "registry killed":
            self.seen, self.retry_at, self.probe_at = False, 0, 0
        elif event == "break":
            self.fails_to_start = True
        elif event == "mend":
            self.fails_to_start = False
        elif event in {"hold", "release"}:
            self.desired = replace(self.desired, held=event == "hold")
        elif event == "wait":
            self.now += 3


EVENTS = [
    "enable",
    "disable",
    "restart",
    "edit",
    "crash",
    "vanish",
    "unlink",
    "registry killed",
    "break",
    "mend",
    "hold",
    "release",
    "wait",
]


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 3)), max_size=30))
@settings(max_examples=400, deadline=None)
def test_whatever_happens_it_converges(events: list[tuple[str, int]]) -> None:
    model = Model()
    for event, steps in events:
        model.person(event)
        for _ in range(steps):
            model.step()
    model.person("mend")
    model.person("release")
    if model.desired.run and model.state in BROKEN:
        model.person("enable")
    for _ in range(12):
        model.now += 0.5 if model.step() else 0
        model.now = max(model.now, model.retry_at)
    if model.desired.run:
        assert model.state == "ready"
        assert (model.run.phase, model.run.spec_hash, model.run.linked) == ("running", model.desired.spec_hash, True)
        assert all(isinstance(action, Rest | Probe) for action in model.step())
    else:
        assert (model.run.phase, model.state, model.leftovers) == ("absent", "disabled", False)
        assert model.step() == ()


class TestBackoff:
    @given(st.integers(1, 50), st.floats(0, 1))
    def test_between_one_second_and_a_minute(self, failed: int, jitter: float) -> None:
        assert 0.75 <= backoff.pause(failed, jitter) <= 60
        assert backoff.pause(failed, jitter) <= backoff.pause(failed + 1, jitter) + 1e-9

    def test_five_failures_in_ten_minutes_are_too_many(self) -> None:
        assert not backoff.quarantined([0, 100, 200, 300], 301)
        assert backoff.quarantined([0, 100, 200, 300, 400], 401)
        assert not backoff.quarantined([0, 100, 200, 300, 400], 601)
