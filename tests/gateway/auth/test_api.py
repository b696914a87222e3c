"""Sign-in, own account and set-up."""

import json

import pytest
from nimbus_gateway.auth.login_limit import PER_ACCOUNT, PER_ADDRESS

from tests.gateway.support import ADMIN_PASSWORD, ORIGIN, Nimbus, problem, running_nimbus

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ADMIN = {"username": "admin", "password": ADMIN_PASSWORD}


class TestLogin:
    async def test_gives_the_user_and_a_cookie_that_scripts_cannot_read(self, nimbus: Nimbus):
        browser = nimbus.browser()
        answer = await browser.post("/api/auth/login", json=ADMIN)
        assert answer.status_code == 200
        assert answer.json() | {"id": "", "createdAt": ""} == {
            "id": "", "username": "admin", "role": "admin", "createdAt": "",
        }  # fmt: skip
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("nimbus_session=")
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        assert (await browser.get("/api/auth/me")).json()["username"] == "admin"

    async def test_over_https_the_cookie_is_bound_to_the_host(self, nimbus: Nimbus):
        browser = nimbus.client(headers={"Origin": "https://nimbus.test"})
        answer = await browser.post("https://nimbus.test/api/auth/login", json=ADMIN)
        assert answer.headers["set-cookie"].startswith("__Host-nimbus_session=")
        assert "Secure" in answer.headers["set-cookie"]
        assert (await browser.get("https://nimbus.test/api/auth/me")).status_code == 200

    async def test_compares_names_without_case(self, nimbus: Nimbus):
        answer = await nimbus.browser().post("/api/auth/login", json={**ADMIN, "username": "ADMIN"})
        assert answer.status_code == 200

    @pytest.mark.parametrize("username", ["admin", "nobody", "", "\U0001f600"])
    async def test_a_wrong_password_and_an_unknown_name_look_the_same(self, nimbus: Nimbus, username: str):
        answer = await nimbus.browser().post("/api/auth/login", json={"username": username, "password": "wrong"})
        body = problem(answer, 401, "unauthenticated")
        assert body["detail"] == "User name or password is wrong."
        assert "set-cookie" not in answer.headers

    async def test_a_foreign_page_is_refused(self, nimbus: Nimbus):
        foreign = nimbus.client(headers={"Origin": "http://evil.test"})
        problem(await foreign.post("/api/auth/login", json=ADMIN), 403, "csrf")
        without = nimbus.client()
        assert (await without.post("/api/auth/login", json=ADMIN)).status_code == 200

    async def test_an_earlier_session_of_the_browser_ends(self, nimbus: Nimbus):
        browser = await nimbus.admin()
        old = browser.cookies["nimbus_session"]
        await browser.post("/api/auth/login", json=ADMIN)
        assert browser.cookies["nimbus_session"] != old
        stolen = nimbus.client(headers={"Cookie": f"nimbus_session={old}"})
        problem(await stolen.get("/api/auth/me"), 401, "unauthenticated")

    async def test_failures_on_an_account_are_limited(self, nimbus: Nimbus):
        for number in range(PER_ACCOUNT):
            browser = nimbus.browser(address=f"192.0.2.{number}")
            answer = await browser.post("/api/auth/login", json={**ADMIN, "password": "wrong"})
            problem(answer, 401, "unauthenticated")
        answer = await nimbus.browser(address="198.51.100.1").post("/api/auth/login", json=ADMIN)
        problem(answer, 429, "rate-limited")
        assert 0 < int(answer.headers["retry-after"]) <= 15 * 60

    async def test_failures_from_an_address_are_limited(self, nimbus: Nimbus):
        browser = nimbus.browser()
        for number in range(PER_ADDRESS):
            await browser.post("/api/auth/login", json={"username": f"user{number}", "password": "wrong"})
        problem(await browser.post("/api/auth/login", json=ADMIN), 429, "rate-limited")
        assert (await nimbus.browser(address="198.51.100.1").post("/api/auth/login", json=ADMIN)).status_code == 200

    async def test_a_success_forgives_the_account(self, nimbus: Nimbus):
        browser = nimbus.browser()
        for _ in range(3):
            for _ in range(PER_ACCOUNT - 1):
                await browser.post("/api/auth/login", json={**ADMIN, "password": "wrong"})
            assert (await browser.post("/api/auth/login", json=ADMIN)).status_code == 200

    async def test_bad_bodies_name_every_field(self, nimbus: Nimbus):
        body = problem(await nimbus.browser().post("/api/auth/login", json={"password": 7}), 422, "validation")
        assert {error["path"] for error in body["errors"]} == {"/username", "/password"}
        assert all("7" not in str(error.get("value")) for error in body["errors"])

    @pytest.mark.parametrize(
        "text", ['{"username": "a\\u0000", "password": "secret-b"', '{"username":"\\ud800","password":"secret-b"}']
    )
    async def test_unreadable_bodies_are_named_without_showing_them(self, nimbus: Nimbus, text: str):
        headers = {"content-type": "application/json"}
        answer = await nimbus.browser().post("/api/auth/login", content=text, headers=headers)
        problem(answer, 422, "validation")
        assert "secret-b" not in answer.text


class TestLogout:
    async def test_ends_the_session(self, nimbus: Nimbus):
        browser = await nimbus.admin()
        token = browser.cookies["nimbus_session"]
        answer = await browser.post("/api/auth/logout")
        assert answer.status_code == 204
        assert "nimbus_session" not in browser.cookies
        kept = nimbus.client(headers={"Cookie": f"nimbus_session={token}"})
        problem(await kept.get("/api/auth/me"), 401, "unauthenticated")

    async def test_is_right_without_a_session(self, nimbus: Nimbus):
        assert (await nimbus.client().post("/api/auth/logout")).status_code == 204

    async def test_a_foreign_page_cannot_sign_out(self, nimbus: Nimbus):
        browser = await nimbus.admin()
        problem(await browser.post("/api/auth/logout", headers={"Origin": "http://evil.test"}), 403, "csrf")
        assert (await browser.get("/api/auth/me")).status_code == 200


class TestMe:
    async def test_nobody_is_401(self, nimbus: Nimbus):
        answer = await nimbus.client().get("/api/auth/me")
        problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"]

    async def test_an_api_key_is_not_a_person(self, nimbus: Nimbus):
        problem(await (await nimbus.with_key()).get("/api/auth/me"), 403, "forbidden")


class TestPassword:
    async def test_changes_it_and_ends_other_sessions(self, nimbus: Nimbus):
        here, elsewhere = await nimbus.admin(), await nimbus.admin()
        body = {"currentPassword": ADMIN_PASSWORD, "newPassword": "a much better one"}
        assert (await here.post("/api/auth/password", json=body)).status_code == 204
        assert (await here.get("/api/auth/me")).status_code == 200
        problem(await elsewhere.get("/api/auth/me"), 401, "unauthenticated")
        await nimbus.signed_in("admin", "a much better one")
        problem(await nimbus.browser().post("/api/auth/login", json=ADMIN), 401, "unauthenticated")

    async def test_needs_the_present_one(self, nimbus: Nimbus):
        body = {"currentPassword": "wrong", "newPassword": "a much better one"}
        answer = problem(await (await nimbus.admin()).post("/api/auth/password", json=body), 403, "forbidden")
        assert [error["path"] for error in answer["errors"]] == ["/currentPassword"]

    async def test_refuses_a_short_one(self, nimbus: Nimbus):
        body = {"currentPassword": ADMIN_PASSWORD, "newPassword": "short"}
        answer = problem(await (await nimbus.admin()).post("/api/auth/password", json=body), 422, "validation")
        assert answer["errors"][0]["path"] == "/newPassword"
        assert "short" not in str(answer["errors"][0].get("value"))


class TestSetup:
    async def test_a_finished_setup_is_closed(self, nimbus: Nimbus):
        assert (await nimbus.client().get("/api/setup")).json() == {"needed": False}
        body = {"code": "x", "username": "eve", "password": "eve's password"}
        problem(await nimbus.browser().post("/api/setup", json=body), 410, "gone")

    async def test_the_code_of_the_log_makes_the_first_administrator(self, tmp_path, database_url):
        async with running_nimbus(tmp_path, database_url, admin_password=None) as nimbus:
            code = (tmp_path / "setup-code").read_text().strip()
            assert (tmp_path / "setup-code").stat().st_mode & 0o777 == 0o600
            browser = nimbus.browser()
            assert (await browser.get("/api/setup")).json() == {"needed": True}
            assert (await browser.get("/api/system")).json()["setupNeeded"] is True
            body = {"code": "WRONG", "username": "root", "password": "root's password"}
            problem(await browser.post("/api/setup", json=body), 403, "forbidden")
            answer = await browser.post("/api/setup", json={**body, "code": code.lower()})
            assert answer.status_code == 201
            assert answer.json()["role"] == "admin"
            assert (await browser.get("/api/auth/me")).json()["username"] == "root"
            assert (await browser.get("/api/setup")).json() == {"needed": False}
            assert not (tmp_path / "setup-code").exists()

    async def test_guessing_the_code_is_limited(self, tmp_path, database_url):
        async with running_nimbus(tmp_path, database_url, admin_password=None) as nimbus:
            body = {"code": "WRONG", "username": "root", "password": "root's password"}
            statuses = [(await nimbus.browser().post("/api/setup", json=body)).status_code for _ in range(11)]
            assert statuses == [403] * 10 + [429]

    async def test_embedded_gets_a_generated_password_once(self, tmp_path, database_url):
        options = {"admin_password": None, "generate_admin": True}
        async with running_nimbus(tmp_path, database_url, **options) as nimbus:
            account = json.loads((tmp_path / "first-admin").read_text())
            assert (tmp_path / "first-admin").stat().st_mode & 0o777 == 0o600
            await nimbus.signed_in(account["username"], account["password"])
        (tmp_path / "first-admin").unlink()
        async with running_nimbus(tmp_path, database_url, **options) as nimbus:
            assert not (tmp_path / "first-admin").exists()
            await nimbus.signed_in(account["username"], account["password"])


class TestCsrf:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 403),
            ({"Origin": ORIGIN}, 201),
            ({"Origin": "null"}, 403),
            ({"Origin": ORIGIN + ".evil.test"}, 403),
            ({"Sec-Fetch-Site": "same-origin"}, 201),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403),
        ],
    )
    async def test_a_cookie_counts_only_from_this_site(self, nimbus: Nimbus, headers: dict[str, str], status: int):
        browser = await nimbus.admin()
        del browser.headers["Origin"]
        answer = await browser.post("/api/media", json={"kind": "movie", "title": "M"}, headers=headers)
        assert answer.status_code == status

    async def test_an_api_key_needs_no_origin(self, nimbus: Nimbus):
        robot = await nimbus.with_key("media:write")
        assert (await robot.post("/api/media", json={"kind": "movie", "title": "M"})).status_code == 201
