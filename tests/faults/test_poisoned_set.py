"""Plugins that all go wrong, at boot: the product is there, and safe mode reaches it with all of them off."""

import statistics
import time
from pathlib import Path

import pytest

from tests.faults.figures import Figures
from tests.faults.site import running_site
from tests.support.api import wait_until

pytestmark = [pytest.mark.slow]

POISON: dict[str, dict[str, float]] = {
    "ends-at-once": {"crash": 3},
    "never-listens": {"listen": 3600},
    "hangs-in-health": {"health": 3600},
    "hangs-in-init": {"init": 3600},
}
REACHABLE_SECONDS = 10.0


def test_safe_mode_is_reachable_with_all_of_them_off(tmp_path: Path, figures: Figures) -> None:
    with running_site(tmp_path) as site:
        for number in range(3):
            for kind, steps in POISON.items():
                site.lay(f"{kind}-{number}", steps=steps)
        poisoned = sorted(plugin["id"] for plugin in site.api.get("/api/plugins").json()["items"])
        assert len(poisoned) == 12
        for plugin_id in poisoned:
            assert site.api.post(f"/api/plugins/{plugin_id}/enable").status_code in {202, 409}
        wait_until(lambda: site.state("ends-at-once-0") == "quarantined", seconds=90, what="quarantine", every=0.1)
        answered = []
        for _ in range(5):
            began = time.monotonic()
            assert site.api.get("/api/plugins").status_code == 200
            answered.append(time.monotonic() - began)
        assert statistics.median(answered) < 2, f"the rest answers all the while: {answered}"

        for part in ("gateway", "registry"):
            site.kill(part)
        site.variables["NIMBUS_SAFE_MODE"] = "true"
        began = time.monotonic()
        site.start("registry")
        site.start("gateway")

        def all_off() -> bool:
            items = site.api.get("/api/plugins").json()["items"]
            return {item["state"] for item in items} == {"disabled"}

        wait_until(all_off, seconds=60, what="every plugin off", every=0.05)
        took = time.monotonic() - began
        figures.add("safe mode with 12 poisoned plugins: all off", took)
        assert took < 2 * REACHABLE_SECONDS, f"{REACHABLE_SECONDS:.0f} s on a quiet machine"
        assert site.processes() == []
        items = site.api.get("/api/plugins").json()["items"]
        assert all(item["enabled"] for item in items), "what people want is left as it is"
        assert {item["reason"]["code"] for item in items} == {"safe-mode"}
