"""The tables out of the database into a file, and back, each as one transaction."""

import asyncio
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.audit.tables import AuditEntry
from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.auth.invitations import InvitationRow
from nimbus_gateway.auth.tables import ApiKey, User, UserSession
from nimbus_gateway.backups.verify import MOST_LINE
from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.core.config.sealing import SealBrokenError, SecretBox
from nimbus_gateway.core.config.tables import PluginSetting, PluginSettingsVersion
from nimbus_gateway.core.downloads.tables import DownloadRow
from nimbus_gateway.core.events.tables import DeliveryRow, EventRow, SubscriberRow, WebhookRow
from nimbus_gateway.core.kv.tables import KvRow, KvUsageRow
from nimbus_gateway.core.media.service import CHANGES_LOCK
from nimbus_gateway.core.media.tables import MediaChangeRow, MediaItem
from nimbus_gateway.core.schedules.tables import ScheduleRow, ScheduleRunRow
from nimbus_gateway.core.webhooks.service import webhook_subscriber
from nimbus_gateway.database import Database, Table, in_the_way, insert_of, lock
from nimbus_gateway.errors import BackupRefusedError, DatabaseUnavailableError, QuotaExceededError
from nimbus_gateway.system_backups.media_feed import remember_media, renumber_changes
from nimbus_gateway.system_backups.rows import KEPT, Kept, Row, line_of, resealed, sealed_setting
from nimbus_gateway.system_backups.verify import Verified, table_part, table_rows
from nimbus_gateway.system_backups.writer import BackupFile

EXPORT_SECONDS: Final = 1800.0
IMPORT_SECONDS: Final = 7200.0
_ID_BYTES: Final = 16
_MOST_REMARKS: Final = 1000
_PAGE: Final = 25
"""Rows that are read at a time; one may have a megabyte."""
_MOST_ROWS: Final = 200
_MOST_BYTES: Final = 4 * 1024**2
"""So many are written at a time."""

CLEARED: Final[tuple[type[Table], ...]] = (
    DeliveryRow,
    EventRow,
    SubscriberRow,
    WebhookRow,
    ScheduleRunRow,
    ScheduleRow,
    CompatPortRow,
    DownloadRow,
    MediaChangeRow,
    MediaItem,
    KvRow,
    KvUsageRow,
    PluginSettingsVersion,
    PluginSetting,
    ApiKey,
    UserSession,
    InvitationRow,
    User,
)
"""What is emptied before the rows of a backup come, so that nothing of before is left. The audit record stays, and
the backup's entries are added: nobody can wipe out a trace by a restore."""


_IN_STEP: Final = (CHANGES_LOCK, "event-subscribers", "schedules")
"""Locks of those that read rows and write them back: none of them does so across a restore."""


@dataclass(frozen=True, slots=True)
class Export:
    """How secrets get into a file.

    Attributes:
        own: opens them here.
        sealed_by: seals them there.
        secret: which settings of which plugin are secrets by its manifest; one may be stored from before it was.
    """

    own: SecretBox
    sealed_by: SecretBox
    secret: Mapping[str, frozenset[str]]


async def export_tables(database: Database, how: Export, out: BackupFile) -> list[str]:
    """Write every kept table as it is at one moment. Returns which rows could not be, as sentences.

    Raises:
        DatabaseUnavailableError: the database does not answer.
        OSError, PayloadTooLargeError: as `BackupFile.write`.
    """
    remarks: list[str] = []

    def write(kept: Kept, rows: Sequence[sa.RowMapping]) -> int:
        written = 0
        for found in rows:
            try:
                row = resealed(kept, dict(found), how.own, how.sealed_by)
            except SealBrokenError as error:
                remarks.append(f"One secret is left out: {error}.")
                continue
            if kept.model is PluginSetting and row["key"] in how.secret.get(row["plugin_id"], ()):
                row = sealed_setting(row, how.sealed_by)
            line = line_of(row)
            if len(line) > MOST_LINE:
                raise QuotaExceededError(f"A row of {kept.name} is larger than {MOST_LINE} bytes.")
            out.write(line)
            written += 1
        return written

    async with database.snapshot(EXPORT_SECONDS) as session:
        connection = await session.connection()
        for kept in KEPT:
            count = 0
            keys = kept.table.primary_key.columns
            query = sa.select(*kept.table.columns).order_by(*keys)
            with out.entry(table_part(kept)):
                found = await connection.stream(query, execution_options={"yield_per": _PAGE})
                async for page in found.mappings().partitions(_PAGE):
                    count += await asyncio.to_thread(write, kept, page)
            out.parts[-1].rows = count
    return remarks[:_MOST_REMARKS]


@dataclass(frozen=True, slots=True)
class Import:
    """What replaces the tables.

    Attributes:
        file: the backup.
        found: what is in it.
        boxes: the file's, and this instance's own.
        entry: the audit entry that is written with them.
    """

    file: IO[bytes]
    found: Verified
    boxes: tuple[SecretBox, SecretBox]
    entry: Row


async def import_tables(database: Database, changes: CredentialChanges, wanted: Import) -> None:
    """Put the rows of a file in the place of those that are there: all, or nothing is changed.

    Somebody who writes at the same moment can be in the way once or twice.

    Args:
        database: the database.
        changes: told that every credential may have changed.
        wanted: the rows.

    Raises:
        BackupRefusedError: the database does not take the rows, such as two of one key.
        DatabaseUnavailableError: it does not answer.
    """
    for pause in (1.0, 3.0):
        try:
            await _import(database, changes, wanted)
        except DatabaseUnavailableError as error:
            if not in_the_way(error):
                raise
            await asyncio.sleep(pause)
        else:
            return
    await _import(database, changes, wanted)


async def _import(database: Database, changes: CredentialChanges, wanted: Import) -> None:
    file, found = wanted.file, wanted.found
    try:
        with tempfile.TemporaryFile() as parents:
            async with database.write(IMPORT_SECONDS) as session:
                await _clear(session, sqlite=database.sqlite)
                for kept in KEPT:
                    if kept.model is not MediaChangeRow:
                        await _fill(session, kept, table_rows(file, found, kept), wanted.boxes, parents)
                await _relate(session, parents)
                await renumber_changes(session, file, found)
                await _follow_up(session)
                await session.exec(sa.insert(AuditEntry), params=[wanted.entry])
                await changes.record_everything(session)
    except (sa.exc.IntegrityError, sa.exc.DataError, OverflowError) as error:
        reason = str(getattr(error, "orig", error)).strip().split("\n")[0][:200]
        raise BackupRefusedError(
            f"This is no backup that can be restored: the database refused its rows ({reason}). No data were changed."
        ) from error
    except SealBrokenError as error:
        raise BackupRefusedError(f"This is no backup that can be restored: {error}. No data were changed.") from error


async def _clear(session: AsyncSession, *, sqlite: bool) -> None:
    connection = await session.connection()
    for name in _IN_STEP:
        await lock(session, name)
    if not sqlite:
        names = ", ".join(table.__table__.name for table in reversed(CLEARED))  # type: ignore[attr-defined]
        # Whoever writes meanwhile waits, instead of writing between old and new. In the order of those who do: the
        # thing itself, then the event that tells of it, then its deliveries.
        await connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
    await remember_media(session)
    await session.exec(sa.update(MediaItem).values(parent_id=None))
    for table in CLEARED:
        await session.exec(sa.delete(table))


def _page(rows: Iterator[tuple[Row, int]]) -> list[Row]:
    """The next rows: not too many, and not too large together."""
    found, size = list[Row](), 0
    for row, length in rows:
        found.append(row)
        size += length
        if len(found) >= _MOST_ROWS or size >= _MOST_BYTES:
            break
    return found


async def _fill(
    session: AsyncSession,
    kept: Kept,
    rows: Iterator[tuple[Row, int]],
    boxes: tuple[SecretBox, SecretBox],
    parents: IO[bytes],
) -> None:
    def page() -> list[Row]:
        found = [resealed(kept, row, *boxes) for row in _page(rows)]
        if kept.model is MediaItem:
            for row in found:
                if row["parent_id"] is not None:  # which may come later; see `_relate`
                    parents.write(row["id"].bytes + row["parent_id"].bytes)
                    row["parent_id"] = None
        return found

    statement: sa.Insert = sa.insert(kept.model)
    if kept.model is AuditEntry:
        statement = insert_of(session, AuditEntry).on_conflict_do_nothing()
    connection = await session.connection()
    while batch := await asyncio.to_thread(page):
        await connection.execute(statement, batch)


async def _relate(session: AsyncSession, parents: IO[bytes]) -> None:
    """Say of items of the library what they belong to, now that all are there."""
    parents.seek(0)

    def page() -> list[dict[str, uuid.UUID]]:
        read = parents.read(2 * _ID_BYTES * _MOST_ROWS)
        ids = [uuid.UUID(bytes=read[start : start + _ID_BYTES]) for start in range(0, len(read), _ID_BYTES)]
        return [{"item": item, "parent": parent} for item, parent in zip(ids[::2], ids[1::2], strict=True)]

    table: sa.Table = MediaItem.__table__  # type: ignore[attr-defined]
    statement = sa.update(table).where(table.c.id == sa.bindparam("item")).values(parent_id=sa.bindparam("parent"))
    connection = await session.connection()
    while batch := await asyncio.to_thread(page):
        await connection.execute(statement, batch)


async def _follow_up(session: AsyncSession) -> None:
    """What follows from the rows: what plugins use, and who gets events."""
    used = sa.select(col(KvRow.plugin_id), sa.func.count(), sa.func.sum(col(KvRow.size))).group_by(
        col(KvRow.plugin_id)
    )
    connection = await session.connection()
    await connection.execute(sa.insert(KvUsageRow).from_select(["plugin_id", "keys", "size"], used))
    for hook in (await session.exec(select(WebhookRow))).all():
        session.add(SubscriberRow(name=webhook_subscriber(hook.id), patterns=hook.patterns, active=hook.enabled))
    await session.flush()
