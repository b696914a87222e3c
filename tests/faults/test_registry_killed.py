"""kill -9 of the registry at each step of a plugin's life: the next registry repairs what is half done."""

import time
from collections.abc import Callable

import pytest

from tests.faults.figures import Figures, fault_runs
from tests.faults.site import EVERY, Site
from tests.support.api import wait_until

pytestmark = [pytest.mark.slow]

CONVERGED_SECONDS = 10.0
RUNS = fault_runs(5)


def at_start(site: Site, plugin_id: str) -> None:
    site.registry("POST", f"/v1/plugins/{plugin_id}/enable", json={"cause": "test"})
    site.wait_for(plugin_id, "starting", "initializing", "ready")


def at_spawn(site: Site, plugin_id: str) -> None:
    site.registry("POST", f"/v1/plugins/{plugin_id}/enable", json={"cause": "test"})
    wait_until(lambda: site.processes(plugin_id), seconds=20, what="its process", every=EVERY)


def at_health(site: Site, plugin_id: str) -> None:
    site.steps(plugin_id, listen=0.6)
    at_spawn(site, plugin_id)
    wait_until(lambda: site.state(plugin_id) == "starting", seconds=5, what="its health check", every=EVERY)


def at_init(site: Site, plugin_id: str) -> None:
    site.steps(plugin_id, init=0.6)
    site.registry("POST", f"/v1/plugins/{plugin_id}/enable", json={"cause": "test"})
    site.wait_for(plugin_id, "initializing")


def at_route(site: Site, plugin_id: str) -> None:
    site.registry("POST", f"/v1/plugins/{plugin_id}/enable", json={"cause": "test"})
    site.wait_for(plugin_id, "ready")


STARTS: dict[str, Callable[[Site, str], None]] = {
    "start asked": at_start,
    "process started": at_spawn,
    "health check": at_health,
    "init hook": at_init,
    "route switched": at_route,
}


def restart_and_time(site: Site, converged: Callable[[], bool]) -> float:
    """Kill the registry, start another, and tell how long it took from its start until all was as it should be."""
    site.kill("registry")
    began = site.start("registry")
    serving = time.monotonic()
    wait_until(converged, seconds=30, what="what is wanted to be so", every=0.02)
    assert time.monotonic() - serving < CONVERGED_SECONDS
    return time.monotonic() - began


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("step", STARTS)
def test_at_a_step_of_the_start(site: Site, figures: Figures, step: str, run: int) -> None:
    plugin_id = f"start-{list(STARTS).index(step)}-{run}"
    site.lay(plugin_id)
    STARTS[step](site, plugin_id)
    took = restart_and_time(
        site, lambda: site.state(plugin_id) == "ready" and site.answer(plugin_id) == (200, "1.0.0")
    )
    figures.add(f"registry killed at: {step}", took)
    assert len(site.processes(plugin_id)) == 1, "exactly one run"
    site.api.disable(plugin_id)
    assert site.processes(plugin_id) == []


@pytest.mark.parametrize("run", range(RUNS))
def test_while_a_new_version_replaces_the_old(site: Site, figures: Figures, run: int) -> None:
    plugin_id = f"upgrade-{run}"
    site.lay(plugin_id)
    site.api.enable(plugin_id)
    site.lay(plugin_id, version="2.0.0", steps={"stop": 0.3, "listen": 0.3})
    wait_until(
        lambda: "upgrade to 2.0.0" in (site.registry("GET", f"/v1/plugins/{plugin_id}").json().get("progress") or ""),
        seconds=10,
        what="the replacement",
        every=EVERY,
    )
    took = restart_and_time(site, lambda: site.answer(plugin_id) == (200, "2.0.0"))
    figures.add("registry killed at: upgrade", took)
    assert len(site.processes(plugin_id)) == 1
    site.api.disable(plugin_id)


@pytest.mark.parametrize("run", range(RUNS))
def test_while_it_is_stopped(site: Site, figures: Figures, run: int) -> None:
    plugin_id = f"remove-{run}"
    site.lay(plugin_id, steps={"stop": 0.5})
    site.api.enable(plugin_id)
    site.registry("POST", f"/v1/plugins/{plugin_id}/disable", json={"cause": "test"})
    site.wait_for(plugin_id, "stopping", "disabled")
    took = restart_and_time(site, lambda: site.state(plugin_id) == "disabled" and not site.processes(plugin_id))
    figures.add("registry killed at: remove", took)
    wait_until(
        lambda: site.answer(plugin_id)[0] == 404, seconds=CONVERGED_SECONDS, what="no stale route", every=EVERY
    )
