"""The doctor and the figures of plugins, as administrators and Prometheus get them."""

import pytest
from nimbus_gateway.errors import RegistryUnavailableError
from nimbus_gateway.plugins.platform_calls import build_management_api
from nimbus_gateway.plugins.plugin_metrics import families
from nimbus_sdk.contracts.inspection import DataUse, PluginMetrics

from tests.gateway.support import START, Nimbus, problem

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class TestDoctor:
    async def test_names_the_first_hop_that_fails(self, nimbus: Nimbus):
        found = (await (await nimbus.admin()).get("/api/admin/plugins/hello/doctor")).json()
        assert (found["healthy"], found["firstFailed"]) == (False, "tcp")
        assert found["checks"][0]["hint"] == "Listen."

    async def test_is_for_administrators(self, nimbus: Nimbus):
        problem(await (await nimbus.user()).get("/api/admin/plugins/hello/doctor"), 403, "forbidden")

    async def test_of_an_unknown_plugin_is_404(self, nimbus: Nimbus):
        problem(await (await nimbus.admin()).get("/api/admin/plugins/nope/doctor"), 404, "plugin-not-found")

    async def test_without_the_registry_is_503(self, nimbus: Nimbus):
        nimbus.registry.failure = RegistryUnavailableError("away", retry_after=2)
        answer = await (await nimbus.admin()).get("/api/admin/plugins/hello/doctor")
        problem(answer, 503, "registry-unavailable")


class TestMetrics:
    async def test_shows_use_limits_and_history(self, nimbus: Nimbus):
        found = (await (await nimbus.admin()).get("/api/admin/plugins/hello/metrics")).json()
        assert (found["restarts"], found["memoryLimit"], found["current"]["cpu"]) == (3, 2000, 0.25)
        assert len(found["history"]) == 1

    async def test_goes_as_far_back_as_asked(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        for query in ("", "?span=24h"):
            assert (await admin.get(f"/api/admin/plugins/hello/metrics{query}")).status_code == 200
        assert nimbus.registry.spans == ["1h", "24h"]
        assert (await admin.get("/api/admin/plugins/hello/metrics?span=1y")).status_code == 422

    async def test_prometheus_gets_them_on_the_management_port(self, nimbus: Nimbus):
        text = (await nimbus.client(build_management_api(nimbus.state, "token")).get("/metrics")).text
        assert 'nimbus_plugin_restarts_total{plugin="hello"} 3.0' in text
        assert 'nimbus_plugin_memory_bytes{plugin="hello"} 1000.0' in text
        assert 'nimbus_plugin_state{plugin="hello",state="ready"} 1.0' in text
        assert 'nimbus_plugin_state{plugin="hello",state="failed"} 0.0' in text
        assert "nimbus_requests" in text

    async def test_the_gateways_own_figures_need_no_registry(self, nimbus: Nimbus):
        nimbus.registry.failure = RegistryUnavailableError("away", retry_after=2)
        answer = await nimbus.client(build_management_api(nimbus.state, "token")).get("/metrics")
        assert answer.status_code == 200
        assert "nimbus_requests" in answer.text
        assert "nimbus_plugin_" not in answer.text

    async def test_a_figure_that_is_not_known_has_no_line(self):
        asleep = PluginMetrics(plugin_id="asleep", state="disabled", restarts=0, failures=0, interval=10)
        lines = {sample.name: sample.value for family in families([asleep]) for sample in family.samples}
        assert lines["nimbus_plugin_restarts_total"] == 0
        assert "nimbus_plugin_memory_bytes" not in lines
        assert "nimbus_plugin_data_bytes" not in lines

    async def test_data_have_lines(self):
        data = DataUse(used_bytes=7, limit_bytes=100, measured_at=START)
        keeps = PluginMetrics(plugin_id="keeps", state="ready", restarts=0, failures=0, interval=10, data=data)
        lines = {sample.name: sample.value for family in families([keeps]) for sample in family.samples}
        assert (lines["nimbus_plugin_data_bytes"], lines["nimbus_plugin_data_limit_bytes"]) == (7, 100)


class TestOrphans:
    async def test_are_listed_and_collected(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        assert [item["name"] for item in (await admin.get("/api/admin/orphans")).json()["items"]] == ["old:1"]
        found = (await admin.post("/api/admin/orphans/collect")).json()
        assert ([item["name"] for item in found["removed"]], found["items"]) == (["old:1"], [])
        audit = (await admin.get("/api/admin/audit")).json()["items"]
        assert "orphans.collect" in {entry["action"] for entry in audit}

    async def test_are_for_administrators(self, nimbus: Nimbus):
        problem(await (await nimbus.user()).post("/api/admin/orphans/collect"), 403, "forbidden")
