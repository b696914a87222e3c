"""System, health, metrics, documentation, errors, and life without a database."""

import pytest
from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.snapshots import SnapshotStore
from nimbus_gateway.system import System, notices
from sqlalchemy.exc import OperationalError

from tests.gateway.support import ADMIN_PASSWORD, Nimbus, problem

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class TestSystem:
    async def test_tells_everybody_the_basics_and_users_the_notices(self, nimbus: Nimbus):
        nimbus.registry.reachable = False
        public = (await nimbus.client().get("/api/system")).json()
        assert public["name"] == "Nimbus"
        assert public["registryReachable"] is False
        assert public["setupNeeded"] is False
        assert public["notices"] == []
        assert (await (await nimbus.user()).get("/api/system")).json()["notices"][0]["level"] == "error"

    async def test_says_what_people_should_know(self):
        view = System(
            version="1",
            plugins_enabled=False,
            safe_mode=True,
            setup_needed=False,
            runtime="process",
            registry_reachable=True,
        )
        assert [notice.level for notice in notices(view)] == ["warning", "warning", "info"]

    async def test_the_configuration_shows_what_is_set_and_never_a_secret(self, nimbus: Nimbus):
        answer = await (await nimbus.admin()).get("/api/admin/system/configuration")
        found = {view["name"]: view for view in answer.json()["settings"]}
        assert found["NIMBUS_WORKERS"]["value"] == "1"
        assert found["NIMBUS_DATA_DIR"]["changed"] is True
        assert found["NIMBUS_ADMIN_PASSWORD"] | {"description": ""} == {
            "name": "NIMBUS_ADMIN_PASSWORD",
            "value": None,
            "secret": True,
            "changed": True,
            "description": "",
        }
        assert found["NIMBUS_GATEWAY_DATABASE_URL"]["value"] is None
        assert ADMIN_PASSWORD not in answer.text
        assert (await (await nimbus.user()).get("/api/admin/system/configuration")).status_code == 403


class TestHealth:
    async def test_live(self, nimbus: Nimbus):
        assert (await nimbus.client().get("/healthz")).json() == {"status": "ok"}

    async def test_ready_with_each_dependency(self, nimbus: Nimbus):
        answer = await nimbus.client().get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["status"] == "ok"
        assert set(answer.json()["checks"]) == {"database", "registry", "snapshot"}

    async def test_serves_on_without_the_registry(self, nimbus: Nimbus):
        nimbus.registry.reachable = False
        answer = await nimbus.client().get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")

    async def test_not_ready_before_the_first_snapshot(self, nimbus: Nimbus):
        nimbus.state.snapshots = SnapshotStore()
        answer = await nimbus.client().get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")


class TestMetrics:
    async def test_needs_the_scope(self, nimbus: Nimbus):
        problem(await nimbus.client().get("/metrics"), 401, "unauthenticated")
        problem(await (await nimbus.with_key("media:read")).get("/metrics"), 403, "permission-missing")
        problem(await (await nimbus.user()).get("/metrics"), 403, "forbidden")
        answer = await (await nimbus.with_key("metrics:read")).get("/metrics")
        assert answer.status_code == 200
        assert "nimbus_requests" in answer.text


class TestDocumentation:
    async def test_the_page_needs_no_other_host(self, nimbus: Nimbus):
        client = nimbus.client()
        page = await client.get("/api/docs")
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        for path in ("/api/docs/docs.js", "/api/docs/docs.css"):
            assert path in page.text
            assert (await client.get(path)).status_code == 200
        assert "http://" not in page.text
        assert "https://" not in page.text

    async def test_openapi_describes_every_error(self, nimbus: Nimbus):
        document = (await nimbus.client().get("/api/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
        assert len(ids) == len(set(ids))
        assert {"plugins_list", "plugins_enable", "auth_login", "events_stream"} <= set(ids)
        refused = document["paths"]["/api/auth/me"]["get"]["responses"]["401"]["content"]
        assert refused == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        assert "HTTPValidationError" not in str(document)


class TestErrors:
    async def test_unknown_addresses_and_methods_are_problems(self, nimbus: Nimbus):
        problem(await nimbus.client().get("/api/nothing"), 404, "not-found")
        answer = await nimbus.client().delete("/api/auth/me")
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == "GET"

    async def test_answers_are_not_cached_or_sniffed(self, nimbus: Nimbus):
        headers = (await nimbus.client().get("/api/system")).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"

    async def test_a_body_of_another_type_is_named(self, nimbus: Nimbus):
        answer = await nimbus.client().post("/api/auth/login", content=b"a=b", headers={"content-type": "text/plain"})
        problem(answer, 422, "validation")


class TestWithoutDatabase:
    @pytest.fixture
    async def parts(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        """A signed-in browser; then the database goes away as a refused connection does."""
        browser = await nimbus.admin()
        await browser.get("/api/auth/me")

        def refuse(*_: object, **__: object):
            raise OperationalError("connect", None, ConnectionRefusedError("refused"))

        monkeypatch.setattr(nimbus.state.database.engine.sync_engine.pool, "connect", refuse)
        return nimbus, browser

    async def test_lists_from_memory_go_on(self, parts):
        _, browser = parts
        assert (await browser.get("/api/plugins")).status_code == 200
        assert (await browser.get("/api/ui/manifests")).status_code == 200
        assert (await browser.get("/api/system")).status_code == 200

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/api/auth/me", None),
            ("GET", "/api/media", None),
            ("POST", "/api/media", {"kind": "movie", "title": "M"}),
            ("GET", "/api/admin/users", None),
            ("POST", "/api/auth/login", {"username": "admin", "password": ADMIN_PASSWORD}),
        ],
    )
    async def test_what_needs_it_is_503(self, parts, method: str, path: str, body):
        answer = await parts[1].request(method, path, json=body)
        problem(answer, 503, "database-unavailable")
        assert answer.headers["retry-after"] == "2"

    async def test_an_unknown_session_is_503_not_401(self, parts):
        nimbus, _ = parts
        stranger = nimbus.client(headers={"Cookie": "nimbus_session=unknown"})
        problem(await stranger.get("/api/plugins"), 503, "database-unavailable")

    async def test_plugins_are_told_too(self, parts):
        nimbus, _ = parts
        hello = nimbus.plugin("hello")
        assert (await hello.get("/core/v1/self")).status_code == 200
        problem(await hello.get("/core/v1/media"), 503, "database-unavailable")
        entries = {"entries": [{"message": "x"}]}
        problem(await hello.post("/core/v1/logs", json=entries), 503, "database-unavailable")

    async def test_ready_but_degraded(self, parts):
        answer = (await parts[1].get("/readyz")).json()
        assert answer["status"] == "degraded"
        assert answer["checks"]["database"]["ok"] is False

    async def test_a_change_of_a_plugin_still_works(self, parts):
        assert (await parts[1].post("/api/plugins/hello/disable")).status_code == 200

    async def test_the_transaction_says_so(self, parts):
        with pytest.raises(DatabaseUnavailableError):
            await parts[0].state.database.ping()
