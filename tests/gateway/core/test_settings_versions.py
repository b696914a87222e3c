"""The settings of versions: kept when one is left, back when it is gone back to, sealed all the while."""

from datetime import UTC, datetime
from typing import Any

import pytest
from nimbus_gateway.core.config.rows import SettingRow
from nimbus_gateway.core.config.service import MOST_SETTINGS
from nimbus_gateway.core.config.tables import PluginSettingsVersion
from nimbus_gateway.core.config.versions import kept_settings, settings_of_entered
from nimbus_gateway.plugins.own_data import delete_own_data
from nimbus_gateway.plugins.platform_calls import build_management_api
from nimbus_sdk.contracts.install import PluginVersion, PluginVersionList
from sqlmodel import select

from tests.gateway.support import START, Nimbus, problem

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-registry"


async def switch(nimbus: Nimbus, leaves: str, enters: str, *, back: bool = False, keep: tuple[str, ...] = ()) -> bool:
    body = {"pluginId": "hello", "leaves": leaves, "enters": enters, "bringBack": back, "keep": keep}
    client = nimbus.client(build_management_api(nimbus.state, TOKEN))
    answer = await client.post(
        "/internal/v1/settings/switch", json=body, headers={"authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["changed"])


async def put(nimbus: Nimbus, key: str, value: Any) -> None:
    answer = await nimbus.plugin("hello").put(f"/core/v1/config/{key}", json={"value": value})
    assert answer.status_code == 200, answer.text


async def settings(nimbus: Nimbus) -> dict[str, Any]:
    return (await nimbus.plugin("hello").get("/core/v1/config")).json()["values"]


async def kept(nimbus: Nimbus) -> dict[str, list[str]]:
    async with nimbus.state.database.read() as session:
        return {version: one.keys for version, one in (await kept_settings(session, "hello")).items()}


def row(key: str, value: Any = 1) -> SettingRow:
    return SettingRow(key, {"value": value}, datetime(2026, 1, 1, tzinfo=UTC), "user:1")


class TestDecision:
    def test_a_new_version_goes_on_with_those_of_now(self):
        assert settings_of_entered([row("a")], None, bring_back=False) == [row("a")]

    def test_what_it_had_beyond_them_is_added(self):
        after = settings_of_entered([row("a", 2)], [row("a", 1), row("b", 1)], bring_back=False)
        assert after == [row("a", 2), row("b", 1)]

    def test_one_that_is_gone_back_to_has_what_it_was_left_with(self):
        assert settings_of_entered([row("a", 2)], [row("b", 1)], bring_back=True) == [row("b", 1)]
        assert settings_of_entered([row("a", 2)], [], bring_back=True) == []
        assert settings_of_entered([row("a", 2)], None, bring_back=True) == [row("a", 2)]

    def test_there_are_never_more_than_a_plugin_may_have(self):
        live = [row(f"a{number}") for number in range(MOST_SETTINGS - 1)]
        after = settings_of_entered(live, [row("b"), row("c")], bring_back=False)
        assert after == [*live, row("b")]


async def test_needs_the_service_token(nimbus: Nimbus):
    client = nimbus.client(build_management_api(nimbus.state, TOKEN))
    body = {"pluginId": "hello", "leaves": "1.0.0", "enters": "2.0.0"}
    problem(await client.post("/internal/v1/settings/switch", json=body), 401, "unauthenticated")


async def test_an_upgrade_and_the_way_back(nimbus: Nimbus):
    await put(nimbus, "greeting", "Servus")
    await put(nimbus, "token", "s3cret-of-one")
    assert await switch(nimbus, "1.0.0", "2.0.0") is False
    assert await settings(nimbus) == {"greeting": "Servus", "token": "s3cret-of-one"}
    assert await kept(nimbus) == {"1.0.0": ["greeting", "token"]}
    await put(nimbus, "retries", 3)
    await put(nimbus, "token", "s3cret-of-two")
    assert await switch(nimbus, "2.0.0", "1.0.0", back=True) is True
    assert await settings(nimbus) == {"greeting": "Servus", "token": "s3cret-of-one"}
    assert await kept(nimbus) == {"2.0.0": ["greeting", "retries", "token"]}
    assert await switch(nimbus, "1.0.0", "2.0.0", back=True) is True
    assert await settings(nimbus) == {"greeting": "Servus", "retries": 3, "token": "s3cret-of-two"}


async def test_asked_for_twice_it_is_done_once(nimbus: Nimbus):
    await put(nimbus, "greeting", "Servus")
    await switch(nimbus, "1.0.0", "2.0.0")
    await put(nimbus, "greeting", "Moin")
    assert await switch(nimbus, "1.0.0", "2.0.0") is False
    assert await switch(nimbus, "2.0.0", "1.0.0", back=True) is True
    assert await switch(nimbus, "2.0.0", "1.0.0", back=True) is False
    assert await settings(nimbus) == {"greeting": "Servus"}


async def test_going_back_from_what_never_began_changes_nothing(nimbus: Nimbus):
    await put(nimbus, "greeting", "Servus")
    assert await switch(nimbus, "2.0.0", "1.0.0", back=True) is False
    assert await settings(nimbus) == {"greeting": "Servus"}


async def test_secrets_stay_sealed(nimbus: Nimbus):
    await put(nimbus, "token", "s3cret-value")
    await switch(nimbus, "1.0.0", "2.0.0")
    async with nimbus.state.database.read() as session:
        rows = (await session.exec(select(PluginSettingsVersion))).all()
    assert sorted((one.version, one.current) for one in rows) == [("1.0.0", False), ("2.0.0", True)]
    assert "s3cret" not in str([one.content for one in rows])


async def test_those_of_versions_that_are_kept_no_longer_go(nimbus: Nimbus):
    for leaves, enters in (("1.0.0", "2.0.0"), ("2.0.0", "3.0.0"), ("3.0.0", "4.0.0")):
        await switch(nimbus, leaves, enters, keep=("2.0.0",))
    assert sorted(await kept(nimbus)) == ["2.0.0", "3.0.0"]


async def test_a_plugin_that_came_back_at_another_version(nimbus: Nimbus):
    await switch(nimbus, "1.0.0", "2.0.0")
    await put(nimbus, "greeting", "Moin")
    await switch(nimbus, "5.0.0", "6.0.0")
    assert await kept(nimbus) == {"5.0.0": ["greeting"]}
    assert await settings(nimbus) == {"greeting": "Moin"}


async def test_go_with_the_data_of_the_plugin(nimbus: Nimbus):
    await put(nimbus, "greeting", "Servus")
    await switch(nimbus, "1.0.0", "2.0.0")
    async with nimbus.state.database.write() as session:
        assert await delete_own_data(session, "hello") >= 3
    assert await kept(nimbus) == {}


class TestListed:
    """In the list of versions, which comes from the registry."""

    async def test_names_what_is_kept_and_shows_no_value(self, nimbus: Nimbus):
        await put(nimbus, "token", "s3cret-value")
        await switch(nimbus, "1.0.0", "2.0.0")
        nimbus.registry.answers["GET", "/v1/plugins/hello/versions"] = PluginVersionList(
            items=[
                PluginVersion(version="2.0.0", status="current", source="manifest", since=START),
                PluginVersion(version="1.0.0", status="kept", source="manifest", since=START),
                PluginVersion(version="0.9.0", status="kept", source="manifest", since=START),
            ]
        )
        answer = await (await nimbus.admin()).get("/api/admin/plugins/hello/versions")
        assert answer.status_code == 200, answer.text
        assert "s3cret" not in answer.text
        found = {one["version"]: one.get("settings") for one in answer.json()["items"]}
        assert found["1.0.0"]["keys"] == ["token"]
        assert (found["2.0.0"], found["0.9.0"]) == (None, None)
