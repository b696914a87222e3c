"""Gateways with something to back up, and their registries' answers."""

import asyncio
import hashlib
import io
import json
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
import sqlalchemy as sa
from nimbus_gateway.auth.tables import UserSession
from nimbus_gateway.backups.file import Part, file_chunks, with_sums
from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.core.downloads.tables import DownloadRow
from nimbus_gateway.core.kv.tables import KvUsageRow
from nimbus_gateway.core.media.tables import MediaChangeRow, MediaItem
from nimbus_gateway.core.schedules.tables import ScheduleRow
from nimbus_gateway.core.webhooks.service import webhook_subscriber
from nimbus_gateway.database import new_id
from nimbus_gateway.system_backups.rows import KEPT
from nimbus_gateway.system_backups.seals import open_seal, seal_of
from nimbus_sdk.contracts.archive import ArchiveReader
from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.install import PermissionInfo, PluginPermissions, PluginVersion, PluginVersionList, Risk
from nimbus_sdk.contracts.snapshot import Snapshot
from nimbus_sdk.contracts.system_backup import BackupSecrets, SystemBackupHead, check_file

from tests.gateway.backups.test_backup_files import data
from tests.gateway.support import START, Nimbus, plugin

BACKUPS = "/api/admin/backups"
PASSPHRASE = "a long passphrase"
RUNTIME = {"process": {"command": ["python"]}, "data": True}


def permissions(plugin_id: str, *granted: str) -> PluginPermissions:
    asked = ("media:read", "media:write")
    return PluginPermissions(
        plugin_id=plugin_id,
        version="1.0.0",
        requested=[
            PermissionInfo(name=name, description="Reads.", granted=name in granted, points=1) for name in asked
        ],
        decided=True,
        risk=Risk(score=1, level="low", factors=[]),
    )


def serve(nimbus: Nimbus, *more: Any, archive: bytes | None = None) -> None:
    """`hello` with data, `other` and `asleep`, and what the registry knows of them."""
    hello = plugin("hello", runtime=RUNTIME)
    nightly = [{"id": "nightly", "cron": "0 3 * * *"}]
    served = [hello, plugin("other", grants=()), plugin("asleep", state="disabled", schedules=nightly), *more]
    generation = nimbus.state.snapshots.current.generation + 1
    nimbus.state.snapshots.swap(Snapshot(generation=generation, instance="test", plugins=served))
    nimbus.registry.archive = data() if archive is None else archive
    answers = nimbus.registry.answers
    for one in served:
        found = PluginVersion(version="1.0.0", status="current", source=one.detail.source, since=START)
        answers["GET", f"/v1/plugins/{one.detail.id}/versions"] = PluginVersionList(items=[found])
        answers["GET", f"/v1/plugins/{one.detail.id}/permissions"] = permissions(one.detail.id, "media:read")
        answers["PUT", f"/v1/plugins/{one.detail.id}/permissions"] = permissions(one.detail.id)
    answers["PUT", "/v1/plugins/hello/data"] = ChangeResult(plugin=hello.detail, generation=generation, settled=True)


async def stock(nimbus: Nimbus) -> None:
    """Something in every table that is kept."""
    admin = await nimbus.admin()
    made = [
        await admin.post("/api/admin/users", json={"username": "Ada", "password": "ada has a password"}),
        await admin.post("/api/admin/api-keys", json={"name": "robot", "scopes": ["media:read"]}),
        await admin.put(
            "/api/admin/plugins/hello/config", json={"values": {"greeting": "Hi", "token": "a secret of mine"}}
        ),
        await nimbus.plugin("hello").put("/core/v1/kv/k/1", json={"value": {"n": [1, None, "ü"]}}),
        await nimbus.plugin("other").put("/core/v1/kv/none", json={"value": None, "ttl": 5000}),
        await admin.post("/api/media", json={"kind": "series", "title": "Straße", "metadata": {"a": [1, {}]}}),
        await admin.post(
            "/api/admin/webhooks", json={"name": "Hook", "url": "https://example.org/x", "patterns": ["io.nimbus.**"]}
        ),
    ]
    for answer in made:
        assert answer.is_success, answer.text
    async with nimbus.state.database.write() as session:
        parent = uuid.UUID(made[5].json()["id"])
        older = uuid.UUID(int=parent.int - 2**80)
        session.add(
            MediaItem(id=older, kind="episode", title="One", title_key="one", parent_id=parent, created_by="plugin:x")
        )
        session.add(MediaChangeRow(media_id=older))
        session.add(DownloadRow(url="https://example.org/f", title="F", provider="hello", requested_by="user:x"))
        session.add(CompatPortRow(port=8989, plugin_id="hello"))
        session.add(ScheduleRow(plugin_id="asleep", id="nightly", cron="0 3 * * *", timezone="UTC", running=new_id()))


async def contents(nimbus: Nimbus) -> dict[str, list[dict[str, Any]]]:
    """All rows of the tables that are kept but the audit record, with secrets opened and what a restore ends gone."""
    box = nimbus.state.accounts.box
    found: dict[str, list[dict[str, Any]]] = {}
    async with nimbus.state.database.read() as session:
        connection = await session.connection()
        for kept in KEPT:
            rows = await connection.execute(sa.select(kept.table).order_by(*kept.table.primary_key.columns))
            found[kept.name] = [dict(row) for row in rows.mappings()]
        usage = await connection.execute(sa.select(KvUsageRow.__table__).where(sa.text("keys > 0")))  # type: ignore[attr-defined]
        found["usage"] = sorted((dict(row) for row in usage.mappings()), key=str)
    for row in found["plugin_settings"]:
        if "sealed" in row["content"]:
            row["content"] = {"opened": box.open(row["content"]["sealed"], f"{row['plugin_id']}/{row['key']}")}
    for row in found["webhooks"]:
        row["secret"] = box.open(row["secret"], webhook_subscriber(row["id"]))
    for row in found["schedules"]:
        row["running"] = None
    for row in found["api_keys"]:
        row["last_used_at"] = None
    # Numbers are new with every restore, and what went because of it is told.
    found["media_changes"] = [{"media_id": row["media_id"]} for row in found["media_changes"] if not row["deleted"]]
    del found["audit"]
    return found


async def settled(nimbus: Nimbus) -> None:
    """Until the job that was asked for has ended."""
    async with asyncio.timeout(240):
        await nimbus.state.system_backup.wait()


async def made(nimbus: Nimbus, admin: httpx.AsyncClient, passphrase: str = PASSPHRASE) -> dict[str, Any]:
    """A new backup, as it is listed."""
    answer = await admin.post(BACKUPS, json={"passphrase": passphrase})
    assert answer.status_code == 202, answer.text
    await settled(nimbus)
    items = (await admin.get(BACKUPS)).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["id"] == answer.json()["id"])
    return found


async def downloaded(nimbus: Nimbus, admin: httpx.AsyncClient) -> bytes:
    backup = await made(nimbus, admin)
    assert backup["state"] == "ready", backup
    answer = await admin.get(f"{BACKUPS}/{backup['id']}/file")
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == backup["size"]
    assert answer.headers["content-type"] == "application/x-tar"
    assert ".nimbus-system.tar" in answer.headers["content-disposition"]
    return answer.content


async def restored(
    nimbus: Nimbus, admin: httpx.AsyncClient, file: bytes, **body: Any
) -> tuple[dict[str, Any], httpx.AsyncClient]:
    """Upload and restore it; how that went, and a browser that nobody is signed in with."""
    uploaded = await admin.post(f"{BACKUPS}/upload", content=file)
    assert uploaded.status_code == 201, uploaded.text
    wanted = {"passphrase": PASSPHRASE, "confirm": "nimbus", "keepCurrent": False, **body}
    started = await admin.post(f"{BACKUPS}/{uploaded.json()['id']}/restore", json=wanted)
    assert started.status_code == 202, started.text
    await settled(nimbus)
    anybody = nimbus.browser()
    ticket = {"X-Nimbus-Restore-Ticket": started.json()["ticket"]}
    answer = await anybody.get(f"{BACKUPS}/restore", headers=ticket)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found, anybody


async def sessions(nimbus: Nimbus) -> int:
    async with nimbus.state.database.read() as session:
        return (await session.exec(sa.select(sa.func.count()).select_from(UserSession))).scalar_one()  # type: ignore[call-overload, no-any-return]


def entry(file: bytes, name: str) -> bytes:
    """One entry's contents."""
    reader = ArchiveReader(io.BytesIO(file))
    return next(reader.content(len(file)) for one in reader if one.name == name)


def rewritten(file: bytes, head: Mapping[str, Any] | None = None, **tables: bytes) -> bytes:
    """The file with other contents of tables and of its head, and checksums that fit."""
    reader = ArchiveReader(io.BytesIO(file))
    parts = {entry.name: reader.content(len(file)) for entry in reader}
    del parts["SHA256SUMS"], parts["seal.txt"]
    found = json.loads(parts.pop("nimbus.json"))
    for name, content in tables.items():
        parts[f"table-{name}.jsonl"] = content
    for part in found["parts"]:
        content = parts[part["name"]]
        part["size"], part["sha256"] = len(content), hashlib.sha256(content).hexdigest()
        if part["name"].startswith("table-"):
            part["rows"] = content.count(b"\n")
    found |= dict(head or {})
    entries = [Part(name, content) for name, content in parts.items()]
    whole = with_sums([*entries, Part("nimbus.json", json.dumps(found).encode())])
    return b"".join(file_chunks([*whole, Part("seal.txt", seal(found, whole[-1].sha256).encode())], 0))


def seal(head: Mapping[str, Any], sums: str) -> str:
    """What somebody who knows the passphrase seals."""
    box = open_seal(PASSPHRASE, BackupSecrets.model_validate(head["secrets"]))
    return seal_of(box, sums)


def head_of(file: bytes) -> SystemBackupHead:
    return check_file(io.BytesIO(file)).head
