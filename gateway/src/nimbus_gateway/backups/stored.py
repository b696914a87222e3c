"""What the core keeps of a plugin, read for a backup and replaced by a restore."""

import asyncio
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from nimbus_sdk.contracts.backup import BackupKvEntry
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.backups.file import Spool
from nimbus_gateway.core.kv.service import KvLimits, KvStore, entry_size
from nimbus_gateway.core.kv.tables import KvRow, KvUsageRow
from nimbus_gateway.database import insert_ignoring, now

_PAGE: Final = 500


async def spool_kv(session: AsyncSession, plugin_id: str, limits: KvLimits, spool: Spool) -> int:
    """Write every entry of a plugin's store that has not expired, one JSON object a line. Returns how many."""
    store, after, count = KvStore(session, plugin_id, limits), None, 0
    while rows := await store.page(prefix="", after=after, limit=_PAGE):
        entries = [
            BackupKvEntry(key=row.key, value=row.content.get("value"), expires_at=row.expires_at) for row in rows
        ]
        await asyncio.to_thread(_write, entries, spool)
        count += len(rows)
        after = rows[-1].key
        session.expunge_all()
    return count


def _write(entries: Sequence[BackupKvEntry], spool: Spool) -> None:
    for entry in entries:
        spool.write(json.dumps(entry.wire(), separators=(",", ":"), ensure_ascii=False).encode() + b"\n")


def _read(entries: Iterator[BackupKvEntry]) -> list[tuple[BackupKvEntry, int]]:
    """The next ones, with their sizes."""
    return [(entry, entry_size(entry.key, entry.value)) for entry in islice(entries, _PAGE)]


async def put_kv(session: AsyncSession, plugin_id: str, entries: Iterable[BackupKvEntry]) -> int:
    """Make these all the entries of a plugin's store, without those that have expired. Returns how many.

    They may come from a file, and are read in a thread.
    """
    await insert_ignoring(session, KvUsageRow, {"plugin_id": plugin_id, "keys": 0, "size": 0})
    query = select(KvUsageRow).where(col(KvUsageRow.plugin_id) == plugin_id).with_for_update()
    usage = (await session.exec(query)).one()
    await session.exec(sa.delete(KvRow).where(col(KvRow.plugin_id) == plugin_id))
    usage.keys = usage.size = 0
    moment, left = now(), iter(entries)
    while page := await asyncio.to_thread(_read, left):
        batch: list[dict[str, Any]] = [
            {
                "plugin_id": plugin_id,
                "key": entry.key,
                "content": {"value": entry.value},
                "size": size,
                "stamp": secrets.token_hex(8),
                "updated_at": moment,
                "expires_at": entry.expires_at,
            }
            for entry, size in page
            if entry.expires_at is None or entry.expires_at > moment
        ]
        usage.keys += len(batch)
        usage.size += sum(row["size"] for row in batch)
        if batch:
            await session.exec(sa.insert(KvRow), params=batch)
    session.add(usage)
    await session.flush()
    return usage.keys
