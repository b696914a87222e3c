"""``nimbus-gateway reset-password``: the host's way in, beside gateways that run."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from nimbus_gateway.auth.login_limit import PER_ACCOUNT
from nimbus_gateway.auth.reset import NoDatabaseError, reset_password
from nimbus_gateway.errors import NotFoundError

from tests.gateway.support import ADMIN_PASSWORD, Nimbus, cheap_passwords, problem, running_nimbus

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def run(url: str, folder: Path, username: str) -> subprocess.CompletedProcess[str]:
    """The command as an operator runs it: a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "nimbus_gateway", "reset-password", username],
        env={
            "PATH": os.environ["PATH"],
            "NIMBUS_DATA_DIR": str(folder),
            "NIMBUS_GATEWAY_DATABASE_URL": url,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def gone(*browsers: httpx.AsyncClient) -> None:
    """Wait until the sessions are refused, at most the second that is promised."""
    async with asyncio.timeout(1.5):  # and a little, for a machine under load
        for browser in browsers:
            while (await browser.get("/api/auth/me")).status_code != 401:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.02)


async def reset(url: str, username: str) -> str:
    return (await reset_password(url, username, cheap_passwords())).password


class TestCommand:
    async def test_prints_a_password_that_works(self, nimbus: Nimbus, database_url: str, tmp_path: Path):
        done = run(database_url, tmp_path, "ADMIN")
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert first.startswith("New password of admin: ")
        assert "shown this once" in second
        await nimbus.signed_in("admin", first.rsplit(" ", 1)[1])

    async def test_an_unknown_name_gets_those_of_administrators(
        self, nimbus: Nimbus, database_url: str, tmp_path: Path
    ):
        await nimbus.user("ada")
        done = run(database_url, tmp_path, "adnim")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "There is no account 'adnim'. Administrators: admin.\n"
        await nimbus.signed_in("admin", ADMIN_PASSWORD)

    def test_a_wrong_folder_is_named_and_nothing_made(self, tmp_path: Path):
        done = run("", tmp_path, "admin")
        assert done.returncode == 1
        assert str(tmp_path / "gateway.db") in done.stderr
        assert list(tmp_path.iterdir()) == []


class TestReset:
    async def test_running_workers_notice_within_a_second(self, nimbus: Nimbus, database_url: str, tmp_path: Path):
        async with running_nimbus(tmp_path / "second", database_url) as second:
            here = await nimbus.admin()
            there = second.client(headers={"Cookie": f"nimbus_session={here.cookies['nimbus_session']}"})
            for browser in (here, there):
                assert (await browser.get("/api/auth/me")).status_code == 200  # and is cached from here on
            await reset(database_url, "admin")
            await gone(here, there)

    async def test_others_stay_signed_in(self, nimbus: Nimbus, database_url: str):
        ada, admin = await nimbus.user("ada"), await nimbus.admin()
        await reset(database_url, "admin")
        await gone(admin)
        assert (await ada.get("/api/auth/me")).status_code == 200

    async def test_the_old_password_is_worth_nothing(self, nimbus: Nimbus, database_url: str):
        new = await reset(database_url, "admin")
        body = {"username": "admin", "password": ADMIN_PASSWORD}
        problem(await nimbus.browser().post("/api/auth/login", json=body), 401, "unauthenticated")
        await nimbus.signed_in("admin", new)

    async def test_is_recorded_without_the_password(self, nimbus: Nimbus, database_url: str):
        new = await reset(database_url, "admin")
        admin = await nimbus.signed_in("admin", new)
        (entry,) = (await admin.get("/api/admin/audit", params={"action": "user.reset-password"})).json()["items"]
        me = (await admin.get("/api/auth/me")).json()
        assert (entry["actor"], entry["target"], entry["outcome"]) == ("host", f"user:{me['id']}", "done")
        assert new not in str(entry)

    async def test_a_locked_out_account_may_try_at_once(self, nimbus: Nimbus, database_url: str):
        for _ in range(PER_ACCOUNT + 1):
            answer = await nimbus.browser().post("/api/auth/login", json={"username": "admin", "password": "wrong"})
        assert answer.status_code == 429
        await nimbus.signed_in("admin", await reset(database_url, "admin"))

    async def test_a_disabled_account_stays_disabled(self, nimbus: Nimbus, database_url: str):
        ada = await nimbus.user("ada")
        me = (await ada.get("/api/auth/me")).json()
        admin = await nimbus.admin()
        assert (await admin.patch(f"/api/admin/users/{me['id']}", json={"disabled": True})).status_code == 200
        done = await reset_password(database_url, "ada", cheap_passwords())
        assert done.disabled
        body = {"username": "ada", "password": done.password}
        problem(await nimbus.browser().post("/api/auth/login", json=body), 401, "unauthenticated")

    async def test_nothing_changes_for_an_unknown_name(self, nimbus: Nimbus, database_url: str):
        with pytest.raises(NotFoundError):
            await reset(database_url, "nobody")
        await nimbus.signed_in("admin", ADMIN_PASSWORD)

    async def test_no_file_is_made(self, tmp_path: Path):
        with pytest.raises(NoDatabaseError):
            await reset(f"sqlite:///{tmp_path / 'gateway.db'}", "admin")
        assert not (tmp_path / "gateway.db").exists()
