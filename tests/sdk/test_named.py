"""Settings that are a list of named things with secrets beside it, kept together by `NamedSettings`."""

from collections.abc import Iterator

import pytest
from nimbus_sdk import Config, NamedSettings, Settings
from nimbus_sdk.testing import PluginTestClient
from pydantic import BaseModel, Field

from tests.sdk.conftest import MakePlugin


class Box(BaseModel):
    name: str
    size: int = 1


class BoxWrite(Box):
    key: str | None = None


class BoxSettings(Settings):
    boxes: list[Box] = Field(default_factory=list)
    keys: dict[str, str] = Field(default_factory=dict, json_schema_extra={"x-secret": True})


def kept(settings: BoxSettings, config: Config) -> NamedSettings[Box]:
    return NamedSettings(config, "box", items=("boxes", settings.boxes), secrets=("keys", settings.keys))


@pytest.fixture
def client(make_plugin: MakePlugin) -> Iterator[PluginTestClient]:
    """A plugin with routes that store, show and remove a box."""
    plugin = make_plugin(settings=BoxSettings.json_schema(), routes=[{"path": "/boxes/{name}", "methods": ["*"]}])

    @plugin.put("/boxes/{name}", auth="session")
    async def store(name: str, body: BoxWrite, settings: BoxSettings, config: Config) -> bool:
        return await kept(settings, config).put(name, Box(name=body.name, size=body.size), body.key)

    @plugin.get("/boxes/{name}", auth="session")
    async def show(name: str, settings: BoxSettings, config: Config) -> Box:
        return kept(settings, config).get(name)

    @plugin.delete("/boxes/{name}", auth="session", status_code=204)
    async def remove(name: str, settings: BoxSettings, config: Config) -> None:
        await kept(settings, config).remove(name)

    with PluginTestClient(plugin) as client:
        yield client


def put(client: PluginTestClient, name: str, **body: object) -> object:
    answer = client.as_user("ada").put(f"/boxes/{name}", json={"name": name, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_one_is_added_replaced_and_removed_with_its_secret(client: PluginTestClient) -> None:
    config = client.core.config
    assert (put(client, "red", key="r"), put(client, "blue")) == (True, False)
    assert put(client, "red", size=2) is True, "a secret that is not named stays"
    assert client.as_user("ada").get("/boxes/red").json() == {"name": "red", "size": 2}
    assert [box["name"] for box in config["boxes"]] == ["blue", "red"]
    assert config["keys"] == {"red": "r"}
    assert put(client, "blue", key="b") is True
    assert put(client, "red", key="") is False, "an empty one takes it away"
    assert config["keys"] == {"blue": "b"}
    assert client.as_user("ada").delete("/boxes/blue").status_code == 204
    assert ([box["name"] for box in config["boxes"]], config["keys"]) == (["red"], {})


def test_what_does_not_fit_is_named(client: PluginTestClient) -> None:
    for answer in (client.as_user("ada").get("/boxes/red"), client.as_user("ada").delete("/boxes/red")):
        assert (answer.status_code, "There is no box red." in answer.text) == (404, True)
    refused = client.as_user("ada").put("/boxes/red", json={"name": "blue", "key": "k"})
    assert (refused.status_code, "'blue'" in refused.text, "'red'" in refused.text) == (422, True, True)
    assert "boxes" not in client.core.config
    assert "keys" not in client.core.config
