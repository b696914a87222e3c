"""The plan from any pair of states, and through every order of events: it converges, by one run of each plugin."""

from dataclasses import replace
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from nimbus_registry.lifecycle.plan import Await, Desired, Observed, Probe, Rest, Start
from nimbus_registry.lifecycle.states import BROKEN
from nimbus_registry.runtime.base import ExitStatus
from nimbus_sdk.contracts.snapshot import PluginState

from tests.registry.test_plan import Model

STEPS_TO_CONVERGE = 8
"""From anything to what is wanted, when nothing fails on the way."""

HASHES = st.sampled_from(["a", "b"])
RUN_IDS = st.sampled_from(["mine", "another"])
DESIRED = st.builds(Desired, run=st.booleans(), spec_hash=HASHES, restart=st.booleans(), held=st.booleans())
OBSERVED = st.one_of(
    st.just(Observed()),
    st.builds(Observed, st.just("running"), HASHES, RUN_IDS, st.booleans()),
    st.builds(
        Observed, st.just("exited"), HASHES, RUN_IDS, st.booleans(), st.builds(ExitStatus, code=st.integers(0, 3))
    ),
)
STATES: st.SearchStrategy[PluginState] = st.sampled_from(get_args(PluginState))


def converge(model: Model, steps: int = STEPS_TO_CONVERGE) -> None:
    """Let it act until it rests; quarantine needs a person, who comes."""
    for _ in range(steps):
        if model.desired.run and model.state == "quarantined":
            model.person("enable")
        model.now = max(model.now, model.retry_at)
        model.step()


def assert_as_wanted(model: Model) -> None:
    if model.desired.run and model.desired.held and model.run.phase != "running":
        assert model.state == "starting"
        assert model.step() == (Await(),)
    elif model.desired.run:
        assert model.state == "ready"
        assert (model.run.phase, model.run.spec_hash, model.run.linked) == ("running", model.desired.spec_hash, True)
        assert all(isinstance(action, Rest | Probe) for action in model.step())
    else:
        assert (model.run.phase, model.leftovers) == ("absent", False)
        assert model.step() == ()


@given(desired=DESIRED, observed=OBSERVED, state=STATES, run_id=RUN_IDS, seen=st.booleans(), leftovers=st.booleans())
@settings(max_examples=600, deadline=None)
def test_from_any_pair_of_states(
    *, desired: Desired, observed: Observed, state: PluginState, run_id: str, seen: bool, leftovers: bool
) -> None:
    model = Model(
        desired=replace(desired, restart=desired.restart and desired.run),
        run=observed,
        state=state,
        run_id=run_id,
        seen=seen,
        leftovers=leftovers,
    )
    converge(model)
    assert_as_wanted(model)
    model.person("release")
    converge(model)
    assert_as_wanted(model)


class Machine(RuleBasedStateMachine):
    """Two plugins side by side. That nothing foreign is touched is the runtimes' part, and tested there."""

    def __init__(self) -> None:
        super().__init__()
        self.plugins = {name: Model() for name in ("one", "other")}

    names = st.sampled_from(["one", "other"])

    @initialize(observed=OBSERVED, state=STATES)
    def begin_anywhere(self, observed: Observed, state: PluginState) -> None:
        self.plugins["one"] = Model(run=observed, state=state, run_id=observed.run_id)

    @rule(
        name=names,
        event=st.sampled_from(
            ["enable", "disable", "restart", "edit", "crash", "vanish", "unlink", "hold", "release", "wait"]
        ),
    )
    def something_happens(self, name: str, event: str) -> None:
        self.plugins[name].person(event)

    @rule()
    def the_registry_is_killed(self) -> None:
        for model in self.plugins.values():
            model.person("registry killed")

    @rule(name=names, broken=st.booleans())
    def it_cannot_start_for_a_while(self, name: str, broken: bool) -> None:
        self.plugins[name].person("break" if broken else "mend")

    @rule(name=names)
    def the_registry_acts(self, name: str) -> None:
        other = next(model for key, model in self.plugins.items() if key != name)
        before = replace(other)
        actions = self.plugins[name].step()
        assert sum(isinstance(action, Start) for action in actions) <= 1, "one start at a time"
        assert (other.run, other.state) == (before.run, before.state), "the other plugin is left alone"

    @precondition(lambda self: all(not model.fails_to_start for model in self.plugins.values()))
    @rule()
    def left_alone_it_converges(self) -> None:
        for model in self.plugins.values():
            converge(model)
            assert_as_wanted(model)

    @invariant()
    def what_is_given_up_does_not_run_on(self) -> None:
        for model in self.plugins.values():
            if model.state in BROKEN and model.run.phase == "running":
                assert model.step() != (), "it is halted next"


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestMachine = Machine.TestCase
