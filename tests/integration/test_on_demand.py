"""A plugin that runs on demand, in the running product: it sleeps, the first request starts it, ten start it once."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from tests.faults.site import Site, running_site
from tests.support.api import wait_until

pytestmark = [pytest.mark.slow]

WAKE_SECONDS = 1.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("on-demand")) as site:
        site.lay("sleepy")
        path = site.folder("sleepy") / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest |= {"activation": "on-demand", "idleAfter": "1s"}
        manifest["routes"].append({"path": "/private", "methods": ["GET"], "auth": "session"})
        path.write_text(json.dumps(manifest))
        assert site.api.post("/api/admin/plugins/scan").status_code == 200
        site.api.enable("sleepy")
        yield site


def fall_asleep(site: Site) -> None:
    site.wait_for("sleepy", "idle", seconds=40)
    assert site.processes("sleepy") == []
    site.api.wait_for_state("sleepy", "idle", seconds=5)


def get(site: Site, path: str) -> httpx.Response:
    return httpx.get(f"{site.url}/api/plugins/sleepy{path}", timeout=30, trust_env=False)


def test_ten_first_requests_start_it_once(site: Site) -> None:
    fall_asleep(site)
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: get(site, "/version"), range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert len({answer.json()["pid"] for answer in answers}) == 1
    assert time.monotonic() - began < 15
    history = site.registry("GET", "/v1/plugins/sleepy/transitions", params={"limit": 500}).json()["items"]
    last_sleep = max(number for number, item in enumerate(history) if item["toState"] == "idle")
    assert [item["toState"] for item in history[last_sleep + 1 :]].count("starting") == 1


def test_what_waking_adds_to_the_start(site: Site) -> None:
    """At most a second above what the plugin itself takes from its process to its port; the better of two."""
    added = []
    for _ in range(2):
        fall_asleep(site)
        asked = time.time()
        answer = get(site, "/version")
        answered = time.time()
        assert answer.status_code == 200
        began = psutil.Process(answer.json()["pid"]).create_time()
        added.append(answered - asked - (answer.json()["listening"] - began))
    assert min(added) < WAKE_SECONDS, added


def test_nobody_wakes_it_who_is_not_let_in(site: Site) -> None:
    fall_asleep(site)
    assert get(site, "/private").status_code == 401
    assert get(site, "/undeclared").status_code == 404
    assert site.state("sleepy") == "idle"
    assert site.processes("sleepy") == []
    assert site.api.get("/api/plugins/sleepy/private").status_code == 200, "who is signed in does"


def test_it_stays_up_while_it_is_used(site: Site) -> None:
    """Longer than its idle time and two reports: every request counts, on whichever way it goes."""
    assert get(site, "/version").status_code == 200
    pid = get(site, "/version").json()["pid"]
    until = time.monotonic() + 13
    with httpx.Client(base_url=site.url, trust_env=False) as client:
        while time.monotonic() < until:
            answer = client.get("/api/plugins/sleepy/version")
            assert (answer.status_code, answer.json()["pid"]) == (200, pid)
            time.sleep(0.3)  # the pace of somebody who uses it


def test_one_that_does_not_start_is_told(site: Site) -> None:
    fall_asleep(site)
    site.steps("sleepy", crash=3)
    try:
        answer = get(site, "/version")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/plugin-unavailable")
        assert "exit code 3" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
    finally:
        site.steps("sleepy")
    wait_until(lambda: get(site, "/version").status_code == 200, seconds=30, what="the next try", every=0.3)


def test_disabled_it_is_gone(site: Site) -> None:
    fall_asleep(site)
    site.api.disable("sleepy")
    assert get(site, "/version").status_code == 404
    assert site.state("sleepy") == "disabled"
