"""What the core keeps of a plugin, deleted when the plugin goes and a person wants its data gone."""

from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.core.config.tables import PluginSetting, PluginSettingsVersion
from nimbus_gateway.core.kv.tables import KvRow, KvUsageRow
from nimbus_gateway.core.logs.tables import PluginLogLine
from nimbus_gateway.core.schedules.tables import ScheduleRow, ScheduleRunRow

TABLES = (
    PluginSetting,
    PluginSettingsVersion,
    CompatPortRow,
    KvRow,
    KvUsageRow,
    PluginLogLine,
    ScheduleRunRow,
    ScheduleRow,
)


async def delete_own_data(session: AsyncSession, plugin_id: str) -> int:
    """Delete settings, secrets, ports, key-value pairs, log lines and schedules; how many rows these were.

    The media library belongs to nobody.
    """
    found = 0
    for table in TABLES:
        found += (await session.exec(delete(table).where(col(table.plugin_id) == plugin_id))).rowcount
    return found
