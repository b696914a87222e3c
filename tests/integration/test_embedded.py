"""Embedded mode: the command a newcomer runs, from the first start to Ctrl-C."""

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.api import Api, wait_until
from tests.support.embedded import Embedded
from tests.support.engine import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One run that the tests of this module share; none of them leaves a plugin enabled."""
    nimbus = Embedded(tmp_path_factory.mktemp("embedded"))
    nimbus.start()
    try:
        yield nimbus
    finally:
        nimbus.stop()


@pytest.fixture(scope="module")
def admin(running: Embedded) -> Iterator[Api]:
    with running.api() as api:
        yield api


def test_enable_use_disable(running: Embedded, admin: Api) -> None:
    """The main job, over HTTP."""
    hello = admin.plugin("hello")
    assert (hello["enabled"], hello["state"]) == (False, "disabled")
    anyone = httpx.Client(base_url=running.url, trust_env=False)

    before = anyone.get("/api/plugins/hello/hello")
    assert before.status_code == 404
    assert before.json()["type"] == "/problems/plugin-disabled"

    admin.enable("hello")
    public = anyone.get("/api/plugins/hello/hello")
    assert public.status_code == 200

    refused = anyone.get("/api/plugins/hello/status")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "/problems/unauthenticated"

    status = admin.get("/api/plugins/hello/status")
    assert status.status_code == 200
    assert "admin" in status.text

    manifests = admin.get("/api/ui/manifests").json()["items"]
    assert [item["pluginId"] for item in manifests] == ["hello"]
    bundle = anyone.get(manifests[0]["bundleUrl"])
    assert bundle.status_code == 200
    assert "javascript" in bundle.headers["content-type"]
    assert "immutable" in bundle.headers["cache-control"]

    admin.disable("hello")
    after = anyone.get("/api/plugins/hello/hello")
    assert after.status_code == 404
    assert after.json()["type"] == "/problems/plugin-disabled"
    assert admin.get("/api/ui/manifests").json()["items"] == []
    anyone.close()


def test_states_arrive_live(running: Embedded, admin: Api) -> None:
    """The event stream shows the stages between enable and ready without a poll."""
    seen: list[str] = []
    kind = ""
    with admin.http.stream("GET", "/api/events/stream", timeout=30) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: reset"
        with running.api() as second:
            second.post("/api/plugins/hello/enable")
            for line in lines:
                if line.startswith("event:"):
                    kind = line.removeprefix("event:").strip()
                elif line.startswith("data:") and kind == "plugin" and '"hello"' in line:
                    seen.append(json.loads(line[5:])["state"])
                    if seen[-1] == "ready":
                        break
    admin.disable("hello")
    assert "starting" in seen
    assert seen[-1] == "ready"


def test_killed_registry_interrupts_no_plugin(running: Embedded, admin: Api) -> None:
    """kill -9 of the registry: the plugin serves on, the next registry adopts the same process."""
    admin.enable("hello")
    plugin = _plugin_processes(running)[0]
    registry = _service(running, "nimbus_registry")
    registry.kill()
    for _ in range(50):
        assert admin.get("/api/plugins/hello/hello").status_code == 200
    wait_until(
        lambda: _service_or_none(running, "nimbus_registry", other_than=registry.pid),
        seconds=20,
        what="another registry",
    )
    wait_until(lambda: _registry_answers(admin), seconds=20, what="the registry to answer")
    assert admin.state("hello") == "ready"
    assert [process.pid for process in _plugin_processes(running)] == [plugin.pid]
    admin.disable("hello")
    assert not plugin.is_running()


def test_crashed_plugin_is_started_again(running: Embedded, admin: Api) -> None:
    """kill -9 of a plugin: it is noticed, started again, and the reason is on record."""
    admin.enable("hello")
    first = _plugin_processes(running)[0]
    first.kill()
    wait_until(
        lambda: [process for process in _plugin_processes(running) if process.pid != first.pid],
        seconds=10,
        what="the plugin's next process",
    )
    admin.wait_for_state("hello", "ready", seconds=20)
    assert admin.get("/api/plugins/hello/hello").status_code == 200
    history = admin.get("/api/admin/plugins/hello/transitions", params={"limit": 200}).json()["items"]
    assert any(item["toState"] == "failed" and item["reason"] for item in history)
    admin.disable("hello")


def test_concurrent_switches_end_as_last_asked(running: Embedded, admin: Api) -> None:
    """Enable and disable in quick succession: what was asked last is what is."""
    # The last of each row waits for its outcome: a state that is read meanwhile may be that of a wish before it.
    for path in ("enable", "disable", "enable", "disable"):
        assert admin.post(f"/api/plugins/hello/{path}").status_code in {200, 202}
    admin.enable("hello")
    assert admin.state("hello") == "ready"
    assert admin.get("/api/plugins/hello/hello").status_code == 200
    for path in ("disable", "enable"):
        assert admin.post(f"/api/plugins/hello/{path}").status_code in {200, 202}
    admin.disable("hello")
    assert admin.state("hello") == "disabled"
    assert _plugin_processes(running) == []


def test_second_nimbus_on_the_same_data_is_refused(running: Embedded) -> None:
    done = _run_command(running, NIMBUS_PORT="1")
    assert done.returncode == 1
    assert "another Nimbus already runs" in done.stderr


def test_help_starts_nothing(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "nimbus-embedded"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0
    assert "NIMBUS_PORT" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_taken_port_is_named(running: Embedded, tmp_path: Path) -> None:
    done = _run_command(running, NIMBUS_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert f"port {running.port}" in done.stderr
    assert "NIMBUS_PORT" in done.stderr


def test_state_survives_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    """First start prints a password once; Ctrl-C ends all in 5 s; the second start is quick and remembers."""
    nimbus = Embedded(tmp_path / "data", password=None)
    nimbus.start()
    password = nimbus.printed_password()
    assert password
    with Api(nimbus.url).sign_in("admin", password) as api:
        api.enable("hello")
    processes = _plugin_processes(nimbus)
    assert len(processes) == 1
    assert nimbus.stop(signal.SIGINT) <= 5
    assert not any(process.is_running() for process in processes)

    seconds = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        try:
            seconds.append(nimbus.start())
            assert nimbus.printed_password() is None
            assert password not in nimbus.text()
            with Api(nimbus.url).sign_in("admin", password) as api:
                api.wait_for_state("hello", "ready")
                assert api.plugin("hello")["enabled"] is True
                assert api.get("/api/plugins/hello/hello").status_code == 200
        finally:
            assert nimbus.stop(number) <= 5
        assert _plugin_processes(nimbus) == []
    assert statistics.median(seconds) <= 5, seconds


def test_killed_supervisor_leaves_no_service(tmp_path: Path) -> None:
    """kill -9 of the supervisor: the services end with it, and the next start finds its ports free."""
    nimbus = Embedded(tmp_path / "data")
    nimbus.start()
    with nimbus.api() as api:
        api.enable("hello")
    nimbus.stop(signal.SIGKILL)
    wait_until(lambda: not _all_processes(nimbus), seconds=10, what="services and plugins to end")
    nimbus.start()
    with nimbus.api() as api:
        api.wait_for_state("hello", "ready")
    assert nimbus.stop() <= 5


def test_the_next_start_waits_for_services_that_a_killed_supervisor_left(tmp_path: Path) -> None:
    """It neither blames a port that frees itself nor shares the database with them, nor takes other ports."""
    nimbus = Embedded(tmp_path / "data")
    nimbus.start()
    ports = (nimbus.data / "ports.json").read_text()
    gateway = _service(nimbus, "nimbus_gateway")
    registry = _service(nimbus, "nimbus_registry")
    gateway.suspend()
    nimbus.stop(signal.SIGKILL)

    def let_go() -> psutil.Process | None:
        """Resume the gateway once its end is waited for; returns a service that was started in spite of it."""
        told = "waiting for the services of a Nimbus that was killed to end"
        try:
            wait_until(lambda: told in nimbus.text(), seconds=60, what=told, every=0.02)
            time.sleep(1.0)  # long enough to start one
            return _service_or_none(nimbus, "nimbus_registry", other_than=registry.pid)
        finally:
            gateway.resume()

    with ThreadPoolExecutor(max_workers=1) as pool:
        let_gone = pool.submit(let_go)
        nimbus.start()
        assert let_gone.result() is None
    assert (nimbus.data / "ports.json").read_text() == ports
    with nimbus.api() as api:
        api.enable("hello")
    assert nimbus.stop() <= 5


def test_plugin_host_can_be_switched_off(tmp_path: Path) -> None:
    """ENABLE_PLUGINS=false, the older name: no plugin runs, the core works."""
    nimbus = Embedded(tmp_path / "data", environment={"ENABLE_PLUGINS": "false"})
    nimbus.start()
    try:
        with nimbus.api() as api:
            answer = api.get("/api/plugins/hello/hello")
            assert answer.status_code == 404
            assert answer.json()["type"] == "/problems/plugins-disabled"
            assert api.get("/api/system").json()["pluginsEnabled"] is False
            assert api.get("/api/media").status_code == 200
    finally:
        nimbus.stop()


def test_safe_mode_keeps_what_is_enabled(tmp_path: Path) -> None:
    """NIMBUS_SAFE_MODE=1: every plugin is off, `enabled` stays."""
    nimbus = Embedded(tmp_path / "data")
    nimbus.start()
    with nimbus.api() as api:
        api.enable("hello")
    nimbus.stop()
    nimbus.environment["NIMBUS_SAFE_MODE"] = "1"
    nimbus.start()
    with nimbus.api() as api:
        assert api.plugin("hello")["enabled"] is True
        assert api.plugin("hello")["state"] != "ready"
        assert api.get("/api/plugins/hello/hello").status_code in {404, 503}
        assert api.get("/api/system").json()["safeMode"] is True
    nimbus.stop()
    del nimbus.environment["NIMBUS_SAFE_MODE"]
    nimbus.start()
    with nimbus.api() as api:
        api.wait_for_state("hello", "ready")
    nimbus.stop()


def test_bad_plugin_folders_hurt_nobody(tmp_path: Path) -> None:
    """Broken manifests are listed with every error, a twin is named, and hello works beside them."""
    plugins = tmp_path / "plugins"
    shutil.copytree(ROOT / "plugins" / "hello", plugins / "hello", ignore=shutil.ignore_patterns("__pycache__"))
    (plugins / "not-json").mkdir()
    (plugins / "not-json" / "manifest.json").write_text('{"manifestVersion": 1,\n "id": }')
    (plugins / "misspelt").mkdir()
    (plugins / "misspelt" / "manifest.json").write_text(
        json.dumps({"manifestVersion": 1, "id": "Mis_spelt", "name": "", "verison": "1.0.0", "runtime": {"port": 0}})
    )
    twin = plugins / "twin"
    twin.mkdir()
    shutil.copy(plugins / "hello" / "manifest.json", twin / "manifest.json")

    nimbus = Embedded(tmp_path / "data", plugins=plugins, environment={})
    nimbus.start()
    try:
        with nimbus.api() as api:
            listed = {item["id"]: item for item in api.get("/api/plugins").json()["items"]}
            assert sorted(item["state"] for item in listed.values()) == ["disabled", "invalid", "invalid", "invalid"]
            misspelt = api.plugin("misspelt")
            paths = {error["path"] for error in misspelt["errors"]}
            assert {"/id", "/name", "/version", "/runtime/port"} <= paths
            assert any(error.get("suggestion") == "version" for error in misspelt["errors"])
            assert "line 2" in json.dumps(api.plugin("not-json"))
            assert "hello" in json.dumps(api.plugin("twin")["errors"])
            refused = api.post("/api/plugins/misspelt/enable")
            assert refused.status_code == 409
            assert refused.json()["type"] == "/problems/plugin-invalid"
            api.enable("hello")
            assert api.get("/api/plugins/hello/hello").status_code == 200

            fixed = json.loads((plugins / "hello" / "manifest.json").read_text())
            fixed |= {"id": "not-json", "name": "Mended"}
            (plugins / "not-json" / "manifest.json").write_text(json.dumps(fixed))
            wait_until(
                lambda: api.plugin("not-json")["name"] == "Mended", seconds=10, what="the change to be discovered"
            )
            assert api.state("not-json") == "disabled"
    finally:
        nimbus.stop()


def _all_processes(nimbus: Embedded) -> list[psutil.Process]:
    """Every process that works on this run's data folder."""
    mine: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            ended = process.status() == psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        folders = (environment.get("NIMBUS_DATA_DIR", ""), environment.get("HOME", ""))
        in_data = any(folder.startswith(str(nimbus.data)) for folder in folders)
        if in_data and not ended and process.pid != os.getpid():
            mine.append(process)
    return mine


def _plugin_processes(nimbus: Embedded) -> list[psutil.Process]:
    mine = []
    for process in _all_processes(nimbus):
        with contextlib.suppress(psutil.Error):  # it may end meanwhile
            if "NIMBUS_PLUGIN_ID" in process.environ():
                mine.append(process)
    return mine


def _service_or_none(nimbus: Embedded, module: str, other_than: int = 0) -> psutil.Process | None:
    for process in _all_processes(nimbus):
        with contextlib.suppress(psutil.Error):  # it may end meanwhile
            if module in process.cmdline() and process.pid != other_than:
                return process
    return None


def _service(nimbus: Embedded, module: str) -> psutil.Process:
    found = _service_or_none(nimbus, module)
    assert found is not None, f"{module} does not run"
    return found


def _registry_answers(api: Api) -> bool:
    return api.post("/api/admin/plugins/scan").status_code == 200


def _run_command(nimbus: Embedded, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "nimbus-embedded")],
        env={
            **os.environ,
            "NIMBUS_DATA_DIR": str(nimbus.data),
            "NIMBUS_PORT": str(nimbus.port),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
