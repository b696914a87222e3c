"""The feed of changes of the library after a restore: whoever follows it hears of every item that came or went.

A place in the feed is a number that only grows, and followers keep the last one that they read. Those of the backup
mean nothing here: everything gets a new number beyond all that were given out.
"""

import asyncio
from itertools import islice
from typing import IO, Final

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.media.tables import MediaChangeRow
from nimbus_gateway.system_backups.rows import KEPT
from nimbus_gateway.system_backups.verify import Verified, table_rows

_MOST_ROWS: Final = 500
_CAME: Final = """
    INSERT INTO media_changes (media_id, deleted) SELECT id, false FROM media
    WHERE NOT EXISTS (SELECT 1 FROM media_changes WHERE media_changes.media_id = media.id) ORDER BY id
"""
_WENT: Final = """
    INSERT INTO media_changes (media_id, deleted) SELECT id, true FROM restored_over
    WHERE NOT EXISTS (SELECT 1 FROM media_changes WHERE media_changes.media_id = restored_over.id) ORDER BY id
"""
_CORRECTED: Final = """
    UPDATE media_changes SET deleted = NOT EXISTS (SELECT 1 FROM media WHERE media.id = media_changes.media_id)
"""


async def remember_media(session: AsyncSession) -> None:
    """Keep the ids of all items that are there or were, until `renumber_changes` is called in this transaction."""
    connection = await session.connection()
    await connection.exec_driver_sql("DROP TABLE IF EXISTS restored_over")
    await connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE restored_over AS SELECT media_id AS id FROM media_changes UNION SELECT id FROM media"
    )


async def renumber_changes(session: AsyncSession, file: IO[bytes], found: Verified) -> None:
    """Write the feed anew: the items of the backup in its order, then as deleted all that were here and are not."""
    connection = await session.connection()
    kept = next(one for one in KEPT if one.model is MediaChangeRow)
    rows = table_rows(file, found, kept)

    def page() -> list[dict[str, object]]:
        return [{"media_id": row["media_id"], "deleted": row["deleted"]} for row, _ in islice(rows, _MOST_ROWS)]

    while batch := await asyncio.to_thread(page):
        await connection.execute(sa.insert(kept.table), batch)
    # An item that is in the library is no deleted one, and the other way round, whatever the file says of it.
    for statement in (_CAME, _WENT, _CORRECTED, "DROP TABLE restored_over"):
        await connection.exec_driver_sql(statement)
