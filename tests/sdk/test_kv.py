"""The key-value store in the test kit: what only a test can make happen. How calls behave is in test_core_parity."""

import pytest
from nimbus_sdk import Kv, Plugin, QuotaExceeded
from nimbus_sdk.testing import PluginTestClient

from tests.sdk.conftest import MakePlugin


@pytest.fixture
def plugin(make_plugin: MakePlugin) -> Plugin:
    plugin = make_plugin()

    @plugin.get("/open")
    async def count(kv: Kv) -> int:
        seen = int(await kv.get("count", 0)) + 1
        await kv.put("count", seen, ttl=60)
        return seen

    return plugin


def test_a_test_fills_it_lets_time_pass_and_looks(plugin: Plugin) -> None:
    with PluginTestClient(plugin) as client:
        client.core.kv["count"] = 7
        assert client.anonymous().get("/open").json() == 8
        client.core.kv.expire("count")
        assert dict(client.core.kv) == {}
        assert client.anonymous().get("/open").json() == 1
        assert client.core.kv["count"] == 1
        del client.core.kv["count"]
        assert "count" not in client.core.kv


@pytest.mark.parametrize("limit", [{"keys_limit": 1}, {"bytes_limit": 10}])
def test_a_full_store_says_so(plugin: Plugin, limit: dict[str, int]) -> None:
    with PluginTestClient(plugin) as client:
        for name, value in limit.items():
            setattr(client.core.kv, name, value)
        client.core.kv["a"] = 1
        with pytest.raises(QuotaExceeded, match="at most"):
            client.call(lambda: plugin.core.kv.put("b", "some more text"))
