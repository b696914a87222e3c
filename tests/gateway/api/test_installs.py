"""The façade for installing plugins: what is passed on, recorded, and told to whoever follows."""

from datetime import UTC, datetime

import pytest
from nimbus_gateway.core.events.outbox import NewEvent, emit_all
from nimbus_gateway.core.events.tables import DeliveryRow, SubscriberRow
from nimbus_gateway.core.logs.tables import PluginLogLine
from nimbus_gateway.errors import RegistryUnavailableError
from nimbus_gateway.events.stream import changed_events
from nimbus_sdk.contracts.install import InstallJobList, InstallResult, PluginPermissions, Risk, UninstallResult
from nimbus_sdk.contracts.jobs import InstallJob, PullLayer
from nimbus_sdk.contracts.snapshot import Snapshot
from sqlmodel import select

from tests.gateway.support import Nimbus, plugin, problem

pytestmark = pytest.mark.anyio

JOB = InstallJob(
    id="j1", kind="install", source="image:a/b:1", state="running", message="x", started_at=datetime.now(UTC)
)
PERMISSIONS = PluginPermissions(
    plugin_id="hello",
    version="1.0.0",
    requested=[],
    decided=True,
    risk=Risk(score=0, level="low", factors=[]),
)


class TestInstall:
    async def test_is_for_administrators(self, nimbus: Nimbus):
        user = await nimbus.user()
        problem(await user.post("/api/admin/plugins", json={"image": "a/b:1"}), 403, "forbidden")
        assert nimbus.registry.calls == []

    async def test_passes_on_and_records(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        done = JOB.model_copy(update={"state": "done"})
        nimbus.registry.answers["POST", "/v1/plugins"] = InstallResult(
            job=done, plugin=plugin("fresh").detail, permissions=PERMISSIONS
        )
        answer = await admin.post("/api/admin/plugins", params={"wait": 5}, json={"image": "a/b:1", "grant": []})
        assert answer.status_code == 201, answer.text
        assert answer.json()["plugin"]["id"] == "fresh"
        _, _, options = nimbus.registry.calls[0]
        assert options["params"]["wait"] == 5
        assert options["params"]["cause"].startswith("user:")
        assert options["body"].grant == []
        entries = (await admin.get("/api/admin/audit")).json()["items"]
        assert ("plugin.install", "plugin:fresh") in [(entry["action"], entry["target"]) for entry in entries]

    async def test_is_still_under_way(self, nimbus: Nimbus):
        nimbus.registry.answers["POST", "/v1/plugins"] = InstallResult(job=JOB)
        answer = await (await nimbus.admin()).post("/api/admin/plugins", json={"image": "a/b:1"})
        assert answer.status_code == 202
        assert answer.json()["job"]["id"] == "j1"

    @pytest.mark.parametrize(
        "body", [{}, {"image": "a/b", "path": "c"}, {"image": "a b"}, {"image": "a", "pull": "x"}]
    )
    async def test_refuses_what_is_no_source(self, nimbus: Nimbus, body: dict[str, str]):
        problem(await (await nimbus.admin()).post("/api/admin/plugins", json=body), 422, "validation")
        assert nimbus.registry.calls == []

    async def test_an_absent_registry(self, nimbus: Nimbus):
        nimbus.registry.failure = RegistryUnavailableError("away", retry_after=2)
        answer = await (await nimbus.admin()).post("/api/admin/plugins", json={"image": "a/b:1"})
        problem(answer, 503, "registry-unavailable")

    async def test_lists_jobs(self, nimbus: Nimbus):
        nimbus.registry.answers["GET", "/v1/installs"] = InstallJobList(items=[JOB])
        answer = await (await nimbus.admin()).get("/api/admin/plugins/installs")
        assert [one["id"] for one in answer.json()["items"]] == ["j1"]


class TestPermissions:
    async def test_reads_and_decides(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        path = "/v1/plugins/hello/permissions"
        nimbus.registry.answers["GET", path] = nimbus.registry.answers["PUT", path] = PERMISSIONS
        assert (await admin.get("/api/admin/plugins/hello/permissions")).json()["risk"]["level"] == "low"
        answer = await admin.put("/api/admin/plugins/hello/permissions", json={"grant": ["media:read"]})
        assert answer.status_code == 200
        assert nimbus.registry.calls[-1][2]["body"].grant == ["media:read"]
        problem(await admin.get("/api/admin/plugins/nobody/permissions"), 404, "plugin-not-found")


class TestUninstall:
    @pytest.mark.parametrize("delete", [True, False])
    async def test_deletes_what_the_core_keeps_when_asked(self, nimbus: Nimbus, delete: bool):
        admin = await nimbus.admin()
        done = UninstallResult(plugin_id="hello", data_deleted=delete, still_listed=False)
        nimbus.registry.answers["DELETE", "/v1/plugins/hello"] = done
        async with nimbus.state.database.write() as session:
            session.add(PluginLogLine(plugin_id="hello", level="info", message="hi", at=datetime.now(UTC)))
            session.add(PluginLogLine(plugin_id="other", level="info", message="hi", at=datetime.now(UTC)))
        params = {"deleteData": "true"} if delete else {}
        answer = await admin.delete("/api/admin/plugins/hello", params=params)
        assert answer.status_code == 200, answer.text
        assert nimbus.registry.calls[-1][2]["params"].get("deleteData") == params.get("deleteData")
        async with nimbus.state.database.read() as session:
            kept = {line.plugin_id for line in (await session.exec(select(PluginLogLine))).all()}
        assert kept == ({"other"} if delete else {"hello", "other"})

    async def test_what_could_not_be_deleted_is_deleted_by_asking_again(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        async with nimbus.state.database.write() as session:
            session.add(PluginLogLine(plugin_id="gone", level="info", message="hi", at=datetime.now(UTC)))
        # The registry has forgotten the plugin; the core could not reach its database when it had its turn.
        problem(await admin.delete("/api/admin/plugins/gone"), 404, "plugin-not-found")
        again = await admin.delete("/api/admin/plugins/gone", params={"deleteData": "true"})
        assert again.status_code == 200, again.text
        assert again.json()["dataDeleted"] is True
        problem(await admin.delete("/api/admin/plugins/gone", params={"deleteData": "true"}), 404, "plugin-not-found")

    async def test_what_waits_for_it_goes(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        done = UninstallResult(plugin_id="hello", data_deleted=False, still_listed=False)
        nimbus.registry.answers["DELETE", "/v1/plugins/hello"] = done
        names = ("plugin:hello", "schedule:hello:sweep", "plugin:hello-two", "schedule:hello-two:sweep")
        async with nimbus.state.database.write() as session:
            for name in names:
                await session.merge(SubscriberRow(name=name))
            await emit_all(session, [NewEvent("plugin.a.b", to=names)])
        assert (await admin.delete("/api/admin/plugins/hello")).status_code == 200
        async with nimbus.state.database.read() as session:
            waiting = set((await session.exec(select(DeliveryRow.subscriber))).all())
        assert waiting == {"plugin:hello-two", "schedule:hello-two:sweep"}


def test_only_administrators_hear_of_installs():
    layer = PullLayer(id="a", status="Downloading", current=1, total=2)
    old = Snapshot(generation=1, instance="t", installs=[JOB])
    moved = Snapshot(generation=2, instance="t", installs=[JOB.model_copy(update={"layers": [layer]})])
    none = Snapshot(generation=3, instance="t")
    assert b"event: install\n" in changed_events(old, moved, admin=True)[0]
    assert b'"current":1' in changed_events(old, moved, admin=True)[0]
    assert b"event: install-ended\n" in changed_events(moved, none, admin=True)[0]
    assert b"event:" not in changed_events(old, moved)[0]
