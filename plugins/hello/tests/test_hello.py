"""How to test a plugin: the kit runs it in memory, against a core in memory."""

from collections.abc import Iterator

import pytest
from hello import plugin
from nimbus_sdk.testing import PluginTestClient


@pytest.fixture
def client() -> Iterator[PluginTestClient]:
    with PluginTestClient(plugin) as client:
        yield client


def test_anyone_is_greeted(client: PluginTestClient) -> None:
    answer = client.anonymous().get("/hello")
    assert answer.status_code == 200
    assert answer.json() == {"message": "Hello, world!"}


def test_the_operator_chooses_the_greeting(client: PluginTestClient) -> None:
    client.core.config["greeting"] = "Ahoy"
    assert client.anonymous().get("/hello").json() == {"message": "Ahoy, world!"}


def test_an_empty_greeting_is_refused(client: PluginTestClient) -> None:
    with pytest.raises(ValueError, match="greeting"):
        client.core.config["greeting"] = ""


def test_status_is_for_users_only(client: PluginTestClient) -> None:
    answer = client.anonymous().get("/status")
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthenticated"
    assert client.as_api_key("robot").get("/status").status_code == 403


def test_status_knows_the_user_and_the_library(client: PluginTestClient) -> None:
    client.core.media.add("movie", "Metropolis", year=1927)
    client.core.media.add("movie", "Nosferatu", year=1922)
    answer = client.as_user("ada", role="admin").get("/status")
    assert answer.status_code == 200
    assert answer.json() == {
        "message": "Hello, ada!",
        "user": "ada",
        "role": "admin",
        "media": 2,
        "latest": ["Nosferatu", "Metropolis"],
    }


def test_without_its_permission_it_says_which_one_is_missing(client: PluginTestClient) -> None:
    client.core.permissions.discard("media:read")
    answer = client.as_user().get("/status")
    assert answer.status_code == 500
    assert "media:read" in answer.json()["detail"]


def test_it_is_healthy(client: PluginTestClient) -> None:
    assert client.health().status == "ok"


def test_its_page_is_part_of_it(client: PluginTestClient) -> None:
    assert "web/main.js" in client.ui_files()
