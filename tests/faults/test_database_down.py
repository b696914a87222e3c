"""Postgres goes away under both services: what is cached goes on, writes say so, nothing acknowledged is lost."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.cable import Cable, plugged_in
from tests.faults.figures import Figures
from tests.faults.site import Site, running_site
from tests.support.api import wait_until
from tests.support.postgres import temporary_database

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DOWN_SECONDS = 60.0 if os.environ.get("FAULT_RUNS") else 6.0
BACK_SECONDS = 5.0


@pytest.fixture
def cut_off_site(tmp_path: Path) -> Iterator[tuple[Site, Cable]]:
    """A site on Postgres, and the cable to it."""
    with ExitStack() as stack:
        urls = {name: stack.enter_context(temporary_database(f"nimbus_{name}")) for name in ("registry", "gateway")}
        server = urlsplit(urls["registry"])
        assert server.hostname is not None
        cable = stack.enter_context(plugged_in(server.hostname, server.port or 5432))
        near = {
            f"NIMBUS_{name.upper()}_DATABASE_URL": url.replace(f":{server.port}/", f":{cable.port}/")
            for name, url in urls.items()
        }
        site = stack.enter_context(running_site(tmp_path, **near))
        yield site, cable


def test_for_a_while(cut_off_site: tuple[Site, Cable], figures: Figures) -> None:
    site, cable = cut_off_site
    for plugin_id in ("serving", "waiting"):
        site.lay(plugin_id)
    site.api.enable("serving")
    created = site.api.post("/api/media", json={"kind": "movie", "title": "Before"})
    assert created.status_code == 201
    acknowledged = {created.json()["id"]}

    cable.cut()
    began, refused = time.monotonic(), 0
    while time.monotonic() - began < DOWN_SECONDS:
        assert site.answer("serving") == (200, "1.0.0"), "cached routes keep serving"
        answer = site.api.post("/api/media", json={"kind": "movie", "title": "Meanwhile"})
        if answer.status_code == 201:
            acknowledged.add(answer.json()["id"])
        else:
            refused += 1
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/database-unavailable")
            assert int(answer.headers["retry-after"]) > 0
        asked = site.registry("POST", "/v1/plugins/waiting/enable", json={"cause": "test"})
        assert asked.status_code == 503
        assert int(asked.headers["retry-after"]) > 0
    assert refused > 0
    assert site.state("serving") == "ready"

    cable.mend()
    back = time.monotonic()

    def writes_again() -> bool:
        answer = site.api.post("/api/media", json={"kind": "movie", "title": "After"})
        if answer.status_code == 201:
            acknowledged.add(answer.json()["id"])
        return answer.status_code == 201

    wait_until(writes_again, seconds=20, what="writes to work again", every=0.05)
    figures.add("database back: writes again", time.monotonic() - back)
    wait_until(
        lambda: site.registry("POST", "/v1/plugins/waiting/enable", json={"cause": "test"}).status_code < 300,
        seconds=20,
        what="the registry to take wishes again",
        every=0.05,
    )
    figures.add("database back: wishes again", time.monotonic() - back)
    assert time.monotonic() - back < 2 * BACK_SECONDS, f"{BACK_SECONDS:.0f} s on a quiet machine"
    kept = {item["id"] for item in site.api.get("/api/media", params={"limit": 200}).json()["items"]}
    assert acknowledged <= kept, "no acknowledged write is lost"
    wait_until(lambda: site.answer("waiting")[0] == 200, seconds=20, what="the other plugin", every=0.05)
    assert len(site.processes("serving")) == 1


def test_a_plugin_that_crashes_meanwhile_is_mended_and_its_history_kept(cut_off_site: tuple[Site, Cable]) -> None:
    """The registry acts from memory; what happened is written when the database is back."""
    site, cable = cut_off_site
    site.lay("fragile")
    site.api.enable("fragile")
    cable.cut()
    for process in site.processes("fragile"):
        process.kill()
    wait_until(lambda: site.state("fragile") != "ready", seconds=10, what="the end to be seen", every=0.02)
    wait_until(lambda: site.answer("fragile") == (200, "1.0.0"), seconds=15, what="another run", every=0.05)
    cable.mend()

    def history() -> list[str]:
        answer = site.registry("GET", "/v1/plugins/fragile/transitions", params={"limit": 100})
        return [item["toState"] for item in answer.json()["items"]] if answer.status_code == 200 else []

    wait_until(lambda: "failed" in history(), seconds=20, what="the history", every=0.1)
    assert history()[-1] == "ready"
