"""Backup and restore over the public API: settings, secrets, keys, data, and what a failure leaves."""

import asyncio
import io
import json
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from nimbus_gateway.backups import file as files
from nimbus_gateway.backups import pace, service
from nimbus_gateway.backups.api import BackupDownload
from nimbus_gateway.backups.file import Spool
from nimbus_gateway.backups.stored import put_kv, spool_kv
from nimbus_gateway.core.config import budget
from nimbus_gateway.core.config.budget import Budget
from nimbus_gateway.core.config.tables import PluginSetting
from nimbus_gateway.core.kv.service import KvLimits
from nimbus_gateway.errors import PluginFailedError, QuotaExceededError
from nimbus_sdk.contracts.archive import Entry
from nimbus_sdk.contracts.backup import BackupKvEntry, failure
from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.install import InstallResult, PluginVersion, PluginVersionList, UninstallResult
from nimbus_sdk.contracts.snapshot import Snapshot
from sqlalchemy import delete

from tests.gateway.api.test_installs import JOB
from tests.gateway.backups.test_backup_files import data
from tests.gateway.support import START, Nimbus, plugin, problem

pytestmark = pytest.mark.anyio

BACKUP, RESTORE = "/api/admin/plugins/hello/backup", "/api/admin/plugins/hello/restore"
RUNTIME = {"process": {"command": ["python"]}, "data": True}


def serve(nimbus: Nimbus, *others: Any, version: str = "1.0.0", **changes: Any) -> None:
    """Serve `hello` with data, and have its registry answer."""
    options = {"runtime": RUNTIME, "version": version, **changes}
    hello = plugin("hello", **options)
    generation = nimbus.state.snapshots.current.generation + 1
    nimbus.state.snapshots.swap(Snapshot(generation=generation, instance="test", plugins=[hello, *others]))
    current = PluginVersion(version=version, status="current", source="folder:hello", since=START)
    answers = nimbus.registry.answers
    answers["GET", "/v1/plugins/hello/versions"] = PluginVersionList(items=[current])
    changed = ChangeResult(plugin=hello.detail, generation=generation, settled=True)
    answers["PUT", "/v1/plugins/hello/data"] = changed
    answers["POST", "/v1/plugins/hello/data/pause"] = changed
    answers["POST", "/v1/plugins/hello/data/settle"] = changed


async def fill(nimbus: Nimbus, admin: httpx.AsyncClient, greeting: str = "Hi", keys: int = 3) -> None:
    values = {"greeting": greeting, "token": "a secret of mine"}
    answer = await admin.put("/api/admin/plugins/hello/config", json={"values": values})
    assert answer.status_code == 200, answer.text
    for number in range(keys):
        put = await nimbus.plugin("hello").put(f"/core/v1/kv/k/{number}", json={"value": {"n": number}})
        assert put.status_code in {200, 201}, put.text
    passing = await nimbus.plugin("hello").put("/core/v1/kv/passing", json={"value": 1, "ttl": 5000})
    assert passing.status_code in {200, 201}


async def kept(nimbus: Nimbus) -> tuple[dict[str, Any], dict[str, Any]]:
    own = nimbus.plugin("hello")
    values = (await own.get("/core/v1/config")).json()["values"]
    items = (await own.get("/core/v1/kv")).json()["items"]
    return values, {item["key"]: item["value"] for item in items}


async def made(nimbus: Nimbus, admin: httpx.AsyncClient) -> bytes:
    nimbus.registry.archive = data()
    answer = await admin.post(BACKUP)
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert ".nimbus-backup.tar" in answer.headers["content-disposition"]
    return answer.content


async def test_is_for_administrators(nimbus: Nimbus) -> None:
    serve(nimbus)
    user = await nimbus.user()
    problem(await user.post(BACKUP), 403, "forbidden")
    problem(await user.post(RESTORE, content=b""), 403, "forbidden")
    assert nimbus.registry.calls == []


async def test_everything_comes_back_and_secrets_stay_out(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    before = await kept(nimbus)
    file = await made(nimbus, admin)
    assert b"a secret of mine" not in file
    assert b"sealed" not in file
    with tarfile.open(fileobj=io.BytesIO(file)) as archive:
        found = archive.extractfile("backup.json")
        assert found is not None
        assert json.load(found)["secretsLeftOut"] == ["token"]
    await fill(nimbus, admin, greeting="Changed", keys=5)
    await nimbus.plugin("hello").put("/core/v1/kv/k/1", json={"value": "changed"})
    answer = await admin.post(RESTORE, content=file)
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["settings"], result["keys"], result["secretsMissing"]) == (1, 4, [])
    assert await kept(nimbus) == before
    assert nimbus.registry.archive == data()
    usage = (await nimbus.plugin("hello").get("/core/v1/kv-usage")).json()
    assert usage["keys"] == 4
    entries = (await admin.get("/api/admin/audit")).json()["items"]
    done = [(entry["action"], entry["outcome"]) for entry in entries]
    assert done[:2] == [("plugin.restore", "done"), ("plugin.config", "done")]
    assert ("plugin.backup", "done") in done
    assert nimbus.state.backups == set()


async def test_a_secret_that_is_not_set_any_more_is_asked_for(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    file = await made(nimbus, admin)
    async with nimbus.state.database.write() as session:
        await session.exec(delete(PluginSetting))
    answer = await admin.post(RESTORE, content=file)
    assert answer.json()["secretsMissing"] == ["token"]


async def test_settings_have_one_budget_however_many_they_are(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schema of another image may be slow for each of 500."""
    slow = {"type": "object", "additionalProperties": {"type": "object", "required": [f"r{n}" for n in range(3000)]}}
    serve(nimbus, settings={"type": "object"})
    admin = await nimbus.admin()
    values = {f"s{number}": {} for number in range(20)}
    assert (await admin.put("/api/admin/plugins/hello/config", json={"values": values})).status_code == 200
    file = await made(nimbus, admin)
    serve(nimbus, settings=slow)
    begun: list[Budget] = []

    class Counted(Budget):
        def __init__(self) -> None:
            super().__init__()
            begun.append(self)

    monkeypatch.setattr(budget, "Budget", Counted)
    # Each finds 1000 errors and is far from a second; together they are too many.
    body = problem(await admin.post(RESTORE, content=file), 409, "conflict")
    assert "takes too long" in body["detail"]
    assert len(begun) == 1


@pytest.mark.parametrize("fails", ["PUT /v1/plugins/hello/data", "POST /v1/plugins/hello/data/settle"])
async def test_data_that_fail_leave_settings_and_keys_as_they_were(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    file = await made(nimbus, admin)
    await fill(nimbus, admin, greeting="Later", keys=6)
    before, call = await kept(nimbus), nimbus.registry.call

    async def failing(method: str, path: str, **options: Any) -> httpx.Response:
        if f"{method} {path}" == fails:
            raise PluginFailedError("It did not become ready.")
        return await call(method, path, **options)

    monkeypatch.setattr(nimbus.registry, "call", failing)
    answer = await admin.post(RESTORE, content=file)
    assert answer.status_code == 409
    assert await kept(nimbus) == before
    entries = (await admin.get("/api/admin/audit")).json()["items"]
    assert (entries[0]["action"], entries[0]["outcome"]) == ("plugin.restore", "failed")


@pytest.mark.parametrize("with_data", [True, False])
async def test_keys_are_replaced_while_the_plugin_is_stopped(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch, *, with_data: bool
) -> None:
    """What it writes until it ends is not among what it starts with."""
    runtime = {**RUNTIME, "data": with_data}
    serve(nimbus, runtime=runtime)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    before = await kept(nimbus)
    file = await made(nimbus, admin)
    call, seen = nimbus.registry.call, []

    async def plugin_writes(method: str, path: str, **options: Any) -> httpx.Response:
        if not path.endswith("settle"):
            for key in ("late", "k/1"):
                put = await nimbus.plugin("hello").put(f"/core/v1/kv/{key}", json={"value": "its last words"})
                assert put.status_code in {200, 201}
        else:
            seen.append(await kept(nimbus))
        return await call(method, path, **options)

    monkeypatch.setattr(nimbus.registry, "call", plugin_writes)
    assert (await admin.post(RESTORE, content=file)).status_code == 200
    assert seen == [before]
    asked = [f"{method} {path.rpartition('/')[2]}" for method, path, _ in nimbus.registry.calls[-2:]]
    assert asked == ["PUT data" if with_data else "POST pause", "POST settle"]


async def test_keys_that_cannot_be_replaced_take_the_data_back(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    file = await made(nimbus, admin)

    async def full(*_: Any) -> int:
        raise QuotaExceededError("No room.")

    monkeypatch.setattr(service, "put_kv", full)
    problem(await admin.post(RESTORE, content=file), 413, "quota-exceeded")
    method, path, options = nimbus.registry.calls[-1]
    assert (method, path, options["params"]["keep"]) == ("POST", "/v1/plugins/hello/data/settle", "false")


async def test_a_damaged_file_asks_nobody_for_anything(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    file = await made(nimbus, admin)
    before, asked = await kept(nimbus), len(nimbus.registry.calls)
    problem(await admin.post(RESTORE, content=file[:-1]), 422, "backup-refused")
    problem(await admin.post(RESTORE, content=b""), 422, "backup-refused")
    assert len(nimbus.registry.calls) == asked
    assert await kept(nimbus) == before


async def test_another_version_is_a_decision(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    file = await made(nimbus, admin)
    serve(nimbus, version="2.0.0")
    body = problem(await admin.post(RESTORE, content=file), 409, "backup-version")
    assert (body["backupVersion"], body["installedVersion"]) == ("1.0.0", "2.0.0")
    answer = await admin.post(RESTORE, content=file, params={"anyVersion": "true"})
    assert answer.status_code == 200, answer.text
    narrow = {"type": "object", "properties": {"greeting": {"type": "string", "maxLength": 1}}}
    serve(nimbus, version="2.0.0", settings=narrow)
    refused = await admin.post(RESTORE, content=file, params={"anyVersion": "true"})
    assert problem(refused, 422, "backup-refused")["errors"][0]["path"] == "/settings/greeting"


async def test_one_that_is_gone_is_installed_by_its_image(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    file = await made(nimbus, admin)
    nimbus.state.snapshots.swap(Snapshot(generation=50, instance="test", plugins=[]))
    refused = problem(await admin.post(RESTORE, content=file), 409, "conflict")
    assert "folder:hello" in refused["detail"]

    serve(nimbus)
    digest = "example/hello@sha256:" + "1" * 64
    current = PluginVersion(version="1.0.0", status="current", source="image:x", digest=digest, since=START)
    nimbus.registry.answers["GET", "/v1/plugins/hello/versions"] = PluginVersionList(items=[current])
    hello = nimbus.state.snapshots.current.plugins["hello"]
    image = hello.model_copy(update={"detail": hello.detail.model_copy(update={"source": "image:example/hello:1"})})
    nimbus.state.snapshots.swap(Snapshot(generation=60, instance="test", plugins=[image]))
    file = await made(nimbus, admin)
    nimbus.state.snapshots.swap(Snapshot(generation=61, instance="test", plugins=[]))
    nimbus.registry.answers["POST", "/v1/plugins"] = InstallResult(job=JOB)
    assert "still being installed" in problem(await admin.post(RESTORE, content=file), 409, "conflict")["detail"]
    _, _, options = nimbus.registry.calls[-1]
    asked = options["body"]
    assert (asked.image, asked.grant, asked.expect_id, asked.expect_version) == (digest, None, "hello", "1.0.0")


async def test_what_was_installed_for_nothing_goes_again(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    hello = nimbus.state.snapshots.current.plugins["hello"]
    image = hello.model_copy(update={"detail": hello.detail.model_copy(update={"source": "image:example/hello:1"})})
    nimbus.state.snapshots.swap(Snapshot(generation=60, instance="test", plugins=[image]))
    file = await made(nimbus, admin)
    nimbus.state.snapshots.swap(Snapshot(generation=61, instance="test", plugins=[]))
    gone = UninstallResult(plugin_id="hello", data_deleted=False, still_listed=False, generation=63)
    nimbus.registry.answers["DELETE", "/v1/plugins/hello"] = gone
    nimbus.registry.answers["POST", "/v1/plugins"] = InstallResult(job=JOB)
    narrow = {"type": "object", "properties": {"greeting": {"type": "string", "maxLength": 1}}}
    call = nimbus.registry.call

    async def installing(method: str, path: str, **options: Any) -> httpx.Response:
        if (method, path) == ("POST", "/v1/plugins"):
            assert options["body"].expect_version is None
            serve(nimbus, version="2.0.0", settings=narrow)
        return await call(method, path, **options)

    monkeypatch.setattr(nimbus.registry, "call", installing)
    answer = await admin.post(RESTORE, content=file, params={"anyVersion": "true"})
    problem(answer, 422, "backup-refused")
    method, path, options = nimbus.registry.calls[-1]
    assert (method, path) == ("DELETE", "/v1/plugins/hello")
    assert "deleteData" not in options["params"], "data that were kept from before stay"


def test_how_slow_a_client_may_be() -> None:
    assert pace.time_left(0, 0) == pace.GRACE_SECONDS
    assert pace.time_left(pace.GRACE_SECONDS, pace.LEAST_RATE) == 1.0
    assert pace.time_left(pace.GRACE_SECONDS + 2, pace.LEAST_RATE) == 0.0


async def test_a_client_that_takes_nothing_gives_its_place_back(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(nimbus)
    nimbus.registry.archive = data()
    backup = await service.Backups(nimbus.state, "test").make(nimbus.state.snapshots.current.plugins["hello"])
    download = BackupDownload(backup, nimbus.state)
    nimbus.state.backups.add(download)
    monkeypatch.setattr(pace, "GRACE_SECONDS", 0.05)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def receive() -> Any:
        return await asyncio.Event().wait()

    async with asyncio.timeout(20):
        await download({"type": "http"}, receive, send)
    assert nimbus.state.backups == set()
    assert sent[-1]["more_body"] is True, "it is visibly cut off"


async def test_a_client_that_sends_nothing_gives_its_place_back(
    nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    monkeypatch.setattr(pace, "GRACE_SECONDS", 0.05)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async with asyncio.timeout(20):
        problem(await admin.post(RESTORE, content=pieces()), 408, "request-timeout")
    assert nimbus.state.backups == set()


async def test_too_large_too_many_and_from_elsewhere(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    assert (await admin.get(BACKUP)).status_code == 405
    # A browser on plain http says nothing about where a call is from but its Origin.
    for origin in ("http://elsewhere.example", "null"):
        foreign = await admin.post(BACKUP, headers={"origin": origin})
        problem(foreign, 403, "csrf")
    assert nimbus.registry.calls == []
    own = await admin.post(BACKUP)
    assert own.status_code == 200
    nimbus.state.backups |= {1, 2}
    problem(await admin.post(BACKUP), 429, "rate-limited")
    nimbus.state.backups.clear()
    limited = nimbus.state.settings.model_copy(update={"backup_bytes": 1000})
    nimbus.state.settings = limited
    nimbus.registry.archive = data()
    problem(await admin.post(BACKUP), 413, "payload-too-large")
    problem(await admin.post(RESTORE, content=b"x" * 2000), 413, "payload-too-large")
    assert nimbus.state.backups == set()


async def test_data_that_are_too_much_are_told_in_the_registry_s_words(nimbus: Nimbus) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    nimbus.registry.archive = data()[:512] + failure("The files have more than 5 bytes together (NIMBUS_MAX_DATA).")
    body = problem(await admin.post(BACKUP), 413, "quota-exceeded")
    assert body["detail"] == "The files have more than 5 bytes together (NIMBUS_MAX_DATA)."
    assert nimbus.state.backups == set()


@pytest.mark.parametrize("told", [True, False], ids=["length", "pieces"])
async def test_a_file_may_be_larger_than_other_bodies(nimbus: Nimbus, *, told: bool) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    large = data((Entry("data/film", 9 * 1024**2), bytes(9 * 1024**2)))
    nimbus.registry.archive = large
    file = (await admin.post(BACKUP)).content
    nimbus.registry.archive = b""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(file), 1024**2):
            yield file[start : start + 1024**2]

    answer = await admin.post(RESTORE, content=file if told else pieces())
    assert answer.status_code == 200, answer.text
    assert nimbus.registry.archive == large


async def test_what_would_not_be_restored_is_no_backup(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    await fill(nimbus, admin)
    size = len(await made(nimbus, admin))
    least = nimbus.state.settings.model_copy(update={"backup_bytes": size})
    nimbus.state.settings = least
    file = await made(nimbus, admin)
    assert (await admin.post(RESTORE, content=file)).status_code == 200
    nimbus.state.settings = least.model_copy(update={"backup_bytes": size - 1})
    problem(await admin.post(BACKUP), 413, "payload-too-large")
    nimbus.state.settings = least
    monkeypatch.setattr(service, "MOST_SETTINGS_BYTES", 5)
    assert "settings.json" in problem(await admin.post(BACKUP), 413, "quota-exceeded")["detail"]


async def test_some_of_the_disk_stays_free(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(nimbus)
    admin = await nimbus.admin()
    file = await made(nimbus, admin)
    before = await kept(nimbus)
    least = files.RESERVE_BYTES + files.LOOK_BYTES
    free = least - 1

    def usage(_: object) -> Any:
        return SimpleNamespace(total=1024**4, free=free)

    monkeypatch.setattr("nimbus_gateway.backups.file.shutil.disk_usage", usage)
    problem(await admin.post(BACKUP), 507, "disk-full")
    problem(await admin.post(RESTORE, content=file), 507, "disk-full")
    assert await kept(nimbus) == before
    free = least
    assert await made(nimbus, admin)


async def test_keys_are_read_beside_the_event_loop(nimbus: Nimbus) -> None:
    seen: set[int] = set()

    def entries() -> Iterator[BackupKvEntry]:
        for number in range(1001):
            seen.add(threading.get_ident())
            yield BackupKvEntry(key=f"k{number:04}", value=number)

    limits = KvLimits(2000, 10**6)
    async with nimbus.state.database.write() as session:
        assert await put_kv(session, "hello", entries()) == 1001
    assert threading.get_ident() not in seen
    with io.BytesIO() as file:
        spool = Spool(file)
        async with nimbus.state.database.read() as session:
            assert await spool_kv(session, "hello", limits, spool) == 1001
        lines = b"".join(spool.chunks()).splitlines()
    assert [json.loads(line)["value"] for line in lines] == list(range(1001))
