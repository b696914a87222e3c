"""A new author's whole way, as `docs/howto/ship-a-plugin.md` has it: from `new` to a page in a browser, timed.

Each command is the page's own; the test adds where Nimbus is, its password, and a look at what came of it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
import pytest

from tests.docs.tutorial import blocks
from tests.support.api import wait_until
from tests.support.compose import ComposeStack
from tests.support.embedded import free_port
from tests.support.engine import ROOT, missing, remove_images, run_script

pytestmark = [pytest.mark.engine, pytest.mark.browser, pytest.mark.slow]
PAGE = ROOT / "docs" / "howto" / "ship-a-plugin.md"
IMAGE = "nimbus-plugin-greeter"
GREETING = "Hello, welcome from Greeter!"
STEPS = ["before", "new", "dev", "edit", "test", "build", "login", "install", "enable"]


@pytest.fixture
def chromium() -> str:
    found = run_script("bootstrap.sh", "chromium-path")
    if found.returncode != 0 or not (ROOT / "frontend" / "node_modules" / "@playwright" / "test").is_dir():
        missing("Chromium and the dashboard's Node modules: deploy/dev/bootstrap.sh frontend chromium")
    return found.stdout.strip()


class Author:
    """A terminal in which the page's commands are typed, and a watch."""

    def __init__(self, folder: Path, stack: ComposeStack) -> None:
        self.folder = folder
        self.seconds: dict[str, float] = {}
        (folder / ".venv").symlink_to(Path(sys.prefix))
        self._commands = {block.title: block.text for block in blocks(PAGE)}
        assert list(self._commands) == STEPS, "the page has other steps than this test"
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("NIMBUS_", "PYTEST"))},
            "DOCKER_HOST": stack.docker_host,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "NIMBUS_PASSWORD": stack.password,
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "200",
        }
        self._stack = stack

    def _script(self, step: str) -> list[str]:
        text = self._commands[step].replace("http://localhost:8080", self._stack.url)
        return ["bash", "-c", f"{self._commands['before']}set -euo pipefail\n{text}"]

    def does(self, step: str, seconds: float = 300) -> str:
        """Type a step's commands and wait for their end; what they printed."""
        began = time.monotonic()
        done = subprocess.run(
            self._script(step),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        self.seconds[step] = round(time.monotonic() - began, 1)
        assert done.returncode == 0, f"{step}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def begins(self, step: str, output: Path) -> subprocess.Popen[bytes]:
        """Type a step's command that goes on."""
        script = self._script(step)
        script[-1] = script[-1].rstrip() + f" --port {free_port()}\n"
        with output.open("wb") as log:
            return subprocess.Popen(
                script, cwd=self.folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )


@pytest.fixture
def author(tmp_path: Path, stack: ComposeStack, engine: docker.DockerClient) -> Iterator[Author]:
    yield Author(tmp_path, stack)
    with stack.api() as api:
        if api.get("/api/plugins/greeter").status_code == 200:
            assert api.http.delete("/api/admin/plugins/greeter", params={"deleteData": "true"}).status_code == 200
    remove_images(engine, IMAGE)


def change_while_it_runs(author: Author) -> None:
    """Start `dev`, change the code beside it, and see the change."""
    output = author.folder / "dev.log"
    began = time.monotonic()
    dev = author.begins("dev", output)
    try:
        wait_until(
            lambda: "Watching for changes" in output.read_text() or dev.poll() is not None,
            seconds=180,
            what="dev to be ready",
        )
        author.seconds["dev"] = round(time.monotonic() - began, 1)
        address = re.search(r"Routes: (\S+)/…", output.read_text())
        assert address, output.read_text()
        author.does("edit")
        began = time.monotonic()
        wait_until(
            lambda: GREETING in httpx.get(f"{address[1]}/hello", timeout=30).text,
            seconds=60,
            what="the change to be live",
            every=0.02,
        )
        author.seconds["change"] = round(time.monotonic() - began, 1)
    finally:
        os.killpg(dev.pid, signal.SIGINT)
        dev.wait(60)


def see_the_page(stack: ComposeStack, chromium: str) -> str:
    """Open the plugin's page as a person does, in a browser."""
    done = subprocess.run(
        ["node", str(ROOT / "tests" / "docs" / "see_page.mjs")],
        env={
            **os.environ,
            "NIMBUS_URL": stack.url,
            "NIMBUS_PASSWORD": stack.password,
            "NIMBUS_CHROMIUM": chromium,
            "PLUGIN": "greeter",
            "HEADING": "Greeter",
            "WORDS": GREETING,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_an_idea_to_a_page(author: Author, stack: ComposeStack, plugin_base_image: str, chromium: str) -> None:
    assert plugin_base_image == "nimbus-plugin-base:dev", "what the template's Dockerfile starts from"
    author.does("new")
    change_while_it_runs(author)
    author.does("test")
    author.does("build", seconds=600)
    for step in ("login", "install", "enable"):
        author.does(step)
    began = time.monotonic()
    text = see_the_page(stack, chromium)
    author.seconds["page"] = round(time.monotonic() - began, 1)
    assert GREETING in text
    checked = subprocess.run(
        [str(Path(sys.prefix) / "bin" / "nimbus"), "plugin", "validate", str(author.folder / "greeter"), "--json"],
        env={**os.environ, "DOCKER_HOST": stack.docker_host},
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(checked.stdout)
    assert (report["errors"], report["warnings"], report["notes"]) == ([], [], []), "the image is the folder's"
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "author-journey.json").write_text(json.dumps(author.seconds))
    sys.stdout.write(f"\nthe author's way, in seconds: {json.dumps(author.seconds)}\n")
