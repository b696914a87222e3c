"""What is refused, and that it changes nothing; what one plugin cannot have, and that it stops nobody else."""

import asyncio
import json
import tracemalloc
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from nimbus_gateway.auth.tables import User
from nimbus_gateway.core.config.sealing import SecretBox
from nimbus_gateway.errors import PluginFailedError
from nimbus_gateway.system_backups.rows import KEPT, RowError, row_of
from nimbus_gateway.system_backups.seals import seal_of
from nimbus_gateway.system_backups.shelf import MOST_KEPT, Shelf
from nimbus_gateway.system_backups.verify import is_older
from nimbus_sdk.contracts.archive import CHUNK, END, Entry, header
from nimbus_sdk.contracts.system_backup import SystemBackup

from tests.gateway.backups.test_backup_files import LEFT
from tests.gateway.backups.test_backups import made as made_of_one
from tests.gateway.support import START, Nimbus, problem
from tests.gateway.system_backups.support import (
    BACKUPS,
    PASSPHRASE,
    contents,
    downloaded,
    entry,
    head_of,
    made,
    restored,
    rewritten,
    serve,
    sessions,
    settled,
    stock,
)

pytestmark = pytest.mark.anyio
UPLOAD = f"{BACKUPS}/upload"


async def refused(admin: httpx.AsyncClient, file: bytes, words: str) -> None:
    found = problem(await admin.post(UPLOAD, content=file), 422, "backup-refused")
    assert words in found["detail"], found["detail"]


def user_row(**changes: Any) -> dict[str, Any]:
    salt, digest = "c29tZXNhbHQwMDAwMDA", "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
    row = {
        "id": str(uuid.UUID(int=1)),
        "username": "Eve",
        "username_key": "eve",
        "password_hash": f"$argon2id$v=19$m=65536,t=3,p=4${salt}${digest}",
        "role": "admin",
        "disabled": False,
        "created_at": "2026-01-01T00:00:00+00:00",
        "updated_at": "2026-01-01T00:00:00+00:00",
    }
    return {**row, **changes}


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def test_a_damaged_or_foreign_file_changes_nothing(nimbus: Nimbus) -> None:
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    before, shelf = await contents(nimbus), (await admin.get(BACKUPS)).json()
    step = len(file) // 40
    for place in range(0, len(file), step):
        flipped = bytearray(file)
        flipped[place] ^= 1
        await refused(admin, bytes(flipped), "Nothing was changed.")
    await refused(admin, file[:-2000], "ends too early")
    await refused(admin, b"hello", "ends too early")
    await refused(admin, await made_of_one(nimbus, admin), "does not end with nimbus.json")
    await refused(admin, rewritten(file, {"format": 2}), "newer Nimbus")
    await refused(admin, rewritten(file, {"dbSchema": "9999"}), "has the schema 9999")
    await refused(admin, rewritten(file, {"plugins": []}), "entries that are not expected")
    await refused(admin, rewritten(file, users=lines(user_row(role="user"))), "no administrator")
    await refused(admin, rewritten(file, users=lines(user_row(role="root"))), "no role 'root'")
    assert await contents(nimbus) == before
    assert (await admin.get(BACKUPS)).json() == shelf
    assert nimbus.registry.asked == []


async def test_rows_that_the_database_refuses_change_nothing(nimbus: Nimbus) -> None:
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    before = await contents(nimbus)
    hostile = {
        "twice": rewritten(file, users=lines(user_row(), user_row())),
        "nobody's key": rewritten(file, users=lines(user_row())),  # the owner of the API key is gone
    }
    for what, content in hostile.items():
        result, _ = await restored(nimbus, admin, content)
        assert (result["state"], result["changed"]) == ("failed", False), what
        assert "No data were changed" in result["error"], what
    assert await contents(nimbus) == before
    assert (await admin.get("/api/auth/me")).status_code == 200
    enabled = {one.detail.id for one in nimbus.state.snapshots.current.plugins.values() if one.detail.enabled}
    assert enabled == {"hello", "other"}


async def test_who_does_not_know_the_passphrase_cannot_change_a_file(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    box = SecretBox(b"a key of somebody else, 32 bytes")
    monkeypatch.setattr("tests.gateway.system_backups.support.seal", lambda _, sums: seal_of(box, sums))
    forged = rewritten(file, users=lines(user_row()))
    before = await contents(nimbus)
    result, _ = await restored(nimbus, admin, forged)
    assert (result["state"], result["changed"]) == ("failed", False)
    assert "did not know its passphrase" in result["error"]
    assert await contents(nimbus) == before
    assert nimbus.registry.asked == []


@pytest.mark.parametrize(("table", "column"), [("plugin_settings", "content"), ("webhooks", "secret")])
async def test_a_secret_that_does_not_open_stops_no_plugin(nimbus: Nimbus, table: str, column: str) -> None:
    """The file is whole and its passphrase right, but another key sealed one row: found before anything stops."""
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    foreign = SecretBox(b"a key of somebody else, 32 bytes").seal("a secret", "any/place")
    rows = [json.loads(line) for line in entry(file, f"table-{table}.jsonl").splitlines()]
    broken = next(row for row in rows if table == "webhooks" or "sealed" in row["content"])
    broken[column] = foreign if table == "webhooks" else {"sealed": foreign}
    before = await contents(nimbus)
    result, _ = await restored(nimbus, admin, rewritten(file, **{table: lines(*rows)}), keepCurrent=True)
    assert (result["state"], result["changed"]) == ("failed", False)
    assert "no backup that can be restored" in result["error"]
    assert "Nothing was changed." in result["error"]
    assert nimbus.registry.asked == []
    assert await contents(nimbus) == before
    assert (await admin.get("/api/auth/me")).status_code == 200
    kept = (await admin.get(BACKUPS)).json()["items"]
    assert {one["origin"] for one in kept} == {"made", "uploaded"}, "no time was spent on keeping what stays"
    assert not Shelf(nimbus.state.settings.data_dir).restoring()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password_hash": "$argon2id$v=19$m=9999999,t=3,p=4$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"}, "too much work"),
        ({"password_hash": "plain"}, "no hash of Nimbus"),
        ({"username_key": "admin"}, "not that of the name"),
        ({"created_at": "2026-01-01T00:00:00"}, "no time zone"),
        ({"id": "../../etc/passwd"}, "id:"),
        ({"username": "a" * 65}, "username:"),
        ({"username": "a\x00"}, "cannot be kept"),
        ({"password_hash": None}, "password_hash:"),
        ({"is_root": True}, "no column 'is_root'"),
    ],
)
def test_a_row_is_believed_no_more_than_a_call(changes: dict[str, Any], words: str) -> None:
    users = next(kept for kept in KEPT if kept.model is User)
    assert row_of(users, lines(user_row()))["username"] == "Eve"
    with pytest.raises(RowError, match=words):
        row_of(users, lines(user_row(**changes)))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("plugin_kv", {"plugin_id": "../x", "key": "a", "content": {"value": 1}, "size": 1, "stamp": "a"}),
        ("plugin_kv", {"plugin_id": "hello", "key": "a/../b", "content": {"value": 1}, "size": 1, "stamp": "a"}),
        ("plugin_kv", {"plugin_id": "hello", "key": "a", "content": {}, "size": 1, "stamp": "a"}),
        ("plugin_settings", {"plugin_id": "hello", "key": "a", "content": {"x": 1}, "stamp": "a", "updated_by": "x"}),
        ("compat_ports", {"port": 70000, "plugin_id": "hello"}),
        ("schedules", {"plugin_id": "hello", "id": "a", "cron": "never", "timezone": "UTC"}),
        ("webhooks", {"name": "a", "url": "file:///etc/passwd", "secret": "", "patterns": ["a"], "created_by": "x"}),
        ("downloads", {"url": "x", "title": "x", "provider": "x", "requested_by": "x", "state": "stolen"}),
        ("media", {"kind": "No Kind", "title": "x", "title_key": "x", "created_by": "x"}),
        ("api_keys", {"name": "a", "key_hash": "a", "prefix": "a", "owner_id": str(uuid.UUID(int=1))}),
    ],
)
def test_no_table_takes_what_its_calls_refuse(table: str, row: dict[str, Any]) -> None:
    kept = next(one for one in KEPT if one.name == table)
    with pytest.raises(RowError):
        row_of(kept, lines(row))


def test_what_counts_is_counted_and_not_believed() -> None:
    kv = next(one for one in KEPT if one.name == "plugin_kv")
    row = {"plugin_id": "hello", "key": "a", "content": {"value": "x" * 100}, "size": -5, "stamp": "a"}
    assert row_of(kv, lines(row))["size"] == 103


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [("1.0.0", "1.0.1", True), ("1.10.0", "1.9.0", False), ("1.0.0", "1.0.0", False), ("x", "1.0.0", True)],
)
def test_older_versions(version: str, than: str, older: bool) -> None:
    assert is_older(version, than) is older


async def test_the_passphrase_and_the_name_are_asked_for(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    backup = await made(nimbus, admin)
    path = f"{BACKUPS}/{backup['id']}/restore"
    wrong = {"passphrase": "another passphrase", "confirm": "nimbus"}
    assert "another passphrase" in problem(await admin.post(path, json=wrong), 403, "forbidden")["detail"]
    unnamed = {"passphrase": PASSPHRASE, "confirm": "yes"}
    found = problem(await admin.post(path, json=unnamed), 422, "validation")
    assert found["errors"][0]["path"] == "/confirm"
    short = problem(await admin.post(BACKUPS, json={"passphrase": "short"}), 422, "validation")
    assert short["errors"][0].get("value") is None
    assert await sessions(nimbus) == 1
    assert nimbus.registry.asked == []


async def test_one_at_a_time_and_not_too_many(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    shelf = Shelf(nimbus.state.settings.data_dir)
    with shelf.lock():
        for call in (
            admin.post(BACKUPS, json={"passphrase": PASSPHRASE}),
            admin.post(UPLOAD, content=b"x"),
            admin.delete(f"{BACKUPS}/{uuid.UUID(int=1)}"),
        ):
            problem(await call, 429, "rate-limited")
        cut_off = SystemBackup(id=str(uuid.UUID(int=5)), origin="made", state="making", created_at=START)
        shelf.note(cut_off)
        assert (await admin.get(BACKUPS)).json()["items"][0]["state"] == "making"
    left = (await admin.get(BACKUPS)).json()["items"][0]
    assert (left["state"], left["error"]) == ("failed", "Nimbus was stopped meanwhile.")
    backup = await made(nimbus, admin)
    listed = (await admin.get(BACKUPS)).json()["items"]
    assert [item["id"] for item in listed] == [backup["id"]]  # what was cut off went with the next one
    for number in range(MOST_KEPT - 1):
        shelf.note(SystemBackup(id=str(uuid.UUID(int=number)), origin="made", state="ready", created_at=START))
    problem(await admin.post(BACKUPS, json={"passphrase": PASSPHRASE}), 409, "conflict")
    for item in (await admin.get(BACKUPS)).json()["items"]:
        assert (await admin.delete(f"{BACKUPS}/{item['id']}")).status_code == 204
    assert (await admin.get(BACKUPS)).json() == {"instance": "nimbus", "items": [], "restore": None}
    for odd in ("..", "restore-ticket", str(uuid.UUID(int=3))):
        problem(await admin.get(f"{BACKUPS}/{odd.replace('..', '%2e%2e')}/file"), 404, "not-found")
    assert not list(shelf.folder.glob("*.tar"))


async def test_what_one_plugin_cannot_have_stops_nobody_else(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    head = json.loads(head_of(file).model_dump_json(by_alias=True))
    missing = {**head["plugins"][2], "id": "missing", "name": "Missing", "source": "image:example/missing:1"}
    gone = {**head["plugins"][2], "id": "gone", "name": "Gone", "source": "folder:gone"}
    newer = {**head["plugins"][1], "version": "1.5.0"}
    greedy = {**head["plugins"][2], "grants": ["docker:root", "media:read"]}
    changed = rewritten(file, {"plugins": [head["plugins"][0], newer, greedy, missing, gone]})
    result, _ = await restored(nimbus, admin, changed)
    assert result["state"] == "done"
    outcomes = {one["id"]: (one["outcome"], one["message"]) for one in result["plugins"]}
    assert outcomes["missing"][0] == "failed"
    assert "could not be installed" in outcomes["missing"][1]
    assert outcomes["gone"][0] == "failed"
    assert "put that folder" in outcomes["gone"][1]
    assert outcomes["hello"][0] == "partly"
    assert "may not understand what 1.5.0 wrote" in outcomes["hello"][1]
    assert outcomes["asleep"] == ("restored", "Version 1.0.0.")
    granted = [options["body"].grant for method, path, options in nimbus.registry.calls if method == "PUT"]
    assert all("docker:root" not in grant for grant in granted)


async def test_data_that_cannot_be_copied_are_named(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(nimbus)
    admin = await nimbus.admin()

    @asynccontextmanager
    async def fails(*_: Any, **__: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"x" * 1000
            raise PluginFailedError("It did not stop.")

        yield pieces()

    monkeypatch.setattr(nimbus.registry, "streamed", fails)
    backup = await made(nimbus, admin)
    assert backup["state"] == "ready"
    hello = next(one for one in backup["plugins"] if one["id"] == "hello")
    assert (hello["data"], hello["problem"]) == (False, "It did not stop.")
    again = await admin.post(UPLOAD, content=(await admin.get(f"{BACKUPS}/{backup['id']}/file")).content)
    assert again.status_code == 201, again.text


async def test_large_data_are_not_kept_in_memory(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    size = 64 * 1024**2

    @asynccontextmanager
    async def large(*_: Any, **__: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            yield header(Entry("data", folder=True)) + header(Entry("data/film", size))
            for _ in range(size // CHUNK):
                yield bytes(CHUNK)
            yield header(Entry("left-out.json", len(LEFT))) + LEFT.ljust(512, b"\0") + END

        yield pieces()

    sent = 0

    async def taken(*_: Any, **options: Any) -> httpx.Response:
        nonlocal sent
        async for piece in _[2]:
            sent += len(piece)
        return httpx.Response(200, json=nimbus.registry.answers["PUT", "/v1/plugins/hello/data"].wire())

    monkeypatch.setattr(nimbus.registry, "streamed", large)
    monkeypatch.setattr(nimbus.registry, "upload", taken)
    tracemalloc.start()
    try:
        backup = await made(nimbus, admin)
        assert backup["size"] > size
        body = {"passphrase": PASSPHRASE, "confirm": "nimbus", "keepCurrent": False}
        assert (await admin.post(f"{BACKUPS}/{backup['id']}/restore", json=body)).status_code == 202
        await settled(nimbus)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent > size
    assert peak < size // 2


async def test_a_stop_of_the_gateway_leaves_no_half(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    begun = asyncio.Event()

    @asynccontextmanager
    async def hangs(*_: Any, **__: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        begun.set()
        await asyncio.Event().wait()
        yield aiter([])  # type: ignore[call-overload]  # never reached

    monkeypatch.setattr(nimbus.registry, "streamed", hangs)
    assert (await admin.post(BACKUPS, json={"passphrase": PASSPHRASE})).status_code == 202
    async with asyncio.timeout(30):
        await begun.wait()
    async with nimbus.state.system_backup.running():
        """Its end is the gateway's."""
    found = (await admin.get(BACKUPS)).json()["items"]
    assert [item["state"] for item in found] == ["failed"]
    assert not list(Shelf(nimbus.state.settings.data_dir).folder.glob("*.part"))
