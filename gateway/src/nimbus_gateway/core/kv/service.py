"""The key-value store of one plugin: compare-and-set by entity tags, expiry, and a quota."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from nimbus_sdk.contracts.kv import KvEntry, KvPut, KvUsage
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.etags import require_match, require_none_match
from nimbus_gateway.core.kv.tables import KvRow, KvUsageRow
from nimbus_gateway.database import insert_ignoring, now
from nimbus_gateway.errors import NotFoundError, QuotaExceededError

EXPIRED_AT_ONCE = 5000
"""How many expired entries one sweep removes."""


@dataclass(frozen=True, slots=True)
class KvLimits:
    """What one plugin may keep."""

    keys: int
    size: int


def entry_size(key: str, value: Any) -> int:  # noqa: ANN401 - any JSON value
    """Bytes that an entry counts for: its key, and its value as compact JSON. Pure."""
    return len(key) + len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def view(row: KvRow) -> KvEntry:
    """The wire form of a row."""
    return KvEntry(
        key=row.key,
        value=row.content.get("value"),
        etag=_tag(row),
        updated_at=row.updated_at,
        expires_at=row.expires_at,
    )


def _tag(row: KvRow) -> str:
    return f'"{row.stamp}"'


class KvStore:
    """The store of one plugin within one transaction. What has expired is not there, swept or not."""

    def __init__(self, session: AsyncSession, plugin_id: str, limits: KvLimits) -> None:
        self._session = session
        self._plugin_id = plugin_id
        self._limits = limits

    async def get(self, key: str) -> KvRow:
        """One entry.

        Raises:
            NotFoundError: there is none, or not any more.
        """
        row = await self._find(key)
        if row is None or _expired(row):
            raise NotFoundError(f"There is no entry {key!r}.")
        return row

    async def page(self, *, prefix: str, after: str | None, limit: int) -> Sequence[KvRow]:
        """Entries whose keys begin with the prefix, by key, after the given one."""
        query = select(KvRow).where(col(KvRow.plugin_id) == self._plugin_id, _alive()).order_by(col(KvRow.key))
        if prefix:
            query = query.where(col(KvRow.key) >= prefix, col(KvRow.key) < _after_prefix(prefix))
        if after is not None:
            query = query.where(col(KvRow.key) > after)
        return (await self._session.exec(query.limit(limit))).all()

    async def put(self, key: str, body: KvPut, *, if_match: str | None, if_none_match: str | None) -> KvRow:
        """Store an entry.

        Raises:
            PreconditionFailedError: it is another one than `if_match` says, or it is there despite `if_none_match`.
            QuotaExceededError: the plugin would keep more than it may.
        """
        usage = await self._usage()
        row = await self._find(key)
        present = row is not None and not _expired(row)
        tag = _tag(row) if row is not None and present else None
        require_match(if_match, tag)
        require_none_match(if_none_match, tag)
        size = entry_size(key, body.value)
        grown = size - (row.size if row is not None else 0)
        new = row is None
        if self._exceeded(usage, new=new, grown=grown):
            await self._sweep(usage, but=key)
            if quota := self._exceeded(usage, new=new, grown=grown):
                raise self._too_much(quota, usage, size)
        if row is None:
            row = KvRow(plugin_id=self._plugin_id, key=key, content={}, size=0, stamp="")
            usage.keys += 1
        usage.size += grown
        row.content, row.size = {"value": body.value}, size
        row.stamp = secrets.token_hex(8)
        row.updated_at = now()
        row.expires_at = row.updated_at + timedelta(seconds=body.ttl) if body.ttl is not None else None
        self._session.add(row)
        self._session.add(usage)
        await self._session.flush()
        return row

    async def delete(self, key: str, *, if_match: str | None) -> None:
        """Remove an entry; nothing happens when it is not there.

        Raises:
            PreconditionFailedError: it is another one than `if_match` says.
        """
        usage = await self._usage()
        row = await self._find(key)
        require_match(if_match, None if row is None or _expired(row) else _tag(row))
        if row is not None:
            usage.keys -= 1
            usage.size -= row.size
            self._session.add(usage)
            await self._session.delete(row)
            await self._session.flush()

    async def usage(self) -> KvUsage:
        """What the plugin keeps, and how much it may."""
        row = await self._session.get(KvUsageRow, self._plugin_id)
        return KvUsage(
            keys=row.keys if row else 0,
            keys_limit=self._limits.keys,
            bytes=row.size if row else 0,
            bytes_limit=self._limits.size,
        )

    async def _find(self, key: str) -> KvRow | None:
        return await self._session.get(KvRow, (self._plugin_id, key))

    async def _usage(self) -> KvUsageRow:
        await insert_ignoring(self._session, KvUsageRow, {"plugin_id": self._plugin_id, "keys": 0, "size": 0})
        query = select(KvUsageRow).where(col(KvUsageRow.plugin_id) == self._plugin_id).with_for_update()
        return (await self._session.exec(query)).one()

    def _exceeded(self, usage: KvUsageRow, *, new: bool, grown: int) -> str | None:
        """The quota that a change would pass, if any. What shrinks is always fine."""
        if new and usage.keys >= self._limits.keys:
            return "kv-keys"
        return "kv-bytes" if grown > 0 and usage.size + grown > self._limits.size else None

    async def _sweep(self, usage: KvUsageRow, *, but: str) -> None:
        """Take back what expired entries count for, without waiting for the housekeeping."""
        mine = sa.and_(col(KvRow.plugin_id) == self._plugin_id, sa.not_(_alive()), col(KvRow.key) != but)
        gone = await self._session.exec(sa.delete(KvRow).where(mine).returning(col(KvRow.size)))
        sizes = [size for (size,) in gone.all()]
        usage.keys -= len(sizes)
        usage.size -= sum(sizes)

    def _too_much(self, quota: str, usage: KvUsageRow, size: int) -> QuotaExceededError:
        limit = f"{self._limits.keys} entries" if quota == "kv-keys" else f"{self._limits.size} bytes"
        return QuotaExceededError(
            f"The plugin's store holds at most {limit}; it has {usage.keys} entries of {usage.size} bytes, and this "
            f"one has {size}. Delete entries, give them a ttl, or ask the operator for more.",
            extra={"quota": quota, "keys": usage.keys, "bytes": usage.size},
        )


async def sweep_expired(session: AsyncSession) -> int:
    """Remove entries that have expired, of every plugin; how many."""
    doomed = select(KvRow.plugin_id, KvRow.key).where(sa.not_(_alive())).limit(EXPIRED_AT_ONCE)
    owners: dict[str, list[str]] = {}
    for plugin_id, key in (await session.exec(doomed)).all():
        owners.setdefault(plugin_id, []).append(key)
    removed = 0
    for plugin_id, keys in sorted(owners.items()):
        query = select(KvUsageRow).where(col(KvUsageRow.plugin_id) == plugin_id).with_for_update()
        usage = (await session.exec(query)).one()
        # Asked again under the lock: an entry may have been renewed meanwhile.
        mine = sa.and_(col(KvRow.plugin_id) == plugin_id, col(KvRow.key).in_(keys), sa.not_(_alive()))
        sizes = [
            size for (size,) in (await session.exec(sa.delete(KvRow).where(mine).returning(col(KvRow.size)))).all()
        ]
        usage.keys -= len(sizes)
        usage.size -= sum(sizes)
        session.add(usage)
        removed += len(sizes)
    return removed


def _alive() -> sa.ColumnElement[bool]:
    return sa.or_(col(KvRow.expires_at).is_(None), col(KvRow.expires_at) > now())


def _expired(row: KvRow) -> bool:
    return row.expires_at is not None and row.expires_at <= now()


def _after_prefix(prefix: str) -> str:
    """The least text above every text with the prefix. Keys are ASCII, so the next character exists."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
