"""`nimbus login` and `nimbus plugins …`, and `NimbusClient`, against a real embedded Nimbus."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nimbus_sdk import NimbusClient, NotFound
from nimbus_sdk.contracts.core_api import MediaCreate, MediaUpdate, MediaUpsert
from nimbus_sdk.errors import PermissionMissing, PreconditionFailed, Unauthenticated

from tests.support.embedded import Embedded

pytestmark = pytest.mark.slow
NIMBUS = str(Path(sys.executable).with_name("nimbus"))


@pytest.fixture(scope="module")
def nimbus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    running = Embedded(tmp_path_factory.mktemp("cli"))
    running.start()
    yield running
    running.stop()


class Shell:
    """The command as a script calls it, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("NIMBUS_")} | {
            "XDG_CONFIG_HOME": str(home)
        }

    def __call__(self, *arguments: str, says: str | None = None, **environment: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [NIMBUS, *arguments],
            input=says,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def signed_in(shell: Shell, nimbus: Embedded) -> Shell:
    assert nimbus.password is not None
    status, said, wrong = shell("login", nimbus.url, "-u", "admin", "--password-stdin", says=nimbus.password + "\n")
    assert (status, "as admin" in said) == (0, True), wrong
    return shell


def test_a_plugins_life(shell: Shell, nimbus: Embedded) -> None:
    signed_in(shell, nimbus)
    kept = shell.home / "nimbus" / "session.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert nimbus.password not in kept.read_text()
    assert json.loads(shell("whoami", "--json")[1])["username"] == "admin"
    assert {item["id"] for item in json.loads(shell("plugins", "list", "--json")[1])} >= {"hello", "notifier"}
    assert "disabled" in shell("plugins", "show", "hello")[1]
    status, said, wrong = shell("plugins", "enable", "hello")
    if status == 1 and "permission" in wrong:  # a person decides first
        with NimbusClient(nimbus.url) as client:
            client.login("admin", nimbus.password or "")
            client.grant("hello", [one.name for one in client.permissions("hello").requested])
        status, said, wrong = shell("plugins", "enable", "hello")
    assert (status, "ready" in said) == (0, True), wrong
    status, said, _ = shell("plugins", "logs", "hello", "--json", "-n", "50")
    assert (status, any("serving" in json.loads(line)["text"] for line in said.splitlines())) == (0, True)
    status, said, _ = shell("plugins", "doctor", "hello", "--json")
    assert (status, json.loads(said)["healthy"]) == (0, True)
    status, said, _ = shell("plugins", "restart", "hello", "--json")
    assert (status, json.loads(said)["state"]) == (0, "ready")
    status, said, _ = shell("plugins", "disable", "hello", "--json")
    assert (status, json.loads(said)["state"]) == (0, "disabled")
    assert shell("logout")[0] == 0
    assert not kept.exists()
    assert shell("plugins", "list")[0] == 3


def test_exit_statuses_tell_scripts_what_went_wrong(shell: Shell, nimbus: Embedded) -> None:
    status, _, wrong = shell("plugins", "list")
    assert (status, "nimbus login" in wrong) == (3, True)
    assert shell("login", nimbus.url, "-u", "admin", "--password-stdin", says="wrong\n")[0] == 3
    assert shell("login", "nowhere", "-u", "admin", "--password-stdin", says="x\n")[0] == 2
    assert shell("login", "http://127.0.0.1:9", "-u", "admin", "--password-stdin", says="x\n")[0] == 5
    signed_in(shell, nimbus)
    status, _, wrong = shell("plugins", "enable", "nothing")
    assert (status, "nothing" in wrong) == (4, True)
    assert shell("plugins", "list", NIMBUS_URL=nimbus.url, NIMBUS_API_KEY="nbk_wrong")[0] == 3
    assert shell("plugins", "enable")[0] == 2


def test_versions_and_the_end_of_a_plugin(shell: Shell, nimbus: Embedded) -> None:
    signed_in(shell, nimbus)
    status, said, wrong = shell("plugins", "versions", "hello", "--json")
    assert status == 0, wrong
    assert [(one["version"], one["status"]) for one in json.loads(said)] == [("0.1.0", "current")]
    assert "0.1.0" in shell("plugins", "versions", "hello")[1]
    status, _, wrong = shell("plugins", "rollback", "hello", "--yes")
    assert status in {1, 4}, wrong
    assert wrong.strip()
    status, _, wrong = shell("plugins", "upgrade", "hello", "9.9.9", "--version")
    assert (status in {1, 4}, bool(wrong.strip())) == (True, True)
    status, said, wrong = shell("plugins", "uninstall", "notifier", says="n\n")
    assert (status, "Remove notifier?" in said) == (1, True)
    status, said, wrong = shell("plugins", "uninstall", "notifier", "--yes", "--json")
    assert status == 0, wrong
    assert json.loads(said)["dataDeleted"] is False


def test_a_script_with_an_api_key(nimbus: Embedded) -> None:
    with nimbus.api() as api:
        made = api.post("/api/admin/api-keys", json={"name": "script", "scopes": ["media:read", "media:write"]})
        assert made.status_code == 201, made.text
        key = made.json()["key"]
    with NimbusClient(nimbus.url, api_key=key) as client:
        item = client.create_media(MediaCreate(kind="movie", title="Metropolis", year=1927))
        changed = client.update_media(item, MediaUpdate(metadata={"seen": True}))
        assert (changed.title, changed.metadata) == ("Metropolis", {"seen": True})
        with pytest.raises(PreconditionFailed):
            client.update_media(item, MediaUpdate(year=1928))
        assert [one.title for one in client.media(kind="movie", search="metro")] == ["Metropolis"]
        films = (MediaUpsert(kind="film", external_id=f"n:{n}", title=f"Film {n}") for n in range(2_100))
        assert [one.outcome for one in client.upsert_media(films)] == ["created"] * 2_100
        assert [one.title for one in client.media(external_id="n:7")] == ["Film 7"]
        pages = list(client.media_changes())
        assert len({change.id for page in pages for change in page.items}) == 2_101
        assert list(client.media_changes(pages[-1].next)) == []
        client.delete_media(changed)
        assert list(client.media(kind="movie")) == []
        with pytest.raises(NotFound):
            client.call("hello", "hello")
        with pytest.raises(PermissionMissing):
            client.doctor("hello")
    with NimbusClient(nimbus.url, api_key="nbk_wrong") as client, pytest.raises(Unauthenticated):
        client.plugins()
