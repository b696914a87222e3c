"""Settings of plugins: checked against the manifest, secrets sealed, each with an ETag."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.config.rows import lock_settings
from nimbus_gateway.core.config.schema import Schema, defaults, document_problems, secret_keys, setting_problems
from nimbus_gateway.core.config.sealing import SecretBox
from nimbus_gateway.core.config.tables import PluginSetting
from nimbus_gateway.core.config.turns import aside
from nimbus_gateway.core.etags import require_match
from nimbus_gateway.database import now
from nimbus_gateway.errors import ConflictError, NotFoundError, ValidationError

MOST_SETTINGS = 500
DEFAULT_ETAG = '"default"'


@dataclass(frozen=True, slots=True)
class Setting:
    """A value with its entity tag."""

    value: Any
    etag: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """All settings of a plugin that were judged together, before anything was locked.

    Attributes:
        values: what is to be stored.
        kept: those of them that were stored before: secrets that were left out.
        named: the keys of all others, and of secrets that go.
    """

    values: Mapping[str, Any]
    kept: Mapping[str, Any]
    named: Collection[str]


async def judged(
    plugin_id: str, schema: Schema | None, stored: Mapping[str, Any], values: Mapping[str, Any]
) -> Replacement:
    """All settings as they are to be: a secret that is left out stays, one that is null goes.

    Raises:
        ValidationError: they do not fit the schema, with everything that is wrong.
        ConflictError: the schema itself is not valid.
        RateLimitedError: too many wait to be judged.
    """
    hidden = secret_keys(schema)
    kept = _left_out(stored, hidden, values)
    after = kept | {key: value for key, value in values.items() if not (key in hidden and value is None)}
    problems = await aside(plugin_id, document_problems, schema, defaults(schema) | after)
    if problems:
        raise ValidationError("The settings do not fit the plugin's schema.", errors=problems)
    return Replacement(after, kept, frozenset(values))


class PluginSettings:
    """The settings of one plugin within one transaction."""

    def __init__(self, session: AsyncSession, box: SecretBox, plugin_id: str, schema: Schema | None) -> None:
        self._session = session
        self._box = box
        self._plugin_id = plugin_id
        self._schema = schema

    async def all(self) -> dict[str, Any]:
        """Every setting that is set, with the schema's defaults for the others."""
        return defaults(self._schema) | await self.stored()

    async def stored(self) -> dict[str, Any]:
        """Every setting that is set."""
        query = select(PluginSetting).where(col(PluginSetting.plugin_id) == self._plugin_id)
        return {row.key: self._open(row) for row in (await self._session.exec(query)).all()}

    async def get(self, key: str) -> Setting:
        """One setting, or its default.

        Raises:
            NotFoundError: there is neither.
        """
        found = await self._find(key)
        if found is None:
            raise NotFoundError(f"The setting {key} is not set and has no default.")
        return found

    async def _find(self, key: str) -> Setting | None:
        row = await self._session.get(PluginSetting, (self._plugin_id, key))
        if row is not None:
            return Setting(self._open(row), f'"{row.stamp}"')
        standard = defaults(self._schema)
        return Setting(standard[key], DEFAULT_ETAG) if key in standard else None

    async def set(self, key: str, value: Any, *, by: str, if_match: str | None = None) -> Setting:  # noqa: ANN401
        """Store one setting.

        Raises:
            ValidationError: it does not fit the schema.
            PreconditionFailedError: it was changed since `if_match`.
            ConflictError: there are too many settings, or the schema itself is not valid.
            RateLimitedError: too many wait to be judged.
        """
        problems = await aside(self._plugin_id, setting_problems, self._schema, key, value)
        if problems:
            raise ValidationError(f"The value does not fit the setting {key}.", errors=problems)
        await self._lock()
        found = await self._find(key)
        require_match(if_match, found.etag if found else None)
        return await self._store(key, value, by)

    async def delete(self, key: str, *, if_match: str | None = None) -> None:
        """Go back to the default; nothing happens when it was not set.

        Raises:
            PreconditionFailedError: it was changed since `if_match`.
        """
        await self._lock()
        found = await self._find(key)
        require_match(if_match, found.etag if found else None)
        await self._remove([key])

    async def replace(self, wanted: Replacement, *, by: str) -> None:
        """Set all settings at once.

        Raises:
            ConflictError: there are too many settings, or secrets that stay were changed since they were judged.
        """
        await self._lock()
        before = await self.stored()
        kept = _left_out(before, secret_keys(self._schema), wanted.named)
        if kept.keys() != wanted.kept.keys() or any(_differs(kept[key], wanted.kept[key]) for key in kept):
            raise ConflictError("A secret was changed meanwhile; send the settings again.")
        await self._remove(sorted(before.keys() - wanted.values.keys()))
        for key, value in wanted.values.items():
            if key not in before or _differs(before[key], value):
                await self._store(key, value, by)

    async def _lock(self) -> None:
        await lock_settings(self._session, self._plugin_id)

    async def _store(self, key: str, value: Any, by: str) -> Setting:  # noqa: ANN401 - any JSON value
        row = await self._session.get(PluginSetting, (self._plugin_id, key))
        if row is None:
            await self._check_count()
            row = PluginSetting(plugin_id=self._plugin_id, key=key, content={}, stamp="", updated_by=by)
        secret = key in secret_keys(self._schema)
        row.content = {"sealed": self._box.seal(value, self._place(key))} if secret else {"value": value}
        row.stamp = secrets.token_hex(8)
        row.updated_by = by
        row.updated_at = now()
        self._session.add(row)
        await self._session.flush()
        return Setting(value, f'"{row.stamp}"')

    async def _check_count(self) -> None:
        query = select(sa.func.count()).where(col(PluginSetting.plugin_id) == self._plugin_id)
        if (await self._session.exec(query)).one() >= MOST_SETTINGS:
            raise ConflictError(f"A plugin may have at most {MOST_SETTINGS} settings.")

    async def _remove(self, keys: list[str]) -> None:
        mine = col(PluginSetting.plugin_id) == self._plugin_id
        await self._session.exec(sa.delete(PluginSetting).where(mine, col(PluginSetting.key).in_(keys)))

    def _open(self, row: PluginSetting) -> Any:  # noqa: ANN401 - any JSON value
        sealed = row.content.get("sealed")
        return row.content.get("value") if sealed is None else self._box.open(sealed, self._place(row.key))

    def _place(self, key: str) -> str:
        return f"{self._plugin_id}/{key}"


def _left_out(stored: Mapping[str, Any], hidden: Collection[str], named: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in stored.items() if key in hidden and key not in named}


def _differs(before: Any, after: Any) -> bool:  # noqa: ANN401 - any JSON value
    return type(before) is not type(after) or before != after
