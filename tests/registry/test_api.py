"""The HTTP API: authentication, answers, the snapshot's long poll, the log stream; and what schemathesis finds."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from nimbus_registry.main import create_app
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.settings import RegistrySettings
from nimbus_registry.workers import LIVE_SECONDS, MAX_WORKERS, Workers
from nimbus_sdk.contracts.snapshot import Snapshot

from tests.registry.conftest import Folder, World
from tests.support.fuzz import send_no_archives

pytestmark = pytest.mark.anyio

send_no_archives()


class TestAccess:
    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
    async def test_only_with_the_service_token(self, world: World, folder: Folder, headers: dict[str, str]) -> None:
        folder.add()
        async with world.registry() as registry:
            del registry.client.headers["Authorization"]
            for method, path in [
                ("GET", "/v1/plugins"),
                ("GET", "/v1/plugins/hello"),
                ("POST", "/v1/plugins/hello/enable"),
                ("POST", "/v1/plugins/scan"),
                ("GET", "/v1/plugins/hello/logs"),
                ("GET", "/v1/snapshot?worker=a"),
                ("DELETE", "/v1/workers/a"),
            ]:
                answer = await registry.client.request(method, path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.json()["type"] == "/problems/unauthenticated"
            assert (await registry.client.get("/healthz")).json()["status"] == "ok"
            assert (await registry.client.get("/readyz")).json() == {
                "status": "ok",
                "database": "ok",
                "runtime": "fake",
                "notice": None,
            }

    async def test_errors_are_problems(self, world: World) -> None:
        async with world.registry() as registry:
            for method, path, status, kind in [
                ("GET", "/v1/plugins/nobody", 404, "/problems/plugin-not-found"),
                ("GET", "/v1/plugins/..%2fx", 404, "/problems/not-found"),
                ("GET", "/v1/plugins/Bad_Id", 422, "/problems/validation"),
                ("GET", "/nowhere", 404, "/problems/not-found"),
                ("PUT", "/v1/plugins", 405, "/problems/method-not-allowed"),
                ("GET", "/v1/snapshot?worker=a&wait=31", 422, "/problems/validation"),
                ("GET", "/v1/snapshot", 422, "/problems/validation"),
            ]:
                answer = await registry.client.request(method, path)
                assert (answer.status_code, answer.json()["type"]) == (status, kind), path
                assert answer.headers["content-type"] == "application/problem+json"
            answer = await registry.client.post("/v1/plugins/nobody/enable", json={})
            assert answer.status_code == 404

    async def test_restart_needs_an_enabled_plugin(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            answer = await registry.ask("restart")
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/plugin-disabled")
            await registry.ask("enable")
            assert (await registry.ask("restart")).status_code == 200
            assert world.engine.started == 2


class TestSnapshot:
    async def test_long_poll(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            answer = await registry.client.get("/v1/snapshot", params={"worker": "w"})
            first = Snapshot.model_validate(answer.json())
            assert first.instance == "test"
            params = {"worker": "w", "serving": first.generation, "wait": 0.1}
            assert (await registry.client.get("/v1/snapshot", params=params)).status_code == 204
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(registry.client.get("/v1/snapshot", params=params | {"wait": 30}))
                await registry.until(lambda: registry.context.workers.live() == {"w": first.generation})
                began = time.monotonic()
                await registry.ask("enable", wait=0)
            assert watching.result().status_code == 200
            assert time.monotonic() - began < 10
            assert watching.result().json()["generation"] > first.generation
            # Another generation than the registry's, later or not, is answered with the registry's.
            params["serving"] = registry.context.ledger.generation + 1000
            assert (await registry.client.get("/v1/snapshot", params=params)).status_code == 200

    async def test_the_end_of_the_registry_cuts_the_wait_short(self, world: World) -> None:
        async with world.registry() as registry, asyncio.TaskGroup() as group:
            serving = registry.context.ledger.generation
            params = {"worker": "w", "serving": serving, "wait": 30}
            watching = group.create_task(registry.client.get("/v1/snapshot", params=params))
            await registry.until(lambda: "w" in registry.context.workers.live())
            registry.context.stopping.set()
            registry.context.ledger.pulse.fire()
            async with asyncio.timeout(5):
                assert (await watching).status_code == 204

    def test_workers(self) -> None:
        now = [0.0]
        workers = Workers(clock=lambda: now[0])
        assert workers.serve(5)
        workers.called("a", None)
        assert not workers.serve(5)
        workers.called("a", 5)
        workers.called("b", 4)
        assert (workers.serve(4), workers.serve(5)) == (True, False)
        workers.left("b")
        assert workers.serve(5)
        workers.called("b", 4)
        now[0] = LIVE_SECONDS + 1
        assert workers.serve(5)
        for number in range(MAX_WORKERS + 50):
            workers.called(f"w{number}", 1)
        assert len(workers.live()) == MAX_WORKERS

    async def test_a_killed_worker_is_not_waited_for(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nimbus_registry.workers.GONE_SECONDS", 0.05)
        async with world.registry() as registry:
            workers, ledger = registry.context.workers, registry.context.ledger
            gone = asyncio.Event()

            async def receive() -> dict[str, Any]:
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(_: dict[str, Any]) -> None: ...

            scope = {
                "type": "http",
                "method": "GET",
                "path": "/v1/snapshot",
                "query_string": f"worker=w&serving={ledger.generation}&wait=30".encode(),
                "headers": [(b"authorization", f"Bearer {registry.context.token}".encode())],
            }
            async with asyncio.TaskGroup() as group:
                group.create_task(registry.app(scope, receive, send))
                await registry.until(lambda: "w" in workers.live())
                waiting = group.create_task(workers.until_serving(ledger.generation + 1, 20))
                await asyncio.sleep(0)
                began = time.monotonic()
                gone.set()
            assert waiting.result()
            assert time.monotonic() - began < 5
            assert workers.live() == {}

    async def test_one_that_calls_again_stays(self) -> None:
        now = [0.0]
        workers = Workers(clock=lambda: now[0])
        before = workers.called("a", 5)
        workers.called("a", 5)
        workers.broke_off(before)
        now[0] = LIVE_SECONDS - 1
        assert workers.live() == {"a": 5}

    async def test_a_worker_that_dies_during_the_wait_ends_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nimbus_registry.workers.LIVE_SECONDS", 0.05)
        workers = Workers()
        workers.called("a", 1)
        async with asyncio.timeout(5):
            assert await workers.until_serving(2, 60)


class TestHistory:
    async def test_pages(self, either_world: World, folder: Folder) -> None:
        folder.add()
        async with either_world.registry() as registry:
            await registry.ask("enable")
            await registry.ask("disable")
            seen, after = [], 0
            while after is not None:
                page = (
                    await registry.client.get("/v1/plugins/hello/transitions", params={"after": after, "limit": 2})
                ).json()
                seen += page["items"]
                after = page.get("next")
            assert [item["toState"] for item in seen] == await registry.history()
            assert [item["id"] for item in seen] == sorted(item["id"] for item in seen)
            assert seen[0]["cause"] == "discovery"
            assert {item["cause"] for item in seen[1:]} == {"user:tester"}

    async def test_bounded(self, either_world: World, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nimbus_registry.store.history.KEPT", 6)
        folder.add()
        folder.add("other")
        async with either_world.registry() as registry:
            for _ in range(3):
                await registry.ask("enable")
                await registry.ask("disable")
            assert (await registry.history())[-1] == "disabled"
            assert len(await registry.history()) == 6
            assert await registry.history("other") == ["disabled"]


class TestLogs:
    async def test_lines(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            registry.runtime.lines["hello"] = ["one", "two\u2028", "\ud800three"]
            answer = await registry.client.get("/v1/plugins/hello/logs", params={"tail": 3})
            assert answer.headers["content-type"] == "application/x-ndjson"
            lines = [json.loads(line) for line in answer.content.split(b"\n") if line]
            assert [line["text"] for line in lines] == ["one", "two\u2028", "?three"]
            assert (await registry.client.get("/v1/plugins/nobody/logs")).status_code == 404
            registry.runtime.down = RuntimeFailure("engine", "engine-down", "The engine is gone.")
            answer = await registry.client.get("/v1/plugins/hello/logs")
            assert "The engine is gone." in answer.json()["text"]
            registry.runtime.down = None


@pytest.mark.slow
async def test_schemathesis_finds_no_5xx_and_no_undeclared_answer(world: World, folder: Folder) -> None:
    folder.add()
    folder.write("broken", "{")
    async with world.registry() as registry:
        schema = schemathesis.openapi.from_dict(registry.app.openapi())
        loop = asyncio.get_running_loop()
        tried: dict[str, int] = {}

        def check(case: schemathesis.Case) -> None:
            arguments = case.as_transport_kwargs(base_url="http://registry")
            headers = dict(arguments.get("headers") or {})
            headers["Authorization"] = registry.client.headers["Authorization"]
            query = {**(arguments.get("params") or {})}
            if "wait" in query:
                query["wait"] = "0"
            if "follow" in query:
                query["follow"] = "false"
            content = {key: arguments[key] for key in ("json", "data") if arguments.get(key) is not None}
            if "data" in content:
                content["content"] = content.pop("data")
            try:
                request = registry.client.build_request(
                    arguments["method"], arguments["url"], headers=headers, params=query, **content
                )
            except (UnicodeEncodeError, httpx.InvalidURL, TypeError, ValueError):
                return
            future = asyncio.run_coroutine_threadsafe(registry.client.send(request), loop)
            answer = future.result(timeout=30)
            tried[case.operation.label] = tried.get(case.operation.label, 0) + 1
            assert answer.status_code < 500, (case.operation.label, answer.text)
            declared = case.operation.definition.raw["responses"]
            assert str(answer.status_code) in declared or answer.status_code in {404, 405, 422}, answer.status_code

        def explore() -> None:
            for result in schema.get_all_operations():
                operation = result.ok()

                @settings(
                    max_examples=25,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy())
                def run(case: schemathesis.Case) -> None:
                    check(case)

                run()

        await asyncio.to_thread(explore)
        operations = {operation.ok().label for operation in schema.get_all_operations()}
        assert set(tried) == operations, operations - set(tried)
        assert len(operations) >= 15
        assert (await registry.client.get("/healthz")).status_code == 200


def test_the_openapi_document_needs_nothing_running() -> None:
    document = create_app(RegistrySettings()).openapi()
    assert document["openapi"].startswith("3.1")
    assert "Problem" in document["components"]["schemas"]
    assert "/v1/plugins/{plugin_id}/enable" in document["paths"]
