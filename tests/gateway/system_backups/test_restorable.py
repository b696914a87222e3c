"""What is called ready can be restored, and what a restore replaces is kept before."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from nimbus_gateway.auth.tables import User
from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.core.config.tables import PluginSetting
from nimbus_gateway.core.downloads.tables import DownloadRow
from nimbus_gateway.core.events.outbox import emit
from nimbus_gateway.core.media.tables import MediaChangeRow
from nimbus_gateway.core.schedules.tables import ScheduleRow
from nimbus_gateway.database import Database, in_the_way
from nimbus_gateway.errors import DatabaseUnavailableError, PluginFailedError
from nimbus_gateway.system_backups import transfer
from nimbus_gateway.system_backups.rows import KEPT, line_of, row_of
from nimbus_gateway.system_backups.shelf import Shelf
from nimbus_sdk.contracts.archive import END, Entry, header, padding

from tests.gateway.support import Nimbus, plugin
from tests.gateway.system_backups.support import (
    BACKUPS,
    PASSPHRASE,
    contents,
    downloaded,
    made,
    restored,
    rewritten,
    serve,
    settled,
    stock,
)

pytestmark = pytest.mark.anyio


async def changes(nimbus: Nimbus, after: int = 0) -> list[tuple[int, str, bool]]:
    """The feed of the library beyond a place."""
    answer = await nimbus.plugin("hello").get("/core/v1/media/changes", params={"after": after, "limit": 100})
    assert answer.status_code == 200, answer.text
    async with nimbus.state.database.read() as session:
        rows = await session.exec(sa.select(MediaChangeRow).order_by(sa.text("seq")))  # type: ignore[call-overload]
        return [(row.seq, str(row.media_id), row.deleted) for row in rows.scalars() if row.seq > after]


async def test_a_value_as_deep_as_may_be_comes_back(nimbus: Nimbus) -> None:
    serve(nimbus)
    value: Any = "deep"
    for _ in range(63):
        value = [value]
    put = await nimbus.plugin("hello").put("/core/v1/kv/deep", json={"value": value})
    assert put.status_code in {200, 201}, put.text
    admin = await nimbus.admin()
    assert (await admin.post("/api/media", json={"kind": "movie", "title": "日本"})).status_code == 201
    before = await contents(nimbus)
    file = await downloaded(nimbus, admin)
    result, _ = await restored(nimbus, admin, file)
    assert result["state"] == "done", result
    assert await contents(nimbus) == before


@pytest.mark.parametrize("metadata", ['{"a":NaN}', '{"a":1e400}', '{"a":"\\u0000"}', '{"a":"\\ud800"}', "[" * 80])
async def test_bulk_takes_no_line_that_cannot_be_kept(nimbus: Nimbus, metadata: str) -> None:
    metadata = f'{{"a":{metadata}{"]" * 80}}}' if metadata.startswith("[") else metadata
    lines = f'{{"kind":"movie","externalId":"1","title":"One","metadata":{metadata}}}\n'
    answer = await nimbus.plugin("hello").post(
        "/core/v1/media/bulk", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    assert answer.status_code == 200, answer.text
    assert (answer.json()["failed"], answer.json()["created"]) == (1, 0)


def test_text_that_no_encoding_takes_is_written_all_the_same() -> None:
    users = next(kept for kept in KEPT if kept.model is User)
    assert line_of({"username": "\ud800 ü"}) == b'{"username":"\\ud800 \\u00fc"}\n'
    assert users.name == "users"


def test_a_time_zone_that_is_not_known_here_is_told_with_its_schedule() -> None:
    kept = next(one for one in KEPT if one.model is ScheduleRow)
    line = json.dumps(
        {
            "plugin_id": "hello",
            "id": "a",
            "cron": "0 3 * * *",
            "timezone": "Mars/Olympus",
            "next_at": "2026-01-01T00:00:00+00:00",
        }
    ).encode()
    row = row_of(kept, line)
    assert row["next_at"] is None
    assert "is no time zone" in row["error"]


async def test_what_no_restore_would_take_is_not_kept(nimbus: Nimbus) -> None:
    serve(nimbus)
    async with nimbus.state.database.write() as session:
        session.add(CompatPortRow(port=70000, plugin_id="hello"))
    backup = await made(nimbus, await nimbus.admin())
    assert backup["state"] == "failed"
    assert "line 1 of table-compat_ports.jsonl is wrong" in backup["error"]
    assert not list(Shelf(nimbus.state.settings.data_dir).folder.glob("*.tar"))


async def test_a_setting_that_became_secret_later_is_sealed_in_the_file(nimbus: Nimbus) -> None:
    serve(nimbus)
    async with nimbus.state.database.write() as session:
        session.add(
            PluginSetting(
                plugin_id="hello", key="token", content={"value": "open so far"}, stamp="a", updated_by="user:x"
            )
        )
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    assert b"open so far" not in file
    await restored(nimbus, admin, file)
    [row] = (await contents(nimbus))["plugin_settings"]
    assert row["content"] == {"opened": "open so far"}


async def test_one_thing_that_is_missing_is_named_and_stops_no_backup(nimbus: Nimbus) -> None:
    serve(nimbus)
    async with nimbus.state.database.write() as session:
        session.add(
            PluginSetting(plugin_id="hello", key="token", content={"sealed": "broken"}, stamp="a", updated_by="x")
        )
    del nimbus.registry.answers["GET", "/v1/plugins/other/versions"]  # it was uninstalled meanwhile
    admin = await nimbus.admin()
    backup = await made(nimbus, admin)
    assert backup["state"] == "ready", backup
    assert [one["id"] for one in backup["plugins"] if one.get("problem")] == ["other"]
    assert backup["remarks"] == [
        "One secret is left out: the stored secret 'hello/token' cannot be opened with this key file."
    ]
    body = {"passphrase": PASSPHRASE, "confirm": "nimbus", "keepCurrent": False}
    assert (await admin.post(f"{BACKUPS}/{backup['id']}/restore", json=body)).status_code == 202
    await settled(nimbus)
    assert (await contents(nimbus))["plugin_settings"] == []


async def test_links_that_are_left_out_are_named(nimbus: Nimbus) -> None:
    left = json.dumps({"count": 7, "names": [f"link{number}" for number in range(7)]}).encode()
    archive = header(Entry("data", folder=True)) + header(Entry("left-out.json", len(left)))
    serve(nimbus, archive=archive + left + padding(len(left)) + END)
    admin = await nimbus.admin()
    backup = await made(nimbus, admin)
    told = ["Of the data of hello, 7 links, sockets or devices are left out: link0, link1, link2, link3, link4, …."]
    assert (backup["state"], backup["remarks"]) == ("ready", told)
    file = (await admin.get(f"{BACKUPS}/{backup['id']}/file")).content
    assert (await admin.post(f"{BACKUPS}/upload", content=file)).json()["remarks"] == told


async def test_a_plugin_whose_manifest_is_broken_is_named(nimbus: Nimbus) -> None:
    broken = plugin("broken", state="disabled")
    broken.detail.manifest = None
    serve(nimbus, broken)
    backup = await made(nimbus, await nimbus.admin())
    named = {one["id"]: one.get("problem") for one in backup["plugins"] if one.get("problem")}
    assert (backup["state"], list(named)) == ("ready", ["broken"])
    assert "manifest has errors" in named["broken"]


async def test_without_the_registry_no_backup_is_called_ready(nimbus: Nimbus) -> None:
    serve(nimbus)
    nimbus.registry.set_reachable(False)
    backup = await made(nimbus, await nimbus.admin())
    assert (backup["state"], backup["error"]) == ("failed", "away.")


async def test_data_that_would_be_replaced_and_cannot_be_kept_end_a_restore(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    before, file = await contents(nimbus), await downloaded(nimbus, admin)

    @asynccontextmanager
    async def fails(*_: Any, **__: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        raise PluginFailedError("Its data are too large.")
        yield aiter([])  # type: ignore[call-overload]  # never reached

    monkeypatch.setattr(nimbus.registry, "streamed", fails)
    result, _ = await restored(nimbus, admin, file, keepCurrent=True)
    assert (result["state"], result["changed"], result.get("keptAs")) == ("failed", False, None)
    assert "hello (Its data are too large.)" in result["error"]
    assert await contents(nimbus) == before
    assert {one["origin"] for one in (await admin.get(BACKUPS)).json()["items"]} == {"made", "uploaded"}
    result, _ = await restored(nimbus, admin, file, keepCurrent=False)
    assert (result["state"], result["changed"]) == ("done", True)


async def test_what_people_change_while_data_are_kept_is_kept_too(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    streamed = nimbus.registry.streamed

    @asynccontextmanager
    async def meanwhile(*args: Any, **options: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        answer = await admin.post("/api/media", json={"kind": "movie", "title": "Meanwhile"})
        assert answer.status_code == 201
        assert not any(one.detail.enabled for one in nimbus.state.snapshots.current.plugins.values())
        async with streamed(*args, **options) as pieces:
            yield pieces

    monkeypatch.setattr(nimbus.registry, "streamed", meanwhile)
    result, _ = await restored(nimbus, admin, file, keepCurrent=True)
    assert result["state"] == "done", result
    admin = await nimbus.admin()
    assert (await admin.get("/api/media")).json()["items"] == []
    kept = (await admin.get(f"{BACKUPS}/{result['keptAs']}/file")).content
    with tarfile.open(fileobj=io.BytesIO(kept)) as archive:
        assert archive.getnames()[0] == "data-hello.tar"
        head = json.load(archive.extractfile("nimbus.json"))  # type: ignore[arg-type]
    assert {one["id"]: one["enabled"] for one in head["plugins"]} == {"asleep": False, "hello": True, "other": True}
    monkeypatch.setattr(nimbus.registry, "streamed", streamed)
    result, _ = await restored(nimbus, admin, kept)
    assert result["state"] == "done", result
    admin = await nimbus.admin()
    assert [one["title"] for one in (await admin.get("/api/media")).json()["items"]] == ["Meanwhile"]


async def test_who_follows_the_library_hears_what_a_restore_did(nimbus: Nimbus) -> None:
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    kept = {item for _, item, _ in await changes(nimbus)}
    later = (await admin.post("/api/media", json={"kind": "movie", "title": "Later"})).json()["id"]
    place = (await changes(nimbus))[-1][0]
    row = {"seq": 2**63 - 1, "media_id": min(kept), "deleted": True}
    hostile = rewritten(file, media_changes=json.dumps(row).encode() + b"\n")
    for content in (file, hostile):
        result, _ = await restored(nimbus, await nimbus.admin(), content)
        assert result["state"] == "done", result
        found = await changes(nimbus, place)
        assert {item: deleted for _, item, deleted in found} == {**dict.fromkeys(kept, False), later: True}
        assert place < found[0][0]
        assert found[-1][0] < place + 1000  # a database that other tests used before does not begin at one
        place = found[-1][0]
    made_then = (await (await nimbus.admin()).post("/api/media", json={"kind": "movie", "title": "New"})).json()["id"]
    assert [item for _, item, _ in await changes(nimbus, place)] == [made_then]


class _RefusalError(Exception):
    def __init__(self, sqlstate: str | None, text: str = "") -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("refusal", "again"),
    [
        (_RefusalError("40P01"), True),
        (_RefusalError("40001"), True),
        (_RefusalError(None, "database is locked"), True),
        (_RefusalError("57014"), False),  # a statement that took too long takes as long again
        (_RefusalError("08006"), False),
        (None, False),
    ],
)
async def test_only_what_was_in_the_way_is_tried_again(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch, refusal: Exception | None, again: bool
) -> None:
    tries = 0

    async def refused(*_: Any) -> None:
        nonlocal tries
        tries += 1
        try:
            raise sa.exc.OperationalError("x", None, refusal) if refusal else TimeoutError
        except (sa.exc.OperationalError, TimeoutError) as error:
            raise DatabaseUnavailableError("The database does not answer.") from error

    async def at_once(_: float) -> None:
        """Nobody waits for a test."""

    monkeypatch.setattr(transfer, "_import", refused)
    monkeypatch.setattr(transfer.asyncio, "sleep", at_once)
    database: Database = nimbus.state.database
    wanted: Any = None
    with pytest.raises(DatabaseUnavailableError) as caught:
        await transfer.import_tables(database, nimbus.state.accounts.changes, wanted)
    assert tries == (3 if again else 1)
    assert in_the_way(caught.value) is again


async def test_a_file_without_a_note_goes_with_the_next(nimbus: Nimbus) -> None:
    serve(nimbus)
    folder = Shelf(nimbus.state.settings.data_dir).folder
    folder.mkdir(parents=True, exist_ok=True)
    orphan = folder / "01a21ae2-e68d-721e-b364-9a9747f5fef9.tar"
    orphan.write_bytes(b"cut off between the file and its note")
    backup = await made(nimbus, await nimbus.admin())
    assert [path.name for path in folder.glob("*.tar")] == [f"{backup['id']}.tar"]


async def waiting(database: Database) -> int:
    """How many locks somebody waits for on Postgres."""
    text = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database WHERE NOT granted AND datname = "
    async with database.read() as session:
        found = await session.exec(sa.text(f"{text}current_database()"))  # type: ignore[call-overload]
        return int(found.scalar_one())


async def test_somebody_who_writes_at_that_moment_and_a_restore_do_not_block_each_other(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, replace = 0, transfer._import

    async def counted(*args: Any) -> None:
        nonlocal tries
        tries += 1
        await replace(*args)

    monkeypatch.setattr(transfer, "_import", counted)
    serve(nimbus)
    await stock(nimbus)
    admin = await nimbus.admin()
    file = await downloaded(nimbus, admin)
    uploaded = (await admin.post(f"{BACKUPS}/upload", content=file)).json()["id"]
    database = nimbus.state.database
    async with database.write(120) as session:
        session.add(DownloadRow(url="https://example.org/g", title="G", provider="hello", requested_by="user:x"))
        await session.flush()
        body = {"passphrase": PASSPHRASE, "confirm": "nimbus", "keepCurrent": False}
        # The answer's own entry in the audit record would wait for this transaction where there is one writer.
        begun = asyncio.create_task(admin.post(f"{BACKUPS}/{uploaded}/restore", json=body))
        if not database.sqlite:
            async with asyncio.timeout(100):
                while not await waiting(database):  # noqa: ASYNC110 - what the database knows
                    await asyncio.sleep(0.05)
        await emit(session, "io.nimbus.download.created.v1", subject="g", data={})
    assert (await begun).status_code == 202
    await settled(nimbus)
    found = Shelf(nimbus.state.settings.data_dir).restore()
    assert found is not None
    assert (found.state, found.error) == ("done", None)
    assert nimbus.state.database.sqlite or tries == 1  # there was no deadlock, which would be tried again
