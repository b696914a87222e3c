"""Which version of a plugin its settings belong to, and those of the versions that it was switched away from.

The registry says when a version is left for another. The settings as they are then are kept with the version that is
left, sealed as they were, so that going back to it brings them back and nothing that was set is lost.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from nimbus_sdk.contracts.control import SettingsSwitch
from nimbus_sdk.contracts.install import KeptSettings
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.config.rows import SettingRow, lock_settings, put_settings, stored_settings
from nimbus_gateway.core.config.service import MOST_SETTINGS
from nimbus_gateway.core.config.tables import PluginSettingsVersion
from nimbus_gateway.database import now


def settings_of_entered(
    live: Sequence[SettingRow], kept: Sequence[SettingRow] | None, *, bring_back: bool
) -> list[SettingRow]:
    """The settings of a version that is entered. Pure.

    Args:
        live: those of the version that is left.
        kept: those that the entered version was left with; None when it never was.
        bring_back: they are to be what they were; else the live ones go on, and only what the entered version had
            beyond them is added.
    """
    if kept is None:
        return list(live)
    if bring_back:
        return list(kept)
    there = {row.key for row in live}
    added = [row for row in kept if row.key not in there]
    return [*live, *added[: max(0, MOST_SETTINGS - len(live))]]


async def switch_settings(session: AsyncSession, wanted: SettingsSwitch) -> bool:
    """Have the settings belong to the version that is entered. Returns whether they changed.

    Asked for twice, it is done once: settings that belong to that version already stay as they are.
    """
    plugin_id, left, entered = wanted.plugin_id, wanted.leaves, wanted.enters
    await lock_settings(session, plugin_id)
    rows = {row.version: row for row in await _rows(session, plugin_id)}
    if any(row.current and row.version == entered for row in rows.values()):
        return False
    live = await stored_settings(session, plugin_id)
    kept = _opened(rows[entered].content) if entered in rows else None
    after = settings_of_entered(live, kept, bring_back=wanted.bring_back)
    known = {left, entered, *wanted.keep}
    for row in rows.values():
        # One that is called current and is not left is of before the plugin was installed again.
        if row.version not in known or (row.current and row.version != left):
            await session.delete(row)
    for version, settings in ((left, live), (entered, ())):
        row = rows.get(version) or PluginSettingsVersion(
            plugin_id=plugin_id, version=version, current=False, content={}
        )
        row.current, row.content, row.saved_at = version == entered, _closed(settings), now()
        session.add(row)
    changed = _seen(after) != _seen(live)
    if changed:
        await put_settings(session, plugin_id, after)
    await session.flush()
    return changed


async def forget_owner(session: AsyncSession, plugin_id: str) -> None:
    """The plugin is uninstalled and its settings stay: they are those of whatever version is installed next."""
    mine = col(PluginSettingsVersion.plugin_id) == plugin_id
    await session.exec(sa.delete(PluginSettingsVersion).where(mine, col(PluginSettingsVersion.current)))


async def kept_settings(session: AsyncSession, plugin_id: str) -> dict[str, KeptSettings]:
    """What is kept of each version that was left: when, and which settings; never a value."""
    return {
        row.version: KeptSettings(saved_at=row.saved_at, keys=sorted(row.content))
        for row in await _rows(session, plugin_id)
        if not row.current
    }


async def _rows(session: AsyncSession, plugin_id: str) -> Sequence[PluginSettingsVersion]:
    mine = col(PluginSettingsVersion.plugin_id) == plugin_id
    return (await session.exec(select(PluginSettingsVersion).where(mine))).all()


def _closed(settings: Sequence[SettingRow]) -> dict[str, Any]:
    return {
        row.key: {
            "content": dict(row.content),
            "updatedAt": row.updated_at.astimezone(UTC).isoformat(),
            "updatedBy": row.updated_by,
        }
        for row in settings
    }


def _opened(content: dict[str, Any]) -> list[SettingRow]:
    return [
        SettingRow(key, one["content"], datetime.fromisoformat(one["updatedAt"]), one["updatedBy"])
        for key, one in sorted(content.items())
    ]


def _seen(settings: Sequence[SettingRow]) -> dict[str, Any]:
    return {row.key: row.content for row in settings}
