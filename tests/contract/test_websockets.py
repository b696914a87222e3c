"""A WebSocket route of a plugin that runs as a process of its own, upgraded on its own port."""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import httpx
import pytest
from nimbus_sdk.signing import SigningKey
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.plugin_process import Running, running_plugin

MANIFEST = {
    "manifestVersion": 1,
    "id": "talker",
    "name": "Talker",
    "version": "1.0.0",
    "runtime": {"process": {"command": ["python", "-m", "talker"]}},
    "routes": [
        {"path": "/open", "auth": "none"},
        {"path": "/talk", "auth": "session"},
        {"path": "/admin", "auth": "session", "role": "admin"},
    ],
}

CODE = """
from fastapi import WebSocket
from nimbus_sdk import Plugin, User

plugin = Plugin(__name__)


@plugin.websocket("/open")
async def open_to_all(socket: WebSocket, user: User | None):
    await socket.accept()
    await socket.send_text(f"hello, {user.name if user else 'stranger'}")
    await socket.close()


@plugin.websocket("/talk")
async def talk(socket: WebSocket, user: User):
    await socket.accept()
    async for said in socket.iter_text():
        await socket.send_text(f"{user.name}: {said}")


@plugin.websocket("/admin")
async def admin(socket: WebSocket):
    await socket.accept()
    await socket.close()


if __name__ == "__main__":
    plugin.run()
"""


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("talker")
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    (folder / "talker.py").write_text(CODE)
    with running_plugin(folder, [sys.executable, "-m", "talker"], tmp_path_factory.mktemp("data")) as running:
        yield running


def upgraded(talker: Running, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
    return connect(talker.url.replace("http", "ws") + path, additional_headers=headers, proxy=None, open_timeout=10)


def test_the_sdk_brings_what_an_upgrade_needs() -> None:
    """The environment of these tests has it anyway; a plugin's own has what the SDK depends on."""
    assert any(found.startswith("websockets") for found in requires("nimbus-plugin-sdk") or [])
    locked = (Path(__file__).parents[2] / "sdk" / "requirements.lock").read_text()
    assert "\nwebsockets==" in locked


def test_a_message_comes_back_with_the_users_name(talker: Running) -> None:
    with upgraded(talker, "/talk", talker.token()) as socket:
        for said in ("one", "zwei", "x" * 100_000):
            socket.send(said)
            assert socket.recv(timeout=10) == f"ada: {said}"


def test_an_open_route_takes_anyone(talker: Running) -> None:
    with upgraded(talker, "/open") as socket:
        assert socket.recv(timeout=10) == "hello, stranger"
    with upgraded(talker, "/open", talker.token()) as socket:
        assert socket.recv(timeout=10) == "hello, ada"


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/talk", None),
        ("/talk", {"aud": "other"}),
        ("/talk", {"iat": 1_000, "exp": 1_060}),
        ("/talk", {"key": SigningKey.generate()}),
        ("/talk", {"sub": "key:k1"}),
        ("/admin", {}),
        ("/open", {"aud": "other"}),
        ("/undeclared", {}),
    ],
)
def test_an_upgrade_without_the_right_identity_is_refused(
    talker: Running, path: str, changes: dict[str, Any] | None
) -> None:
    headers = None if changes is None else talker.token(**changes)
    with pytest.raises(InvalidStatus) as caught, upgraded(talker, path, headers):
        pytest.fail("it was upgraded")
    assert caught.value.response.status_code == 403


def test_a_name_without_a_token_is_worth_nothing(talker: Running) -> None:
    claimed = {"X-Nimbus-User-Id": "u1", "X-Nimbus-User-Name": "ada", "X-Nimbus-Role": "admin"}
    with upgraded(talker, "/open", claimed) as socket:
        assert socket.recv(timeout=10) == "hello, stranger"


def test_the_plugin_stays_well_and_logs_no_error(talker: Running) -> None:
    """The last one: it looks back at all of the above."""
    assert httpx.get(f"{talker.url}/_nimbus/health", headers=talker.platform()).status_code == 200
    assert '"level":"error"' not in talker.output.read_text().replace(" ", "")
    assert "Traceback" not in talker.output.read_text()
