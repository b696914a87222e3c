"""A restore that does not come to its end: whatever happens, no plugin stays off that was on."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from nimbus_gateway.core.schedules.service import sync_schedules
from nimbus_gateway.core.schedules.tables import ScheduleRow
from nimbus_gateway.errors import GatewayError, PluginFailedError, RegistryUnavailableError
from nimbus_gateway.plugins.registry_installs import RegistryInstalls
from nimbus_gateway.system_backups.journal import MOST_ATTEMPTS, Journal
from nimbus_gateway.system_backups.progress import Teller
from nimbus_gateway.system_backups.shelf import Shelf
from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.system_backup import SystemRestore
from sqlmodel import select

from tests.gateway.support import Nimbus, problem
from tests.gateway.system_backups.support import (
    BACKUPS,
    PASSPHRASE,
    contents,
    downloaded,
    restored,
    serve,
    settled,
    stock,
)

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[ChangeResult]]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cut off is looked for more often than every few seconds."""
    monkeypatch.setattr("nimbus_gateway.system_backups.resuming.LOOK_SECONDS", 0.2)


def on(nimbus: Nimbus) -> set[str]:
    return {one.detail.id for one in nimbus.state.snapshots.current.plugins.values() if one.detail.enabled}


def shelf_of(nimbus: Nimbus) -> Shelf:
    return Shelf(nimbus.state.settings.data_dir)


async def ended(nimbus: Nimbus) -> SystemRestore:
    """The restore, once nothing of it is left to do and nobody holds the folder."""
    shelf = shelf_of(nimbus)
    async with asyncio.timeout(120):
        while shelf.restoring() or shelf.busy():  # noqa: ASYNC110 - a file on disk
            await asyncio.sleep(0.1)
    found = shelf.restore()
    assert found is not None
    return found


async def begun(admin: httpx.AsyncClient, file: bytes, **body: Any) -> dict[str, str]:
    """A restore that goes on; the header that shows how it goes."""
    uploaded = (await admin.post(f"{BACKUPS}/upload", content=file)).json()["id"]
    wanted = {"passphrase": PASSPHRASE, "confirm": "nimbus", "keepCurrent": False, **body}
    answer = await admin.post(f"{BACKUPS}/{uploaded}/restore", json=wanted)
    assert answer.status_code == 202, answer.text
    return {"X-Nimbus-Restore-Ticket": answer.json()["ticket"]}


async def stopped(nimbus: Nimbus) -> None:
    """The gateway ends while the registry does not answer, so that nobody goes on yet."""
    nimbus.registry.set_reachable(False)
    async with nimbus.state.system_backup.running():
        """Its end is the gateway's."""


async def test_it_is_undone_when_nothing_was_replaced(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    before, copying = await contents(nimbus), asyncio.Event()

    @asynccontextmanager
    async def hangs(*_: Any, **__: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        copying.set()
        await asyncio.Event().wait()
        yield aiter([])  # type: ignore[call-overload]  # never reached

    monkeypatch.setattr(nimbus.registry, "streamed", hangs)
    ticket = await begun(admin, file, keepCurrent=True)
    async with asyncio.timeout(60):
        await copying.wait()
    assert on(nimbus) == set()
    await stopped(nimbus)
    assert on(nimbus) == set()
    shown = (await admin.get(f"{BACKUPS}/restore", headers=ticket)).json()
    assert (shown["state"], shown["progress"]["step"]) == (
        "running",
        "Nimbus was stopped meanwhile. It goes on as soon as the registry answers",
    )
    nimbus.registry.set_reachable(True)
    found = await ended(nimbus)
    assert (found.state, found.changed, found.plugins) == ("failed", False, [])
    assert found.error is not None
    assert "Nothing was changed" in found.error
    assert on(nimbus) == {"hello", "other"}
    assert await contents(nimbus) == before
    assert [item["origin"] for item in (await admin.get(BACKUPS)).json()["items"]] == ["uploaded", "made"]


async def test_it_is_finished_when_the_tables_were_replaced(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    before, file = await contents(nimbus), await downloaded(nimbus, admin)
    data = nimbus.registry.archive
    assert (await admin.post("/api/media", json={"kind": "movie", "title": "Later"})).status_code == 201
    nimbus.registry.archive, replacing, upload = b"of later", asyncio.Event(), nimbus.registry.upload

    async def hangs(*_: Any, **__: Any) -> httpx.Response:
        replacing.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(nimbus.registry, "upload", hangs)
    ticket = await begun(admin, file)
    async with asyncio.timeout(60):
        await replacing.wait()
    await stopped(nimbus)
    monkeypatch.setattr(nimbus.registry, "upload", upload)
    assert (on(nimbus), nimbus.registry.archive) == (set(), b"of later")
    nimbus.registry.set_reachable(True)
    found = await ended(nimbus)
    assert (found.state, found.changed, found.error) == ("done", True, None)
    assert {one.id: one.outcome for one in found.plugins} == dict.fromkeys(("asleep", "hello", "other"), "restored")
    assert (on(nimbus), nimbus.registry.archive) == ({"hello", "other"}, data)
    assert await contents(nimbus) == before
    shown = await nimbus.browser().get(f"{BACKUPS}/restore", headers=ticket)
    assert shown.json()["state"] == "done"
    entries = (await (await nimbus.admin()).get("/api/admin/audit", params={"limit": 100})).json()["items"]
    told = [(entry["action"], entry["outcome"]) for entry in entries if entry["action"].startswith("system.restore")]
    assert told == [("system.restore", "done"), ("system.restore-tables", "done"), ("system.restore", "started")]


async def test_a_backup_that_is_gone_meanwhile_leaves_no_plugin_off(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    await restored(nimbus, admin, file)
    shelf = shelf_of(nimbus)
    entries = (await (await nimbus.admin()).get("/api/admin/audit")).json()["items"]
    marker = next(uuid.UUID(entry["id"]) for entry in entries if entry["action"] == "system.restore-tables")
    await nimbus.registry.disable("hello", "test")
    gone = str(uuid.UUID(int=7))
    with shelf.lock():
        shelf.set_journal(Journal(backup_id=gone, cause="user:x", marker=marker, wanted=["hello"]))
    found = await ended(nimbus)
    assert (found.backup_id, found.state, found.changed) == (gone, "failed", True)
    assert on(nimbus) == {"hello", "other"}


async def test_a_failure_of_any_kind_at_one_plugin_leaves_none_off(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    permissions = RegistryInstalls.permissions

    async def breaks(self: RegistryInstalls, plugin_id: str) -> Any:
        if plugin_id == "hello":
            raise RuntimeError("a defect")
        return await permissions(self, plugin_id)

    monkeypatch.setattr(RegistryInstalls, "permissions", breaks)
    result, _ = await restored(nimbus, admin, file)
    outcomes = {one["id"]: (one["outcome"], one["message"]) for one in result["plugins"]}
    assert (result["state"], outcomes["other"][0]) == ("done", "restored")
    assert outcomes["hello"] == (
        "partly",
        "Version 1.0.0, enabled. It was not restored whole; the gateway's log says why.",
    )
    assert on(nimbus) == {"hello", "other"}


async def test_what_cannot_be_told_ends_nothing() -> None:
    def full(_: object) -> None:
        raise OSError(28, "no space left on device")

    teller = Teller(full)
    await teller.say("Stopping the plugins")
    await teller.detail("3 MB")


@pytest.mark.parametrize("how", ["refuses", "takes too long"])
async def test_when_one_does_not_stop_all_are_on_again(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    before, file = await contents(nimbus), await downloaded(nimbus, admin)
    disable: Call = nimbus.registry.disable

    async def last_does_not(plugin_id: str, *args: Any, **options: Any) -> ChangeResult:
        if plugin_id == "hello":
            return await disable(plugin_id, *args, **options)
        if how == "refuses":
            raise PluginFailedError("It did not stop.")
        return (await disable(plugin_id, *args, **options)).model_copy(update={"settled": False})

    monkeypatch.setattr(nimbus.registry, "disable", last_does_not)
    result, _ = await restored(nimbus, admin, file)
    assert (result["state"], result["changed"], result["plugins"]) == ("failed", False, [])
    assert ("It did not stop." if how == "refuses" else "has not stopped") in result["error"]
    assert on(nimbus) == {"hello", "other"}
    assert await contents(nimbus) == before
    assert (await admin.get("/api/auth/me")).status_code == 200


async def test_a_plugin_that_somebody_enables_meanwhile_ends_it(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    disable: Call = nimbus.registry.disable

    async def and_on_again(plugin_id: str, *args: Any, **options: Any) -> ChangeResult:
        result = await disable(plugin_id, *args, **options)
        return await nimbus.registry.enable(plugin_id, "test") if plugin_id == "other" else result

    monkeypatch.setattr(nimbus.registry, "disable", and_on_again)
    result, _ = await restored(nimbus, admin, file)
    assert (result["state"], result["changed"]) == ("failed", False)
    assert result["error"] == "Other was enabled meanwhile."
    assert on(nimbus) == {"hello", "other"}


@pytest.mark.parametrize("error", [RegistryUnavailableError("away"), PluginFailedError("It is broken.")])
async def test_what_cannot_be_enabled_is_tried_again_or_told(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch, error: GatewayError
) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    enable, failing = nimbus.registry.enable, True

    async def fails(plugin_id: str, *args: Any, **options: Any) -> ChangeResult:
        if failing and plugin_id == "other":
            raise error
        return await enable(plugin_id, *args, **options)

    monkeypatch.setattr(nimbus.registry, "enable", fails)
    result, _ = await restored(nimbus, admin, file)
    assert on(nimbus) == {"hello"}
    other = next(one for one in result["plugins"] if one["id"] == "other")
    assert "It could not be enabled" in other["message"]
    if isinstance(error, PluginFailedError):
        assert result["state"] == "done"
        return
    assert result["state"] == "running"
    failing = False
    found = await ended(nimbus)
    assert (found.state, on(nimbus)) == ("done", {"hello", "other"})
    assert next(one.message for one in found.plugins if one.id == "other").endswith("By now it is on.")


async def test_it_is_not_tried_for_ever(nimbus: Nimbus) -> None:
    serve(nimbus)
    shelf = shelf_of(nimbus)
    nimbus.registry.failure = RegistryUnavailableError("It says so again and again.")
    with shelf.lock():
        shelf.set_journal(
            Journal(
                backup_id=str(uuid.UUID(int=7)),
                cause="user:x",
                marker=uuid.UUID(int=8),
                phase="starting",
                wanted=["hello"],
                attempts=MOST_ATTEMPTS - 1,
            )
        )
    found = await ended(nimbus)
    assert found.state == "failed"


async def test_nobody_changes_plugins_meanwhile(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    shelf = shelf_of(nimbus)
    with shelf.lock():
        shelf.set_journal(
            Journal(backup_id=str(uuid.UUID(int=7)), cause="x", marker=uuid.UUID(int=8), wanted=["hello"])
        )
        plugins = "/api/admin/plugins"
        for call in (
            admin.post("/api/plugins/hello/enable"),
            admin.post(f"{plugins}/hello/restart"),
            admin.post(f"{plugins}/hello/upgrade", json={"image": "example/hello:2"}),
            admin.post(f"{plugins}/hello/rollback", json={}),
            admin.post(plugins, json={"image": "example/new:1"}),
            admin.put(f"{plugins}/hello/permissions", json={"grant": []}),
            admin.delete(f"{plugins}/hello"),
            admin.post(f"{plugins}/hello/backup"),
            admin.post(f"{plugins}/hello/restore", content=b"x"),
        ):
            found = problem(await call, 409, "conflict")
            assert found["detail"] == "Everything is being restored; wait until that is done."
        assert nimbus.registry.asked == []
        shelf.set_journal(None)
    assert (await admin.post(f"{plugins}/hello/restart")).is_success


async def test_a_restore_ends_before_the_next_begins(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    nimbus.registry.set_reachable(False)
    shelf = shelf_of(nimbus)
    with shelf.lock():
        shelf.set_journal(
            Journal(backup_id=str(uuid.UUID(int=7)), cause="x", marker=uuid.UUID(int=8), wanted=["hello"])
        )
    problem(await admin.post(BACKUPS, json={"passphrase": PASSPHRASE}), 409, "conflict")
    problem(await admin.delete(f"{BACKUPS}/{uuid.UUID(int=7)}"), 409, "conflict")
    await settled(nimbus)
    nimbus.registry.set_reachable(True)
    await ended(nimbus)
    assert (await admin.post(BACKUPS, json={"passphrase": PASSPHRASE})).status_code == 202
    await settled(nimbus)


async def test_schedules_of_plugins_that_are_yet_to_be_installed_stay(nimbus: Nimbus) -> None:
    left = []
    async with nimbus.state.database.write() as session:  # one, so that the worker's own job is not between
        session.add(ScheduleRow(plugin_id="coming", id="nightly", cron="0 3 * * *", timezone="UTC"))
        for keep in (True, False):
            await sync_schedules(session, nimbus.state.snapshots.current.plugins, keep_absent=keep)
            left.append([row.plugin_id for row in (await session.exec(select(ScheduleRow))).all()])
    assert left == [["coming"], []]
