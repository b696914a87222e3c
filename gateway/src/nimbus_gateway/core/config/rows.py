"""All settings of a plugin as they are stored, read and replaced at once; nothing is unsealed."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.config.tables import PluginSetting
from nimbus_gateway.database import lock


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as it is stored: a secret stays sealed."""

    key: str
    content: Mapping[str, Any]
    updated_at: datetime
    updated_by: str


async def lock_settings(session: AsyncSession, plugin_id: str) -> None:
    """Have the settings of a plugin to oneself until the transaction ends."""
    await lock(session, f"settings:{plugin_id}")


async def stored_settings(session: AsyncSession, plugin_id: str) -> list[SettingRow]:
    """All settings of a plugin as they are stored."""
    query = select(PluginSetting).where(col(PluginSetting.plugin_id) == plugin_id).order_by(col(PluginSetting.key))
    rows = (await session.exec(query)).all()
    return [SettingRow(row.key, dict(row.content), row.updated_at, row.updated_by) for row in rows]


async def put_settings(session: AsyncSession, plugin_id: str, rows: Iterable[SettingRow]) -> None:
    """Make these all the settings of a plugin."""
    await lock_settings(session, plugin_id)
    await session.exec(sa.delete(PluginSetting).where(col(PluginSetting.plugin_id) == plugin_id))
    for row in rows:
        session.add(
            PluginSetting(
                plugin_id=plugin_id,
                key=row.key,
                content=dict(row.content),
                stamp=secrets.token_hex(8),
                updated_at=row.updated_at,
                updated_by=row.updated_by,
            )
        )
    await session.flush()
