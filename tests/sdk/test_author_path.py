"""A new author's path up to the image: new, dev with a change, test. Nimbus is a real embedded one."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from nimbus_sdk.cli.app import app
from nimbus_sdk.cli.dev import PluginFiles, _changes, _readable
from nimbus_sdk.errors import CoreError
from nimbus_sdk.nimbus_client import NimbusClient
from typer.testing import CliRunner

from tests.support.embedded import PASSWORD, Embedded, free_port
from tests.support.engine import ROOT

NIMBUS = str(Path(sys.executable).with_name("nimbus"))
CHANGE_SECONDS = 20
"""A change is live in two seconds on a quiet machine; a test machine may be busy."""


get = partial(httpx.get, timeout=30)
post = partial(httpx.post, timeout=30)


def until(condition: Callable[[], object], seconds: float, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


@dataclass
class Dev:
    """A running `nimbus plugin dev` and what it has printed."""

    process: subprocess.Popen[bytes]
    output: Path

    def text(self) -> str:
        return self.output.read_text()

    def until(self, condition: Callable[[], object], seconds: float = CHANGE_SECONDS) -> None:
        until(condition, seconds, self.text)

    def printed(self, pattern: str) -> str:
        found = re.search(pattern, self.text())
        assert found, self.text()
        return found[1]


@contextmanager
def dev(folder: Path, *options: str, **environment: str) -> Iterator[Dev]:
    """`nimbus plugin dev` until it watches; ended as by Ctrl-C, and then its status is 0."""
    output = folder.with_name("dev.log")
    apart = {"XDG_CACHE_HOME": str(folder.with_name("cache")), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with output.open("w") as log:
        process = subprocess.Popen(
            [NIMBUS, "plugin", "dev", str(folder), *options],
            stdout=log,
            stderr=log,
            env={**os.environ, **apart, **environment},
        )
    started = Dev(process, output)
    try:
        started.until(lambda: "Watching for changes" in output.read_text() or process.poll() is not None, 120)
        assert process.poll() is None, output.read_text()
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert process.returncode == 0, output.read_text()


def new(folder: Path, template: str) -> Path:
    made = CliRunner().invoke(app, ["plugin", "new", folder.name, "--template", template, "--directory", str(folder)])
    assert made.exit_code == 0, made.output
    return folder


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def bundle(nimbus: NimbusClient, plugin_id: str) -> str:
    """The page's script as a browser gets it; nothing while the plugin starts."""
    try:
        url = nimbus.request("GET", f"/api/plugins/{plugin_id}/ui-manifest").json()["bundleUrl"]
        return nimbus.request("GET", url).text
    except CoreError:
        return ""


@pytest.mark.slow
def test_new_dev_and_test(tmp_path: Path) -> None:
    folder = new(tmp_path / "films", "ui")
    port = free_port()
    hello = f"http://127.0.0.1:{port}/api/plugins/films/hello"
    code, page = folder / "src" / "films" / "__init__.py", folder / "web" / "main.js"
    with dev(folder, "--port", str(port)) as running, NimbusClient(f"http://127.0.0.1:{port}") as nimbus:
        nimbus.login("admin", running.printed(r"user admin, password (\S+)"))
        assert get(hello).json() == {"message": "Hello from Films!"}
        edit(code, "from Films!", "from my Films!")
        running.until(lambda: "my Films" in get(hello).text)
        assert "// changed" not in bundle(nimbus, "films")
        page.write_text(page.read_text() + "// changed\n")
        running.until(lambda: "// changed" in bundle(nimbus, "films"))
        running.until(lambda: running.text().count("live films") == 3)
        code.write_text(code.read_text() + '\nraise OSError("no such disk")\n')
        running.until(lambda: "OSError: no such disk" in running.text())
        edit(code, '\nraise OSError("no such disk")\n', "")
        running.until(lambda: running.text().count("live films") == 4)
    with pytest.raises(httpx.ConnectError):
        get(hello)
    failed = subprocess.run([NIMBUS, "plugin", "test", str(folder)], capture_output=True, text=True, check=False)
    assert (failed.returncode, "2 failed" in failed.stdout) == (1, True), failed.stdout
    edit(code, "from my Films!", "from Films!")
    done = subprocess.run([NIMBUS, "plugin", "test", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_dev_runs_a_plugin_that_has_no_sdk(tmp_path: Path) -> None:
    folder = tmp_path / "hello-node"
    shutil.copytree(ROOT / "tests" / "fixtures" / "plugins" / "hello-node", folder)
    port = free_port()
    hello = f"http://127.0.0.1:{port}/api/plugins/hello-node/hello"
    with dev(folder, "--port", str(port)) as running:
        assert get(hello).json() == {"message": "Hello from Node!"}
        edit(folder / "server.mjs", "Hello from Node!", "Hello again!")
        running.until(lambda: "again" in get(hello).text)
    assert "KeyboardInterrupt" not in running.text()


@pytest.mark.slow
def test_dev_gives_apps_of_another_product_a_port_and_a_key(tmp_path: Path) -> None:
    folder = new(tmp_path / "oldapp", "compat")
    with dev(folder, "--port", str(free_port())) as running:
        root, key = running.printed(r"Compat: (\S+)/ "), running.printed(r"X-Api-Key: (\S+)")
        headers = {"X-Api-Key": key}
        assert get(f"{root}/ping").json() == {"status": "OK"}
        assert get(f"{root}/api/v1/titles").status_code == 401
        made = post(f"{root}/api/v1/titles", headers=headers, json={"titleName": "Metropolis"})
        assert made.status_code == 201, made.text
        assert get(f"{root}/api/v1/titles", params={"apikey": key}).json() == [made.json()]
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["routes"][1]["scopes"] = ["oldapp:list"]
        edit(
            folder / "src" / "oldapp" / "__init__.py", 'titles", auth="apikey", scopes=READ', 'titles", auth="apikey"'
        )
        (folder / "manifest.json").write_text(json.dumps(manifest))
        running.until(lambda: running.text().count("X-Api-Key: ") == 2)
        fresh = {"X-Api-Key": re.findall(r"X-Api-Key: (\S+)", running.text())[1]}
        running.until(lambda: get(f"{root}/api/v1/titles", headers=fresh).status_code == 200)
        running.until(lambda: get(f"{root}/api/v1/titles", headers=headers).status_code == 401)


@pytest.mark.slow
def test_dev_uses_a_nimbus_that_runs(tmp_path: Path) -> None:
    nimbus = Embedded(tmp_path / "data", plugins=tmp_path / "plugins")
    folder = new(tmp_path / "films", "minimal")
    nimbus.plugins.mkdir()
    nimbus.start()
    apart = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "NIMBUS_URL": nimbus.url}

    def run(*command: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **apart}
        return subprocess.run(
            [NIMBUS, *command], input=typed, capture_output=True, text=True, env=environment, check=False, timeout=60
        )

    try:
        stranger = run("plugin", "dev", str(folder), "--running")
        assert (stranger.returncode, "nimbus login" in stranger.stderr) == (3, True), stranger.stderr
        signed_in = run("login", nimbus.url, "--username", "admin", "--password-stdin", typed=PASSWORD)
        assert signed_in.returncode == 0, signed_in.stderr
        absent = run("plugin", "dev", str(folder), "--running")
        assert (absent.returncode, "ln -s" in absent.stderr) == (4, True), absent.stderr
        (nimbus.plugins / "films").symlink_to(folder)
        with dev(folder, "--running", **apart) as running:
            hello = f"{nimbus.url}/api/plugins/films/hello"
            assert get(hello).json() == {"message": "Hello from Films!"}
            edit(folder / "src" / "films" / "__init__.py", "from Films!", "from my Films!")
            running.until(lambda: "my Films" in get(hello).text)
        assert get(hello).json() == {"message": "Hello from my Films!"}, "it was there before, and it stays"
    finally:
        nimbus.stop()


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("src/films/__init__.py", True),
        ("manifest.json", True),
        ("web/main.js", True),
        ("tests/test_plugin.py", False),
        (".venv/lib/x.py", False),
        ("src/films/__pycache__/x.pyc", False),
        ("src/films.egg-info/PKG-INFO", False),
        ("web/node_modules/x/index.js", False),
        ("../other/file.py", False),
    ],
)
def test_what_is_watched(tmp_path: Path, name: str, matters: bool) -> None:
    from watchfiles import Change  # noqa: PLC0415

    assert PluginFiles(tmp_path)(Change.modified, str((tmp_path / name).resolve())) is matters


def test_what_changes_while_nimbus_starts_is_not_missed(tmp_path: Path) -> None:
    """It is watched from the call on, not from when the first change is asked for."""
    changes = _changes(tmp_path)
    (tmp_path / "films.py").write_text("films = []")
    (tmp_path / "notes.pyc").write_text("")
    assert next(changes) == ["films.py"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("plain words", "plain words"),
        (json.dumps({"level": "info", "message": "done", "items": 3, "at": "x"}), "INFO    done items=3"),
        ("[1]", "[1]"),
    ],
)
def test_log_lines_are_readable(line: str, text: str) -> None:
    assert _readable(line) == text
