"""The tutorial, carried out as it is written: every command, every file, every answer."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.tutorial import TUTORIAL, Session, blocks
from tests.support.embedded import Embedded

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like the top of a checkout to somebody who follows the tutorial."""
    folder = tmp_path / "checkout"
    (folder / "plugins").mkdir(parents=True)
    (folder / ".nimbus").mkdir()  # `make run` makes it; this Nimbus keeps its data elsewhere
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


@pytest.fixture
def nimbus(tmp_path: Path, checkout: Path) -> Iterator[Embedded]:
    running = Embedded(tmp_path / "data", plugins=checkout / "plugins")
    running.start()
    try:
        yield running
    finally:
        running.stop()


def test_a_newcomer_gets_to_the_end(checkout: Path, nimbus: Embedded) -> None:
    session = Session(checkout, nimbus)
    for block in blocks(TUTORIAL):
        session.carry_out(block)
    assert session.done >= {"make run", "prelude", "file", "command", "refusal", "answer", "output"}
    with nimbus.api() as api:
        plugin = api.plugin("watchlist")
        assert (plugin["state"], plugin["enabled"]) == ("disabled", False)
        history = api.get("/api/admin/plugins/watchlist/transitions", params={"limit": 200}).json()["items"]
        assert [item["toState"] for item in history].count("ready") == 2, "enabled once, restarted once"
        assert not any(item["toState"] == "failed" for item in history), history
        assert api.get("/api/media", params={"kind": "wish"}).json()["items"][0]["title"] == "Metropolis"
