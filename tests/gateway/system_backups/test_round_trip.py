"""A backup of everything, made and restored over the public API, from each database and into each."""

import io
import shutil
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from nimbus_gateway.core.events.tables import SubscriberRow
from nimbus_gateway.core.media.tables import MediaChangeRow, MediaItem
from nimbus_gateway.database import new_id

from tests.gateway.support import ADMIN_PASSWORD, Nimbus, problem, running_nimbus
from tests.gateway.system_backups.support import (
    BACKUPS,
    PASSPHRASE,
    contents,
    downloaded,
    head_of,
    made,
    restored,
    serve,
    sessions,
    settled,
    stock,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fresh(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Nimbus]:
    """Another machine: a database with nothing but its administrator, and a key of its own."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "gateway.db")
    async with running_nimbus(folder, f"sqlite:///{folder / 'gateway.db'}", admin_username="first") as found:
        yield found


async def test_everything_comes_back_on_another_machine(nimbus: Nimbus, fresh: Nimbus) -> None:
    serve(nimbus)
    await stock(nimbus)
    before = await contents(nimbus)
    file = await downloaded(nimbus, await nimbus.admin())
    serve(fresh, archive=b"nothing")
    first = await fresh.signed_in("first", ADMIN_PASSWORD)
    result, anybody = await restored(fresh, first, file)
    assert (result["state"], result["changed"], result.get("error")) == ("done", True, None)
    assert result["rows"]["users"] == 2
    assert await contents(fresh) == before
    assert fresh.registry.archive == nimbus.registry.archive
    assert await sessions(fresh) == 0
    assert (await first.get("/api/auth/me")).status_code == 401
    again = await fresh.signed_in("ADA", "ada has a password")
    assert (await again.get("/api/auth/me")).json()["role"] == "user"
    assert (await anybody.post("/api/auth/login", json={"username": "first", "password": ADMIN_PASSWORD})).is_error
    outcomes = {one["id"]: one for one in result["plugins"]}
    assert outcomes["hello"] == {"id": "hello", "outcome": "restored", "message": "Version 1.0.0, its data, enabled."}
    assert outcomes["asleep"]["message"] == "Version 1.0.0."
    enabled = {one.detail.id for one in fresh.state.snapshots.current.plugins.values() if one.detail.enabled}
    assert enabled == {"hello", "other"}


async def test_a_database_takes_over_what_another_kind_wrote(nimbus: Nimbus, fresh: Nimbus) -> None:
    serve(fresh)
    first = await fresh.signed_in("first", ADMIN_PASSWORD)
    renamed = await first.post("/api/admin/users", json={"username": "admin", "password": ADMIN_PASSWORD})
    assert renamed.status_code == 201
    promoted = await first.patch(f"/api/admin/users/{renamed.json()['id']}", json={"role": "admin"})
    assert promoted.status_code == 200, promoted.text
    await stock(fresh)
    before = await contents(fresh)
    file = await downloaded(fresh, first)
    serve(nimbus)
    await stock(nimbus)
    result, _ = await restored(nimbus, await nimbus.admin(), file)
    assert result["state"] == "done", result
    assert await contents(nimbus) == before
    # What is made from now on gets numbers of its own, and the library goes on.
    async with nimbus.state.database.write() as session:
        session.add(MediaChangeRow(media_id=new_id()))
    admin = await nimbus.signed_in("first", ADMIN_PASSWORD)
    assert (await admin.post("/api/media", json={"kind": "movie", "title": "New"})).status_code == 201
    async with nimbus.state.database.read() as session:
        names = (await session.exec(sa.select(SubscriberRow.name))).scalars().all()  # type: ignore[call-overload]
        related = sa.select(sa.func.count()).where(MediaItem.parent_id.is_not(None))  # type: ignore[union-attr]
        assert (await session.exec(related)).scalar_one() == 1  # type: ignore[call-overload]
    assert sum(name.startswith("webhook:") for name in names) == 1


async def test_the_file_reads_without_nimbus_and_holds_no_open_secret(nimbus: Nimbus) -> None:
    serve(nimbus)
    await stock(nimbus)
    file = await downloaded(nimbus, await nimbus.admin())
    assert b"a secret of mine" not in file
    with tarfile.open(fileobj=io.BytesIO(file)) as archive:
        names = archive.getnames()
        assert names[0] == "table-users.jsonl"
        assert names[-4:] == ["data-hello.tar", "nimbus.json", "SHA256SUMS", "seal.txt"]
        assert all(not member.mode & 0o077 for member in archive.getmembers())
    head = head_of(file)
    assert (head.instance, [plugin.id for plugin in head.plugins]) == ("nimbus", ["asleep", "hello", "other"])
    assert {plugin.id: plugin.enabled for plugin in head.plugins}["asleep"] is False
    assert head.plugins[1].grants == ["media:read"]


async def test_what_was_there_is_kept_and_the_record_of_what_was_done_stays(nimbus: Nimbus) -> None:
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    assert (await admin.post("/api/media", json={"kind": "movie", "title": "Later"})).status_code == 201
    later = await contents(nimbus)
    result, _ = await restored(nimbus, admin, file, keepCurrent=True)
    admin = await nimbus.admin()
    assert (await admin.get("/api/media", params={"search": "later"})).json()["items"] == []
    listed = (await admin.get(BACKUPS)).json()
    assert listed["restore"]["keptAs"] == result["keptAs"]
    kept = next(item for item in listed["items"] if item["id"] == result["keptAs"])
    assert (kept["origin"], kept["state"]) == ("before-restore", "ready")
    entries = (await admin.get("/api/admin/audit", params={"limit": 100})).json()["items"]
    actions = [(entry["action"], entry["outcome"]) for entry in entries]
    for wanted in (
        ("system.backup", "done"),
        ("system.backup-download", "done"),
        ("system.backup-upload", "done"),
        ("system.restore", "started"),
        ("system.restore", "done"),
        ("user.create", "done"),
    ):
        assert actions.count(wanted) == 1, (wanted, actions)
    body = {"passphrase": PASSPHRASE, "confirm": "nimbus", "keepCurrent": False}
    assert (await admin.post(f"{BACKUPS}/{kept['id']}/restore", json=body)).status_code == 202
    await settled(nimbus)
    found = await contents(nimbus)
    assert found == later


async def test_it_is_for_administrators(nimbus: Nimbus) -> None:
    serve(nimbus)
    backup = await made(nimbus, await nimbus.admin())
    body = {"passphrase": PASSPHRASE, "confirm": "nimbus"}
    calls = [
        ("GET", BACKUPS, None),
        ("POST", BACKUPS, {"passphrase": PASSPHRASE}),
        ("POST", f"{BACKUPS}/upload", None),
        ("GET", f"{BACKUPS}/{backup['id']}/file", None),
        ("POST", f"{BACKUPS}/{backup['id']}/restore", body),
        ("DELETE", f"{BACKUPS}/{backup['id']}", None),
    ]
    user, key, anybody = await nimbus.user(), await nimbus.with_key("plugins:write"), nimbus.browser()
    elsewhere = await nimbus.admin()
    elsewhere.headers["Origin"] = "http://elsewhere.example"
    for method, path, sent in calls:
        problem(await user.request(method, path, json=sent), 403, "forbidden")
        problem(await key.request(method, path, json=sent), 403, "forbidden")
        problem(await anybody.request(method, path, json=sent), 401, "unauthenticated")
        if method != "GET":
            problem(await elsewhere.request(method, path, json=sent), 403, "csrf")
    problem(await (await nimbus.admin()).get(f"{BACKUPS}/restore"), 401, "unauthenticated")
    assert not nimbus.state.system_backup.busy
