"""The authenticator: hits without a database, revocation across workers, bounded memory."""

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nimbus_gateway.auth import authenticator as module
from nimbus_gateway.auth.authenticator import UNSYNCED_SECONDS, CachingAuthenticator
from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.auth.sessions import Sessions
from nimbus_gateway.auth.users import Users
from nimbus_gateway.database import Database
from nimbus_gateway.errors import DatabaseUnavailableError

from tests.gateway.support import Nimbus, running_nimbus

pytestmark = pytest.mark.anyio


async def token(nimbus: Nimbus) -> str:
    return str((await nimbus.admin()).cookies["nimbus_session"])


async def until(check: Callable[[], object], seconds: float = 5.0) -> float:
    """Wait for a condition; how long it took."""
    started = time.monotonic()
    while not check():
        if time.monotonic() - started > seconds:
            pytest.fail("the condition did not come true in time")
        await asyncio.sleep(0.01)
    return time.monotonic() - started


class Broken(Database):
    """A database that can be taken away and counts what it is asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.down = False
        self.reads = 0

    def read(self):
        self.reads += 1
        if self.down:
            raise DatabaseUnavailableError("down", retry_after=2)
        return super().read()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def parts(nimbus: Nimbus, database_url: str):
    """A second authenticator on the same database, with a clock of its own."""
    database, clock = Broken(database_url), Clock()
    changes = CredentialChanges(database, clock)
    await changes.start()
    database.reads = 0
    yield CachingAuthenticator(database, changes, clock), database, clock, changes
    await database.close()


class TestCache:
    async def test_a_hit_asks_nothing(self, nimbus: Nimbus, parts):
        authenticator, database, _, _ = parts
        credentials = Credentials(session_cookie=await token(nimbus))
        first = await authenticator.authenticate(credentials)
        assert isinstance(first, Principal)
        assert first.role == "admin"
        database.down = True
        assert await authenticator.authenticate(credentials) is first
        assert database.reads == 1

    async def test_a_hit_never_yields_to_the_loop(self, nimbus: Nimbus, parts):
        authenticator = parts[0]
        credentials = Credentials(session_cookie=await token(nimbus))
        await authenticator.authenticate(credentials)
        step = authenticator.authenticate(credentials)
        with pytest.raises(StopIteration):
            step.send(None)

    async def test_many_misses_cost_one_read(self, nimbus: Nimbus, parts):
        authenticator, database, _, _ = parts
        credentials = Credentials(session_cookie=await token(nimbus))
        found = await asyncio.gather(*(authenticator.authenticate(credentials) for _ in range(50)))
        assert {principal.name for principal in found} == {"admin"}
        assert database.reads == 1

    async def test_a_caller_that_leaves_does_not_take_the_others_along(self, nimbus: Nimbus, parts):
        authenticator = parts[0]
        credentials = Credentials(session_cookie=await token(nimbus))
        first = asyncio.create_task(authenticator.authenticate(credentials))
        second = asyncio.create_task(authenticator.authenticate(credentials))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).name == "admin"

    async def test_unknown_tokens_are_remembered_for_a_moment(self, nimbus: Nimbus, parts):
        authenticator, database, clock, _ = parts
        for _ in range(5):
            assert await authenticator.authenticate(Credentials(api_key="nbk_nothing")) is None
        assert database.reads == 1
        clock.now += module.NEGATIVE_SECONDS + 1
        await authenticator.authenticate(Credentials(api_key="nbk_nothing"))
        assert database.reads == 2

    async def test_memory_is_bounded(self, nimbus: Nimbus, parts, monkeypatch: pytest.MonkeyPatch):
        authenticator = parts[0]
        monkeypatch.setattr(module, "MAXIMUM_ENTRIES", 3)
        tokens = [await token(nimbus) for _ in range(5)]
        for text in tokens:
            await authenticator.authenticate(Credentials(session_cookie=text))
            await authenticator.authenticate(Credentials(api_key=f"nbk_{text}"))
        assert len(authenticator._entries) == len(authenticator._unknown) == 3

    @pytest.mark.parametrize(
        "credentials", [Credentials(), Credentials(api_key=""), Credentials(session_cookie="x" * 9999)]
    )
    async def test_nothing_worth_a_look_is_nobody(self, nimbus: Nimbus, parts, credentials: Credentials):
        authenticator, database, _, _ = parts
        assert await authenticator.authenticate(credentials) is None
        assert database.reads == 0

    async def test_an_api_key_decides_over_a_cookie(self, nimbus: Nimbus, parts):
        both = Credentials(session_cookie=await token(nimbus), api_key="nbk_wrong")
        assert await parts[0].authenticate(both) is None


class TestWithoutDatabase:
    async def test_entries_live_on_for_a_quarter_of_an_hour(self, nimbus: Nimbus, parts):
        authenticator, database, clock, _ = parts
        credentials = Credentials(session_cookie=await token(nimbus))
        await authenticator.authenticate(credentials)
        database.down = True
        clock.now += UNSYNCED_SECONDS - 1
        assert await authenticator.authenticate(credentials) is not None
        clock.now += 2
        with pytest.raises(DatabaseUnavailableError):
            await authenticator.authenticate(credentials)

    async def test_following_the_log_keeps_entries_fresh(self, nimbus: Nimbus, parts):
        authenticator, database, clock, changes = parts
        credentials = Credentials(session_cookie=await token(nimbus))
        await authenticator.authenticate(credentials)
        clock.now += UNSYNCED_SECONDS - 1
        changes._in_sync()
        clock.now += UNSYNCED_SECONDS - 1
        database.down = True
        assert await authenticator.authenticate(credentials) is not None

    async def test_an_idle_session_is_looked_up_again(self, nimbus: Nimbus, parts):
        authenticator, database, clock, changes = parts
        credentials = Credentials(session_cookie=await token(nimbus))
        await authenticator.authenticate(credentials)
        clock.now += 8 * 24 * 3600
        changes._in_sync()
        await authenticator.authenticate(credentials)
        assert database.reads == 2


class TestRevocation:
    async def test_reaches_the_other_worker_within_a_second(self, tmp_path: Path, nimbus: Nimbus, database_url: str):
        async with running_nimbus(tmp_path / "second", database_url) as second:
            browser = await nimbus.admin()
            credentials = Credentials(session_cookie=browser.cookies["nimbus_session"])
            authenticator = second.state.accounts.authenticator
            await until(lambda: second.state.accounts.changes.synced_at > 0)
            assert (await authenticator.authenticate(credentials)).name == "admin"
            assert (await browser.post("/api/auth/logout")).status_code == 204
            assert await until(lambda: not authenticator._entries) < 1.0
            assert await authenticator.authenticate(credentials) is None
            assert await nimbus.state.authenticator.authenticate(credentials) is None

    async def test_a_new_role_reaches_the_other_worker(self, tmp_path: Path, nimbus: Nimbus, database_url: str):
        async with running_nimbus(tmp_path / "second", database_url) as second:
            ada = await nimbus.user()
            credentials = Credentials(session_cookie=ada.cookies["nimbus_session"])
            authenticator = second.state.accounts.authenticator
            assert (await authenticator.authenticate(credentials)).role == "user"
            admin = await nimbus.admin()
            user_id = (await ada.get("/api/auth/me")).json()["id"]
            assert (await admin.patch(f"/api/admin/users/{user_id}", json={"role": "admin"})).status_code == 200
            assert await until(lambda: not authenticator._entries) < 1.0
            assert (await authenticator.authenticate(credentials)).role == "admin"

    async def test_an_answer_read_before_the_change_is_not_kept(self, nimbus: Nimbus, parts):
        authenticator, database, _, changes = parts
        credentials = Credentials(session_cookie=await token(nimbus))
        inside = database.read

        def read_while_it_changes():
            async def reading():
                async with inside() as session:
                    yield session
                changes._deliver(module.Change())

            return asynccontextmanager(reading)()

        database.read = read_while_it_changes
        assert await authenticator.authenticate(credentials) is not None
        assert not authenticator._entries

    async def test_nothing_changes_when_the_transaction_fails(self, nimbus: Nimbus):
        browser = await nimbus.admin()
        await browser.get("/api/auth/me")
        accounts = nimbus.state.accounts
        principal = await accounts.authenticator.authenticate(
            Credentials(session_cookie=browser.cookies["nimbus_session"])
        )

        async def fail() -> None:
            async with nimbus.state.database.write() as session:
                await Sessions(session, accounts.changes).end(principal.session_id)
                raise RuntimeError("before the commit")

        with pytest.raises(RuntimeError):
            await fail()
        assert (await browser.get("/api/auth/me")).status_code == 200

    async def test_watchers_are_woken(self, nimbus: Nimbus):
        browser = await nimbus.admin()
        accounts = nimbus.state.accounts
        credentials = Credentials(session_cookie=browser.cookies["nimbus_session"])
        principal = await accounts.authenticator.authenticate(credentials)
        with accounts.authenticator.watch(principal) as changed:
            async with nimbus.state.database.write() as session:
                users = Users(session, accounts.changes)
                await users.set_password(await users.find("admin"), "x")
            assert changed.is_set()
        assert not accounts.authenticator._watches


class TestUsage:
    async def test_last_use_is_stored_in_bulk(self, nimbus: Nimbus):
        robot = await nimbus.with_key("media:read")
        await robot.get("/api/media")
        admin = await nimbus.admin()
        assert (await admin.get("/api/admin/api-keys")).json()["items"][0]["lastUsedAt"] is None
        await nimbus.state.accounts.authenticator.write_usage()
        assert (await admin.get("/api/admin/api-keys")).json()["items"][0]["lastUsedAt"] is not None
