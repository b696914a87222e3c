"""Copies of a plugin's data that its versions keep: dropped with them, and made the data again."""

import structlog

from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.store.installation import KeptVersion
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

STOP_GRACE = 10.0


async def drop_snapshots(tools: Tools, record: PluginRecord, versions: list[KeptVersion]) -> None:
    """Delete the data of versions that are kept no longer, except what another one still needs."""
    needed = {one.snapshot for one in record.installation.kept}
    for snapshot in {one.snapshot for one in versions} - needed - {None}:
        try:
            await tools.runtime.drop_snapshot(record.id, snapshot or "")
        except RuntimeFailure as failure:
            log.warning("a snapshot was not deleted", plugin=record.id, error=failure.message)


async def restore_under_way(tools: Tools, record: PluginRecord) -> None:
    """Undo what an upgrade did to the data of a plugin: all of its runs end, and the copy becomes the data again.

    Raises:
        RuntimeFailure: the engine does not do it; it is tried again.
    """
    under_way = record.installation.under_way
    if under_way is None:
        return
    await tools.runtime.stop(record.id, STOP_GRACE)
    await tools.runtime.remove(record.id)
    if under_way.complete:
        await tools.runtime.restore(record.id, under_way.snapshot, under_way.image or record.installation.pin)
    await tools.runtime.drop_snapshot(record.id, under_way.snapshot)
    record.installation.under_way = None
    tools.ledger.touch(record)
