"""Where people are signed in, and accounts by invitation."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from nimbus_gateway.auth import invitations
from nimbus_gateway.auth.tables import User
from nimbus_gateway.database import now

from tests.gateway.support import ADMIN_PASSWORD, Nimbus, problem

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ACCOUNT = {"username": "grace", "password": "grace has one too"}


class TestSessions:
    async def test_are_listed_and_ended(self, nimbus: Nimbus):
        here, there = await nimbus.admin(), await nimbus.admin()
        items = (await here.get("/api/auth/sessions")).json()["items"]
        assert [item["current"] for item in items].count(True) == 1
        assert all(item["address"] == "192.0.2.7" for item in items)
        other = next(item for item in items if not item["current"])
        assert (await here.delete(f"/api/auth/sessions/{other['id']}")).status_code == 204
        problem(await there.get("/api/auth/me"), 401, "unauthenticated")
        assert len((await here.get("/api/auth/sessions")).json()["items"]) == 1
        problem(await here.delete(f"/api/auth/sessions/{other['id']}"), 404, "not-found")

    async def test_are_ones_own(self, nimbus: Nimbus):
        admin, user = await nimbus.admin(), await nimbus.user()
        theirs = (await admin.get("/api/auth/sessions")).json()["items"][0]["id"]
        problem(await user.delete(f"/api/auth/sessions/{theirs}"), 404, "not-found")
        me = (await user.get("/api/auth/me")).json()["id"]
        problem(await user.get(f"/api/admin/users/{me}/sessions"), 403, "forbidden")

    async def test_administrators_end_all_of_a_person(self, nimbus: Nimbus):
        admin, user = await nimbus.admin(), await nimbus.user()
        me = (await user.get("/api/auth/me")).json()["id"]
        path = f"/api/admin/users/{me}/sessions"
        (shown,) = (await admin.get(path)).json()["items"]
        assert shown["current"] is False
        assert (await admin.delete(path)).status_code == 204
        problem(await user.get("/api/auth/me"), 401, "unauthenticated")
        assert (await admin.get(path)).json()["items"] == []
        own = (await admin.get("/api/auth/me")).json()["id"]
        await nimbus.signed_in("admin", ADMIN_PASSWORD)
        assert (await admin.delete(f"/api/admin/users/{own}/sessions")).status_code == 204
        assert len((await admin.get("/api/auth/sessions")).json()["items"]) == 1
        problem(await admin.get("/api/admin/users/nobody/sessions"), 404, "not-found")


class TestInvitations:
    async def invited(self, nimbus: Nimbus, **body: object) -> dict:
        answer = await (await nimbus.admin()).post("/api/admin/invitations", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def test_make_an_account_once(self, nimbus: Nimbus):
        made = await self.invited(nimbus, note="For Grace")
        assert made["path"] == f"/invitation#{made['code']}"
        stranger = nimbus.browser()
        offer = await stranger.post("/api/auth/invitation", json={"code": made["code"]})
        assert offer.json() == {"role": "user", "expiresAt": made["expiresAt"]}
        body = {**ACCOUNT, "code": made["code"]}
        answer = await stranger.post("/api/auth/invitation/accept", json=body)
        assert (answer.status_code, answer.json()["username"]) == (201, "grace")
        assert (await stranger.get("/api/auth/me")).json()["role"] == "user"
        problem(await nimbus.browser().post("/api/auth/invitation/accept", json=body), 410, "gone")
        admin = await nimbus.admin()
        listed = await admin.get("/api/admin/invitations")
        (item,) = listed.json()["items"]
        assert (item["state"], item["username"], item["note"]) == ("accepted", "grace", "For Grace")
        assert made["code"] not in listed.text
        actions = {one["action"] for one in (await admin.get("/api/admin/audit")).json()["items"]}
        assert {"invitation.create", "invitation.accept"} <= actions

    async def test_a_taken_name_leaves_it_open(self, nimbus: Nimbus):
        made = await self.invited(nimbus, role="admin")
        body = {**ACCOUNT, "code": made["code"]}
        taken = await nimbus.browser().post("/api/auth/invitation/accept", json={**body, "username": "admin"})
        problem(taken, 409, "conflict")
        answer = await nimbus.browser().post("/api/auth/invitation/accept", json=body)
        assert answer.json()["role"] == "admin"

    async def test_end(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        withdrawn, late = await self.invited(nimbus), await self.invited(nimbus, hours=1)
        admin = await nimbus.admin()
        path = f"/api/admin/invitations/{withdrawn['id']}"
        assert (await admin.delete(path)).status_code == 204
        problem(await admin.delete(path), 404, "not-found")
        stranger = nimbus.browser()
        problem(await stranger.post("/api/auth/invitation", json={"code": withdrawn["code"]}), 404, "not-found")
        monkeypatch.setattr(invitations, "now", lambda: now() + timedelta(hours=2))
        problem(await stranger.post("/api/auth/invitation", json={"code": late["code"]}), 410, "gone")

    async def test_codes_cannot_be_guessed_for_long(self, nimbus: Nimbus):
        stranger = nimbus.browser()
        answers = [await stranger.post("/api/auth/invitation", json={"code": "guess"}) for _ in range(41)]
        assert {answer.status_code for answer in answers[:40]} == {404}
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) > 0

    async def test_who_guesses_locks_out_nobody_else(self, nimbus: Nimbus):
        made = await self.invited(nimbus)
        guesser = nimbus.browser("198.51.100.9")
        for _ in range(12):
            problem(await guesser.post("/api/auth/invitation", json={"code": "guess"}), 404, "not-found")
        offer = await nimbus.browser().post("/api/auth/invitation", json={"code": made["code"]})
        assert offer.status_code == 200

    @pytest.mark.parametrize("change", [{"role": "user"}, {"disabled": True}, None])
    async def test_end_with_the_rights_of_who_made_them(self, nimbus: Nimbus, change: dict[str, object] | None):
        admin = await nimbus.admin()
        body = {"username": "second", "password": "second has one too", "role": "admin"}
        path = f"/api/admin/users/{(await admin.post('/api/admin/users', json=body)).json()['id']}"
        second = await nimbus.signed_in("second", "second has one too")
        made = (await second.post("/api/admin/invitations", json={"role": "admin"})).json()
        left = await (admin.patch(path, json=change) if change else admin.delete(path))
        assert left.status_code in (200, 204)
        assert (await admin.get("/api/admin/invitations")).json()["items"] == []
        answer = await nimbus.browser().post("/api/auth/invitation/accept", json={**ACCOUNT, "code": made["code"]})
        problem(answer, 404, "not-found")

    async def test_are_good_only_while_an_administrator_stands_behind_them(self, nimbus: Nimbus):
        made = await self.invited(nimbus)
        async with nimbus.state.database.write() as session:
            await session.exec(sa.update(User).values(disabled=True))
        answer = await nimbus.browser().post("/api/auth/invitation", json={"code": made["code"]})
        problem(answer, 404, "not-found")

    async def test_foreign_pages_and_users_are_refused(self, nimbus: Nimbus):
        made = await self.invited(nimbus)
        foreign = nimbus.client(headers={"Origin": "https://elsewhere.test"})
        body = {**ACCOUNT, "code": made["code"]}
        problem(await foreign.post("/api/auth/invitation/accept", json=body), 403, "csrf")
        problem(await (await nimbus.user()).post("/api/admin/invitations", json={}), 403, "forbidden")

    @pytest.mark.parametrize("change", [{"username": "a b"}, {"password": "short"}, {"code": ""}])
    async def test_bad_input_is_named(self, nimbus: Nimbus, change: dict[str, str]):
        answer = await nimbus.browser().post("/api/auth/invitation/accept", json={**ACCOUNT, "code": "x", **change})
        body = problem(answer, 422, "validation")
        assert body["errors"][0]["path"] == f"/{next(iter(change))}"
