"""Accounts and API keys in the hands of administrators."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.gateway.support import ADMIN_PASSWORD, Nimbus, problem

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
MISSING = "01a20738-fd42-720a-9485-7e805bd2de20"
ADA = {"username": "ada", "password": "ada has a password"}


async def own_id(browser) -> str:
    return (await browser.get("/api/auth/me")).json()["id"]


class TestAccess:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/admin/users"),
            ("POST", "/api/admin/users"),
            ("PATCH", f"/api/admin/users/{MISSING}"),
            ("DELETE", f"/api/admin/users/{MISSING}"),
            ("GET", "/api/admin/api-keys"),
            ("POST", "/api/admin/api-keys"),
            ("DELETE", f"/api/admin/api-keys/{MISSING}"),
            ("GET", "/api/admin/audit"),
            ("GET", "/api/admin/plugins"),
            ("POST", "/api/admin/plugins/scan"),
            ("POST", "/api/admin/plugins/hello/restart"),
            ("GET", "/api/admin/plugins/hello/transitions"),
            ("GET", "/api/admin/plugins/hello/logs"),
            ("GET", "/api/admin/plugins/hello/config"),
            ("PUT", "/api/admin/plugins/hello/config"),
        ],
    )
    async def test_only_administrators(self, nimbus: Nimbus, method: str, path: str):
        body = {"json": {"username": "eve", "password": "eve's password", "name": "x", "values": {}}}
        body = body if method in {"POST", "PUT", "PATCH"} else {}
        problem(await nimbus.client().request(method, path, **body), 401, "unauthenticated")
        problem(await (await nimbus.user()).request(method, path, **body), 403, "forbidden")
        robot = await nimbus.with_key("plugins:write", "media:write")
        problem(await robot.request(method, path, **body), 403, "forbidden")


class TestUsersList:
    async def test_pages_through_everybody(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        for number in range(4):
            body = {"username": f"user{number}", "password": "password"}
            assert (await admin.post("/api/admin/users", json=body)).status_code == 201
        first = (await admin.get("/api/admin/users", params={"limit": 3})).json()
        rest = (await admin.get("/api/admin/users", params={"limit": 3, "cursor": first["next"]})).json()
        names = [user["username"] for user in first["items"] + rest["items"]]
        assert names == ["admin", "user0", "user1", "user2", "user3"]
        assert rest["next"] is None

    @pytest.mark.parametrize("query", [{"cursor": "nonsense"}, {"limit": 0}, {"limit": 1000}])
    async def test_refuses_bad_pages(self, nimbus: Nimbus, query: dict[str, object]):
        problem(await (await nimbus.admin()).get("/api/admin/users", params=query), 422, "validation")


class TestUsersCreate:
    async def test_adds_somebody_who_can_sign_in(self, nimbus: Nimbus):
        answer = await (await nimbus.admin()).post("/api/admin/users", json={**ADA, "role": "admin"})
        assert answer.status_code == 201
        assert answer.json()["role"] == "admin"
        assert "password" not in answer.text.lower()
        await nimbus.signed_in("ada", ADA["password"])

    @pytest.mark.parametrize("name", ["ada", "ADA", "\uff41\uff44\uff41"])
    async def test_names_are_unique_however_written(self, nimbus: Nimbus, name: str):
        admin = await nimbus.admin()
        await admin.post("/api/admin/users", json=ADA)
        problem(await admin.post("/api/admin/users", json={**ADA, "username": name}), 409, "conflict")

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"username": "two words"}, "/username"),
            ({"username": ""}, "/username"),
            ({"username": "ﷺ" * 64}, "/username"),
            ({"password": "short"}, "/password"),
            ({"role": "owner"}, "/role"),
        ],
    )
    async def test_bad_input_is_named(self, nimbus: Nimbus, change: dict[str, str], path: str):
        answer = await (await nimbus.admin()).post("/api/admin/users", json={**ADA, **change})
        assert problem(answer, 422, "validation")["errors"][0]["path"] == path


class TestUsersUpdate:
    async def test_a_disabled_person_is_out(self, nimbus: Nimbus):
        ada, admin = await nimbus.user(), await nimbus.admin()
        user = await own_id(ada)
        answer = await admin.patch(f"/api/admin/users/{user}", json={"disabled": True})
        assert answer.json()["disabled"] is True
        problem(await ada.get("/api/auth/me"), 401, "unauthenticated")
        problem(await nimbus.browser().post("/api/auth/login", json=ADA), 401, "unauthenticated")
        await admin.patch(f"/api/admin/users/{user}", json={"disabled": False})
        await nimbus.signed_in("ada", ADA["password"])

    async def test_a_new_password_ends_the_sessions(self, nimbus: Nimbus):
        ada, admin = await nimbus.user(), await nimbus.admin()
        body = {"password": "set by the administrator"}
        assert (await admin.patch(f"/api/admin/users/{await own_id(ada)}", json=body)).status_code == 200
        problem(await ada.get("/api/auth/me"), 401, "unauthenticated")
        await nimbus.signed_in("ada", "set by the administrator")

    @pytest.mark.parametrize("body", [{"role": "user"}, {"disabled": True}])
    async def test_the_last_administrator_stays(self, nimbus: Nimbus, body: dict[str, object]):
        admin = await nimbus.admin()
        problem(await admin.patch(f"/api/admin/users/{await own_id(admin)}", json=body), 409, "conflict")
        assert (await admin.get("/api/admin/users")).status_code == 200

    async def test_an_api_key_dies_with_its_owners_account(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        await admin.post("/api/admin/users", json={**ADA, "role": "admin"})
        robot = await nimbus.with_key("media:read")
        assert (await robot.get("/api/media")).status_code == 200
        ada = await nimbus.signed_in("ada", ADA["password"])
        await ada.patch(f"/api/admin/users/{await own_id(admin)}", json={"disabled": True})
        problem(await robot.get("/api/media"), 401, "unauthenticated")

    async def test_an_api_key_administers_only_while_its_owner_does(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        await admin.post("/api/admin/users", json={**ADA, "role": "admin"})
        robot = await nimbus.with_key("plugins:read", "plugins:write", "metrics:read")
        assert (await robot.post("/api/plugins/hello/enable")).status_code == 200
        ada = await nimbus.signed_in("ada", ADA["password"])
        await ada.patch(f"/api/admin/users/{await own_id(admin)}", json={"role": "user"})
        problem(await robot.post("/api/plugins/hello/disable"), 403, "permission-missing")
        problem(await robot.get("/metrics"), 403, "permission-missing")
        assert (await robot.get("/api/plugins")).status_code == 200

    @pytest.mark.parametrize("user", [MISSING, "nonsense", "%00"])
    async def test_nobody_is_404(self, nimbus: Nimbus, user: str):
        problem(await (await nimbus.admin()).patch(f"/api/admin/users/{user}", json={}), 404, "not-found")


class TestUsersDelete:
    async def test_takes_sessions_along(self, nimbus: Nimbus):
        ada, admin = await nimbus.user(), await nimbus.admin()
        assert (await admin.delete(f"/api/admin/users/{await own_id(ada)}")).status_code == 204
        problem(await ada.get("/api/auth/me"), 401, "unauthenticated")

    async def test_not_oneself(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        problem(await admin.delete(f"/api/admin/users/{await own_id(admin)}"), 409, "conflict")

    async def test_nobody_is_404(self, nimbus: Nimbus):
        problem(await (await nimbus.admin()).delete(f"/api/admin/users/{MISSING}"), 404, "not-found")


class TestApiKeys:
    async def test_shows_the_key_once_and_stores_only_its_hash(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        body = {"name": "backup", "scopes": ["media:read", "media:read", "hello:use"]}
        made = (await admin.post("/api/admin/api-keys", json=body)).json()
        assert made["key"].startswith("nbk_")
        assert made["scopes"] == ["hello:use", "media:read"]
        listed = (await admin.get("/api/admin/api-keys")).json()["items"]
        assert [key["id"] for key in listed] == [made["id"]]
        assert "key" not in listed[0]
        assert made["key"].startswith(listed[0]["prefix"])

    @pytest.mark.parametrize("header", ["authorization", "x-api-key"])
    async def test_works_until_it_is_revoked(self, nimbus: Nimbus, header: str):
        admin = await nimbus.admin()
        made = (await admin.post("/api/admin/api-keys", json={"name": "k", "scopes": ["plugins:read"]})).json()
        value = f"Bearer {made['key']}" if header == "authorization" else made["key"]
        robot = nimbus.client(headers={header: value})
        assert (await robot.get("/api/plugins")).status_code == 200
        assert (await admin.delete(f"/api/admin/api-keys/{made['id']}")).status_code == 204
        problem(await robot.get("/api/plugins"), 401, "unauthenticated")
        problem(await admin.delete(f"/api/admin/api-keys/{made['id']}"), 404, "not-found")

    async def test_a_missing_scope_is_named(self, nimbus: Nimbus):
        body = problem(await (await nimbus.with_key("media:read")).get("/api/plugins"), 403, "permission-missing")
        assert body["missing"] == "plugins:read"

    async def test_expires(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        body = {"name": "k", "scopes": ["plugins:read"], "expiresAt": soon}
        answer = await admin.post("/api/admin/api-keys", json=body)
        assert answer.status_code == 201, answer.text
        robot = nimbus.client(headers={"x-api-key": answer.json()["key"]})
        deadline = datetime.now(UTC) + timedelta(seconds=10)
        while (await robot.get("/api/plugins")).status_code == 200:
            assert datetime.now(UTC) < deadline
        problem(await robot.get("/api/plugins"), 401, "unauthenticated")

    @pytest.mark.parametrize(
        "change",
        [
            {"name": " "},
            {"scopes": ["Everything"]},
            {"expiresAt": "2020-01-01T00:00:00Z"},
            {"expiresAt": "2030-01-01"},
        ],
    )
    async def test_bad_input_is_refused(self, nimbus: Nimbus, change: dict[str, object]):
        body = {"name": "k", "scopes": [], **change}
        problem(await (await nimbus.admin()).post("/api/admin/api-keys", json=body), 422, "validation")


class TestAudit:
    async def test_tells_who_did_what(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        made = (await admin.post("/api/admin/users", json=ADA)).json()
        await nimbus.browser().post("/api/auth/login", json={"username": "ada", "password": "wrong"})
        items = (await admin.get("/api/admin/audit")).json()["items"]
        assert [(item["action"], item["outcome"]) for item in items] == [
            ("auth.login", "failed"),
            ("user.create", "done"),
            ("auth.login", "done"),
        ]
        assert items[1]["target"] == f"user:{made['id']}"
        assert [item["actorName"] for item in items] == ["", "admin", "admin"]
        assert items[1]["address"] == "192.0.2.7"
        assert ADA["password"] not in str(items)
        assert ADMIN_PASSWORD not in str(items)

    async def test_filters_and_pages(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        await admin.post("/api/admin/users", json=ADA)
        only = (await admin.get("/api/admin/audit", params={"action": "user.create"})).json()["items"]
        assert [item["action"] for item in only] == ["user.create"]
        first = (await admin.get("/api/admin/audit", params={"limit": 1})).json()
        second = (await admin.get("/api/admin/audit", params={"limit": 1, "cursor": first["next"]})).json()
        assert second["items"][0]["id"] < first["items"][0]["id"]
