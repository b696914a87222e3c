"""Plugins as Nimbus runs them: processes on a port, with a core on another. The same rules for every language."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from nimbus_sdk.signing import SigningKey

from tests.support.plugin_process import Running, running_plugin

ROOT = Path(__file__).parents[2]


def node() -> str:
    """Node's program.

    Where the whole machine is set up for the tests (CI), its absence is a failure.
    """
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    return found


@pytest.fixture(params=["hello", "hello-node"], scope="module")
def plugin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if request.param == "hello":
        folder, command = ROOT / "plugins" / "hello", [sys.executable, "-m", "hello"]
    else:
        folder, command = ROOT / "tests" / "fixtures" / "plugins" / "hello-node", [node(), "server.mjs"]
    with running_plugin(folder, command, tmp_path_factory.mktemp("plugin")) as running:
        yield running


def test_health_says_what_the_platform_needs(plugin: Running) -> None:
    body = httpx.get(f"{plugin.url}/_nimbus/health", headers=plugin.platform()).json()
    assert (body["status"], body["version"], 1 in body["contract"]) == ("ok", plugin.version, True)


def test_health_answers_a_liveness_probe_and_refuses_a_false_platform(plugin: Running) -> None:
    assert httpx.get(f"{plugin.url}/_nimbus/health").status_code == 200
    assert httpx.get(f"{plugin.url}/_nimbus/health", headers=plugin.token()).status_code == 403
    stranger = plugin.token(SigningKey.generate(), sub="platform", role="platform")
    assert httpx.get(f"{plugin.url}/_nimbus/health", headers=stranger).status_code == 401


def test_a_public_route_is_public(plugin: Running) -> None:
    assert "Hello" in httpx.get(f"{plugin.url}/hello").json()["message"]


def test_a_session_route_knows_the_user(plugin: Running) -> None:
    path = "/status" if plugin.id == "hello" else "/whoami"
    nobody = httpx.get(plugin.url + path)
    assert nobody.status_code == 401
    assert nobody.headers["content-type"] == "application/problem+json"
    assert nobody.json()["type"] == "/problems/unauthenticated"
    answer = httpx.get(plugin.url + path, headers=plugin.token())
    assert answer.status_code == 200, answer.text
    assert "ada" in answer.text


@pytest.mark.parametrize(
    ("claims", "from_now"),
    [
        ({"aud": "other"}, {}),
        ({"iat": 1_000, "exp": 1_060}, {}),
        ({}, {"exp": 3600}),
        ({}, {"iat": 600}),
    ],
)
def test_a_token_that_breaks_a_rule_is_refused(
    plugin: Running, claims: dict[str, object], from_now: dict[str, int]
) -> None:
    """Times count from here on: minutes after the tests were collected, what was in the future then is valid."""
    path = "/status" if plugin.id == "hello" else "/whoami"
    changes = claims | {name: int(time.time()) + seconds for name, seconds in from_now.items()}
    assert httpx.get(plugin.url + path, headers=plugin.token(**changes)).status_code == 401


def test_it_calls_the_core_with_its_token(plugin: Running) -> None:
    path = "/status" if plugin.id == "hello" else "/core"
    assert httpx.get(plugin.url + path, headers=plugin.token()).status_code == 200
    assert ("GET", "/self" if plugin.id == "hello-node" else "/media") in plugin.core.calls


def test_it_ends_when_asked(plugin: Running) -> None:
    """The last one: nothing runs afterwards."""
    with httpx.Client(base_url=plugin.url) as client:
        assert client.get("/hello").status_code == 200
        started = time.monotonic()
        plugin.process.send_signal(signal.SIGTERM)
        assert plugin.process.wait(5) in (0, -signal.SIGTERM)
        assert time.monotonic() - started < 3


def test_the_token_is_not_in_the_environment() -> None:
    code = "import os, nimbus_sdk; nimbus_sdk.Plugin; print(sorted(k for k in os.environ if 'TOKEN' in k))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NIMBUS_PLUGIN_TOKEN": "secret"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
