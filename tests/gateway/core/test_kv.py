"""The key-value store of plugins."""

import asyncio
from datetime import timedelta

import pytest
from nimbus_gateway.core.call_rate import CallRate
from nimbus_gateway.core.kv import service
from nimbus_gateway.core.kv.service import sweep_expired
from nimbus_gateway.database import now

from tests.gateway.support import Nimbus, problem, running_nimbus

pytestmark = pytest.mark.anyio


def path(key: str) -> str:
    return f"/core/v1/kv/{key}"


async def put(client, key: str, value, *, ttl: float | None = None, **headers):
    return await client.put(path(key), json={"value": value, "ttl": ttl}, headers=headers)


class TestEntries:
    @pytest.mark.parametrize("value", [None, 0, "text", [1, {"a": None}], {"nested": {"b": 1.5}}, False])
    async def test_gives_back_what_was_put(self, nimbus: Nimbus, value):
        hello = nimbus.plugin("hello")
        stored = await put(hello, "feeds/news", value)
        assert stored.status_code == 200, stored.text
        found = await hello.get(path("feeds/news"))
        assert found.json().get("value") == value
        assert found.headers["etag"] == stored.headers["etag"] == found.json()["etag"]

    async def test_plugins_do_not_see_each_other(self, nimbus: Nimbus):
        hello, other = nimbus.plugin("hello"), nimbus.plugin("other")
        await put(hello, "mine", 1)
        problem(await other.get(path("mine")), 404, "not-found")
        assert (await other.get("/core/v1/kv")).json()["items"] == []
        assert (await other.delete(path("mine"))).status_code == 204
        await put(other, "mine", 2)
        assert (await hello.get(path("mine"))).json()["value"] == 1

    async def test_lists_a_prefix_in_pages_by_key(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        for key in ("a/1", "a/10", "a/2", "A/3", "a", "a0", "b/1"):
            await put(hello, key, key)
        answer = (await hello.get("/core/v1/kv", params={"prefix": "a/", "limit": 2})).json()
        rest = (await hello.get("/core/v1/kv", params={"prefix": "a/", "cursor": answer["next"]})).json()
        assert [item["key"] for item in answer["items"] + rest["items"]] == ["a/1", "a/10", "a/2"]
        assert rest.get("next") is None
        everything = (await hello.get("/core/v1/kv")).json()["items"]
        assert [item["value"] for item in everything] == ["A/3", "a", "a/1", "a/10", "a/2", "a0", "b/1"]

    @pytest.mark.parametrize("key", ["a b", "x" * 257, "a//b", ".hidden", "ümlaut"])
    async def test_keys_are_plain(self, nimbus: Nimbus, key: str):
        problem(await put(nimbus.plugin("hello"), key, 1), 422, "validation")

    @pytest.mark.parametrize("ttl", [0, -1, "soon"])
    async def test_a_ttl_is_a_positive_number(self, nimbus: Nimbus, ttl):
        body = problem(await put(nimbus.plugin("hello"), "a", 1, ttl=ttl), 422, "validation")
        assert body["errors"][0]["path"] == "/ttl"


class TestCompareAndSet:
    async def test_only_one_of_two_writers_wins(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        tag = (await put(hello, "a", 1)).headers["etag"]
        answers = await asyncio.gather(*(put(hello, "a", number, **{"If-Match": tag}) for number in range(2, 6)))
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
        (won,) = [answer for answer in answers if answer.status_code == 200]
        assert (await hello.get(path("a"))).json() == won.json()
        problem(await hello.delete(path("a"), headers={"If-Match": tag}), 412, "precondition-failed")
        assert (await hello.delete(path("a"), headers={"If-Match": won.headers["etag"]})).status_code == 204

    async def test_only_one_of_many_makes_the_entry(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        answers = await asyncio.gather(*(put(hello, "lock", n, **{"If-None-Match": "*"}) for n in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]

    async def test_a_guard_on_nothing_fails(self, nimbus: Nimbus):
        problem(await put(nimbus.plugin("hello"), "a", 1, **{"If-Match": "*"}), 412, "precondition-failed")


class TestExpiry:
    async def test_what_has_expired_is_not_there(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        hello = nimbus.plugin("hello")
        tag = (await put(hello, "a", 1, ttl=60)).json()["etag"]
        assert (await hello.get(path("a"))).json()["expiresAt"] > (await hello.get(path("a"))).json()["updatedAt"]
        monkeypatch.setattr(service, "now", lambda: now() + timedelta(seconds=61))
        problem(await hello.get(path("a")), 404, "not-found")
        assert (await hello.get("/core/v1/kv")).json()["items"] == []
        problem(await put(hello, "a", 2, **{"If-Match": tag}), 412, "precondition-failed")
        assert (await put(hello, "a", 2, **{"If-None-Match": "*"})).status_code == 200

    async def test_a_sweep_takes_it_off_the_quota(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        hello = nimbus.plugin("hello")
        await put(hello, "gone", "x" * 50, ttl=60)
        await put(hello, "kept", 1)
        monkeypatch.setattr(service, "now", lambda: now() + timedelta(seconds=61))
        async with nimbus.state.database.write() as session:
            assert await sweep_expired(session) == 1
        usage = (await hello.get("/core/v1/kv-usage")).json()
        assert (usage["keys"], usage["bytes"]) == (1, len("kept") + 1)

    async def test_putting_again_without_ttl_keeps_it(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        await put(hello, "a", 1, ttl=60)
        assert (await put(hello, "a", 1)).json().get("expiresAt") is None


async def test_quotas_on_entries_and_bytes(database_url: str, tmp_path):
    async with running_nimbus(tmp_path, database_url, kv_keys=3, kv_bytes=1024) as nimbus:
        hello = nimbus.plugin("hello")
        for number in range(3):
            assert (await put(hello, f"k{number}", number, ttl=60)).status_code == 200
        body = problem(await put(hello, "k3", 1), 413, "quota-exceeded")
        assert (body["quota"], body["keys"]) == ("kv-keys", 3)
        body = problem(await put(hello, "k0", "x" * 2000), 413, "quota-exceeded")
        assert body["quota"] == "kv-bytes"
        assert (await put(nimbus.plugin("other"), "k3", 1)).status_code == 200
        await hello.delete(path("k0"))
        assert (await put(hello, "k3", 1)).status_code == 200
        usage = (await hello.get("/core/v1/kv-usage")).json()
        assert usage == {"keys": 3, "keysLimit": 3, "bytes": 9, "bytesLimit": 1024}


async def test_expired_entries_make_room_at_once(database_url: str, tmp_path, monkeypatch: pytest.MonkeyPatch):
    async with running_nimbus(tmp_path, database_url, kv_keys=1) as nimbus:
        hello = nimbus.plugin("hello")
        await put(hello, "a", 1, ttl=60)
        monkeypatch.setattr(service, "now", lambda: now() + timedelta(seconds=61))
        assert (await put(hello, "b", 1)).status_code == 200


async def test_too_many_calls_are_429(database_url: str, tmp_path):
    async with running_nimbus(tmp_path, database_url, plugin_calls=60) as nimbus:
        hello = nimbus.plugin("hello")
        answers = [await hello.get("/core/v1/self") for _ in range(11)]
        refused = answers[-1]
        assert [answer.status_code for answer in answers[:10]] == [200] * 10
        assert problem(refused, 429, "rate-limited")["quota"] == "calls"
        assert refused.headers["retry-after"] == "1"
        assert (await nimbus.plugin("other").get("/core/v1/self")).status_code == 200


async def test_the_rate_recovers_with_time():
    clock = 0.0
    rate = CallRate(60, lambda: clock)
    assert [rate.take("a") for _ in range(10)] == [0.0] * 10
    assert rate.take("a") == pytest.approx(1.0)
    clock = 0.5
    assert rate.take("a") == pytest.approx(0.5)
    clock = 1.1
    assert rate.take("a") == 0.0
