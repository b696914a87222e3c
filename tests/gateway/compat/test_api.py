"""Mapping compatibility ports, as administrators do it, and how other workers hear of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nimbus_gateway.proxy.streams import CallbackStream
from nimbus_sdk.contracts.snapshot import Snapshot

from tests.gateway.support import Nimbus, plugin, problem, running_nimbus
from tests.support.gateway import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PORTS = "8989-8991"
ROUTES = [
    {"path": "/api/v3/series", "methods": ["GET"], "auth": "apikey", "tag": "compat:sonarr"},
    {"path": "/else", "methods": ["GET"], "auth": "none"},
]
SERIES = {"pluginId": "series"}


def publish(nimbus: Nimbus) -> None:
    plugins = [plugin("series", routes=ROUTES), plugin("films", routes=ROUTES), plugin("hello")]
    nimbus.state.snapshots.swap(Snapshot(generation=2, instance="test", plugins=plugins))


@pytest.fixture
async def nimbus(tmp_path: Path, database_url: str) -> AsyncIterator[Nimbus]:
    async with running_nimbus(tmp_path, database_url, compat_ports=PORTS) as found:
        publish(found)
        yield found


class TestMapping:
    async def test_a_port_is_mapped_shown_and_freed(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        answer = await admin.put("/api/admin/compat-ports/8990", json=SERIES)
        assert answer.status_code == 200, answer.text
        mapped = answer.json()
        assert (mapped["pluginId"], mapped["pluginName"], mapped["products"]) == ("series", "Series", ["sonarr"])
        assert nimbus.state.compat_ports.plugin_at(8990) == "series"
        items = (await admin.get("/api/admin/compat-ports")).json()["items"]
        assert [(item["port"], item.get("pluginId"), item["bound"]) for item in items] == [
            (8989, None, True),
            (8990, "series", True),
            (8991, None, True),
        ]
        assert (await admin.get("/api/plugins/series")).json()["compatPorts"] == [8990]
        listed = (await admin.get("/api/admin/plugins")).json()["items"]
        assert {item["id"]: item["compatPorts"] for item in listed} == {"series": [8990], "films": [], "hello": []}
        assert (await admin.delete("/api/admin/compat-ports/8990")).status_code == 204
        assert nimbus.state.compat_ports.plugin_at(8990) is None
        assert (await admin.get("/api/plugins/series")).json()["compatPorts"] == []

    async def test_freeing_a_port_ends_what_came_in_on_it(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        for port in (8989, 8990):
            assert (await admin.put(f"/api/admin/compat-ports/{port}", json=SERIES)).status_code == 200
        ended: list[int] = []
        under_way: dict[int, CallbackStream] = {}
        for port in (8989, 8990):

            def end(_: str, port: int = port) -> None:
                ended.append(port)
                nimbus.state.streams.discard(under_way[port])  # as whoever serves it does

            under_way[port] = CallbackStream("series", None, end, lasting=True, port=port)
            nimbus.state.streams.add(under_way[port])
        assert (await admin.delete("/api/admin/compat-ports/8990")).status_code == 204
        await eventually(lambda: ended == [8990], seconds=10)

    async def test_is_recorded_once(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        for _ in range(2):
            assert (await admin.put("/api/admin/compat-ports/8989", json=SERIES)).status_code == 200
        await admin.delete("/api/admin/compat-ports/8989")
        entries = (await admin.get("/api/admin/audit", params={"target": "plugin:series"})).json()["items"]
        assert [(entry["action"], entry["detail"]) for entry in entries] == [
            ("compat-port.free", {"port": 8989}),
            ("compat-port.map", {"port": 8989}),
        ]

    async def test_an_api_key_with_the_scope(self, nimbus: Nimbus):
        script = await nimbus.with_key("plugins:write")
        assert (await script.put("/api/admin/compat-ports/8989", json=SERIES)).status_code == 200
        problem(await script.get("/api/admin/compat-ports"), 403, "permission-missing")

    async def test_another_plugins_port_is_409(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        await admin.put("/api/admin/compat-ports/8989", json=SERIES)
        found = problem(
            await admin.put("/api/admin/compat-ports/8989", json={"pluginId": "films"}), 409, "compat-port-taken"
        )
        assert "'series'" in found["detail"]
        assert nimbus.state.compat_ports.plugin_at(8989) == "series"

    async def test_two_at_once_get_one_port(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        answers = await asyncio.gather(
            *(admin.put("/api/admin/compat-ports/8989", json={"pluginId": name}) for name in ("series", "films"))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]

    @pytest.mark.parametrize(
        ("port", "plugin_id", "refused", "says"),
        [
            (9100, "series", (422, "validation"), "8989-8991"),
            (8989, "hello", (409, "no-compat-routes"), "tag"),
            (8989, "nope", (404, "plugin-not-found"), "nope"),
            (0, "series", (422, "validation"), ""),
        ],
    )
    async def test_what_cannot_be_mapped_says_why(
        self, nimbus: Nimbus, port: int, plugin_id: str, refused: tuple[int, str], says: str
    ):
        admin = await nimbus.admin()
        answer = await admin.put(f"/api/admin/compat-ports/{port}", json={"pluginId": plugin_id})
        assert says in problem(answer, *refused).get("detail", "")

    async def test_a_free_port_cannot_be_freed(self, nimbus: Nimbus):
        problem(await (await nimbus.admin()).delete("/api/admin/compat-ports/8989"), 404, "compat-port-unmapped")

    async def test_others_may_not(self, nimbus: Nimbus):
        user = await nimbus.user()
        problem(await user.put("/api/admin/compat-ports/8989", json=SERIES), 403, "forbidden")
        problem(await nimbus.client().get("/api/admin/compat-ports"), 401, "unauthenticated")

    async def test_without_a_range_it_says_what_to_set(self, tmp_path: Path, database_url: str):
        async with running_nimbus(tmp_path / "bare", database_url) as bare:
            publish(bare)
            answer = await (await bare.admin()).put("/api/admin/compat-ports/8989", json=SERIES)
            assert "NIMBUS_COMPAT_PORTS" in problem(answer, 422, "validation")["detail"]


class TestEveryWorker:
    async def test_others_hear_of_it_within_a_second(self, nimbus: Nimbus, database_url: str, tmp_path: Path):
        async with running_nimbus(tmp_path / "second", database_url, compat_ports=PORTS) as second:
            admin = await nimbus.admin()
            await admin.put("/api/admin/compat-ports/8989", json=SERIES)
            await eventually(lambda: second.state.compat_ports.plugin_at(8989) == "series", seconds=3)
            await admin.delete("/api/admin/compat-ports/8989")
            await eventually(lambda: second.state.compat_ports.plugin_at(8989) is None, seconds=3)

    async def test_it_is_kept(self, nimbus: Nimbus, database_url: str, tmp_path: Path):
        await (await nimbus.admin()).put("/api/admin/compat-ports/8989", json=SERIES)
        async with running_nimbus(tmp_path / "later", database_url, compat_ports="7000") as later:
            publish(later)
            items = (await (await later.admin()).get("/api/admin/compat-ports")).json()["items"]
            assert [(item["port"], item["bound"], item.get("pluginId")) for item in items] == [
                (7000, True, None),
                (8989, False, "series"),
            ]
