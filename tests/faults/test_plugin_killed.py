"""kill -9 of a plugin at each step of its life, and how soon a crash is seen and mended."""

import itertools
import time
from collections.abc import Callable
from statistics import median

import httpx
import pytest

from tests.faults.figures import Figures, fault_runs
from tests.faults.site import EVERY, Site
from tests.support.api import wait_until

pytestmark = [pytest.mark.slow]

CONVERGED_SECONDS = 10.0
RUNS = fault_runs(5)
CRASHES = max(3, fault_runs(3))


def kill(site: Site, plugin_id: str) -> set[int]:
    """Kill its one process; which that was."""
    [process] = wait_until(lambda: site.processes(plugin_id), seconds=20, what="its process", every=EVERY)
    process.kill()
    return {process.pid}


def when_spawned(site: Site, plugin_id: str) -> None:
    wait_until(lambda: site.processes(plugin_id), seconds=20, what="its process", every=EVERY)


def when_initializing(site: Site, plugin_id: str) -> None:
    site.wait_for(plugin_id, "initializing")


def when_ready(site: Site, plugin_id: str) -> None:
    site.wait_for(plugin_id, "ready")


STEPS: dict[str, tuple[dict[str, float], Callable[[Site, str], None]]] = {
    "start": ({"listen": 0.5}, when_spawned),
    "init": ({"init": 0.5}, when_initializing),
    "ready": ({}, when_ready),
}


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("step", STEPS)
def test_at_a_step(site: Site, figures: Figures, step: str, run: int) -> None:
    plugin_id = f"killed-{step}-{run}"
    slow, until = STEPS[step]
    site.lay(plugin_id, steps=slow)
    site.registry("POST", f"/v1/plugins/{plugin_id}/enable", json={"cause": "test"})
    until(site, plugin_id)
    site.steps(plugin_id)
    killed = kill(site, plugin_id)
    began = time.monotonic()

    def mended() -> bool:
        found = {process.pid for process in site.processes(plugin_id)}
        return bool(found - killed) and site.answer(plugin_id) == (200, "1.0.0")

    wait_until(mended, seconds=20, what="another run", every=0.02)
    figures.add(f"plugin killed at: {step}", time.monotonic() - began)
    assert time.monotonic() - began < CONVERGED_SECONDS
    assert len(site.processes(plugin_id)) == 1
    history = site.registry("GET", f"/v1/plugins/{plugin_id}/transitions", params={"limit": 100}).json()["items"]
    failure = next(item for item in history if item["toState"] == "failed")
    assert "SIGKILL" in failure["reason"]["message"]
    site.api.disable(plugin_id)


@pytest.mark.parametrize("run", range(RUNS))
def test_while_it_is_stopped(site: Site, run: int) -> None:
    plugin_id = f"killed-stop-{run}"
    site.lay(plugin_id, steps={"stop": 3})
    site.api.enable(plugin_id)
    site.registry("POST", f"/v1/plugins/{plugin_id}/disable", json={"cause": "test"})
    site.wait_for(plugin_id, "stopping")
    kill(site, plugin_id)
    site.wait_for(plugin_id, "disabled", seconds=10)
    history = site.registry("GET", f"/v1/plugins/{plugin_id}/transitions", params={"limit": 100}).json()["items"]
    assert "failed" not in {item["toState"] for item in history}, "an end that was asked for is no failure"


def test_a_crash_is_seen_at_once_and_hurts_nobody_else(site: Site, figures: Figures) -> None:
    """Seen within a second, serving again within two, the first pause of the backoff included."""
    site.lay("bystander")
    site.api.enable("bystander")
    for number in range(CRASHES):
        plugin_id = f"crash-{number}"
        site.lay(plugin_id)
        site.api.enable(plugin_id)
        kill(site, plugin_id)
        began = time.monotonic()
        seen = None
        for _ in itertools.count():
            status, _version = site.answer(plugin_id)
            assert site.answer("bystander") == (200, "1.0.0")
            now = time.monotonic() - began
            assert now < 20
            if seen is None and site.state(plugin_id) not in {"ready", "degraded"}:
                seen = now
            if seen is not None and status == httpx.codes.OK:
                break
        figures.add("plugin crash seen", seen)
        figures.add("plugin crash mended", now)
        site.api.disable(plugin_id)
    # Medians, because a busy machine delays now and then; the figures have the p95.
    assert median(figures.seconds["plugin crash seen"]) < 1.0
    assert median(figures.seconds["plugin crash mended"]) < 4.0, "two seconds on a quiet machine"


def test_quarantine_after_five_failures_until_a_person_says_so(site: Site) -> None:
    site.lay("hopeless", steps={"crash": 7})
    site.registry("POST", "/v1/plugins/hopeless/enable", json={"cause": "test"})
    plugin = site.api.wait_for_state("hopeless", "quarantined", seconds=60)
    assert plugin["enabled"] is True
    assert "exit code 7" in plugin["reason"]["message"]
    assert plugin["reason"]["logTail"][-1] == "started 1.0.0"
    assert site.processes("hopeless") == []
    site.steps("hopeless")
    assert site.api.post("/api/admin/plugins/hopeless/restart", params={"wait": 20}).status_code == 200
    assert site.answer("hopeless") == (200, "1.0.0")
    site.api.disable("hopeless")
