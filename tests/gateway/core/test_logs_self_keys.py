"""Log lines, the caller itself, and the public keys."""

import pytest
from nimbus_gateway.core.logs import service
from nimbus_gateway.core.logs.service import PluginLogs
from nimbus_gateway.core.permissions import granted
from nimbus_sdk.contracts.snapshot import Snapshot

from tests.gateway.support import Nimbus, problem

pytestmark = pytest.mark.anyio


async def kept(nimbus: Nimbus, plugin_id: str) -> list[str]:
    async with nimbus.state.database.read() as session:
        return [row.message for row in await PluginLogs(session, plugin_id).tail(1000)]


class TestLogs:
    async def test_keeps_a_batch_in_order(self, nimbus: Nimbus):
        entries = [
            {"message": "one", "level": "error", "fields": {"count": 1}},
            {"message": "two", "at": "2026-05-01T10:00:00+02:00"},
            {"message": "three", "at": "2026-05-01T10:00:00"},
            {"message": "four", "at": "0001-01-01T00:00:00+14:00"},
        ]
        answer = await nimbus.plugin("hello").post("/core/v1/logs", json={"entries": entries})
        assert (answer.status_code, answer.content) == (202, b"")
        assert await kept(nimbus, "hello") == ["one", "two", "three", "four"]
        assert await kept(nimbus, "other") == []

    async def test_keeps_the_newest_of_each_plugin(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(service, "KEPT_PER_PLUGIN", 5)
        hello, other = nimbus.plugin("hello"), nimbus.plugin("other")
        await other.post("/core/v1/logs", json={"entries": [{"message": "mine"}]})
        for start in (0, 4, 8):
            entries = [{"message": str(number)} for number in range(start, start + 4)]
            await hello.post("/core/v1/logs", json={"entries": entries})
        assert await kept(nimbus, "hello") == ["7", "8", "9", "10", "11"]
        assert await kept(nimbus, "other") == ["mine"]

    @pytest.mark.parametrize(
        "entries", [[], [{}], [{"message": "x", "level": "loud"}], [{"message": "x" * 9000}], [{"message": "\x00"}]]
    )
    async def test_bad_batches_are_refused(self, nimbus: Nimbus, entries: list):
        answer = await nimbus.plugin("hello").post("/core/v1/logs", json={"entries": entries})
        problem(answer, 422, "validation")

    async def test_nobody_is_401(self, nimbus: Nimbus):
        answer = await nimbus.client(nimbus.core_app).post("/core/v1/logs", json={"entries": [{"message": "x"}]})
        problem(answer, 401, "unauthenticated")


class TestSelf:
    async def test_tells_who_calls(self, nimbus: Nimbus):
        assert (await nimbus.plugin("hello").get("/core/v1/self")).json() == {
            "id": "hello",
            "version": "1.0.0",
            "permissions": ["media:read", "media:write"],
            "instance": "nimbus",
        }

    async def test_a_revoked_token_is_nobody_at_once(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        assert (await hello.get("/core/v1/self")).status_code == 200
        nimbus.state.snapshots.swap(Snapshot(generation=2, instance="test", plugins=[]))
        problem(await hello.get("/core/v1/self"), 401, "unauthenticated")

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic x", "Bearer " + "x" * 9999, "Bearer é"])
    async def test_other_credentials_are_nobody(self, nimbus: Nimbus, header: str):
        client = nimbus.client(nimbus.core_app)
        answer = await client.get("/core/v1/self", headers={"Authorization": header.encode()})
        problem(answer, 401, "unauthenticated")

    async def test_a_session_is_no_plugin(self, nimbus: Nimbus):
        token = (await nimbus.admin()).cookies["nimbus_session"]
        client = nimbus.client(nimbus.core_app, headers={"Cookie": f"nimbus_session={token}"})
        problem(await client.get("/core/v1/self"), 401, "unauthenticated")


class TestKeys:
    async def test_are_public(self, nimbus: Nimbus):
        answer = await nimbus.client(nimbus.core_app).get("/core/v1/keys")
        assert answer.status_code == 200
        assert {key["crv"] for key in answer.json()["keys"]} == {"Ed25519"}
        assert all("d" not in key for key in answer.json()["keys"])


@pytest.mark.parametrize(
    ("permission", "grants", "expected"),
    [
        ("media:read", ["media:read"], True),
        ("media:read", ["media:*"], True),
        ("media:write", ["media:read"], False),
        ("plugins:call:indexer", ["plugins:call:*"], True),
        ("plugins:call:indexer", ["plugins:*"], False),
        ("media:read", [], False),
    ],
)
async def test_grants(permission: str, grants: list[str], expected: bool):
    assert granted(permission, grants) is expected
