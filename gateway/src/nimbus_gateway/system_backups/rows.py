"""Which tables a backup of everything holds, and their rows as lines of JSON. Pure.

A restored row is believed no more than one that somebody sends: what the API would refuse, this refuses. Left out
are sessions, invitations and sign-in attempts, which must not come back to life, and what follows from the rest or
passes: events and their deliveries, runs of schedules, log lines, traffic.
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn, get_args

import sqlalchemy as sa
from nimbus_sdk.contracts.base import PLUGIN_ID_PATTERN
from nimbus_sdk.contracts.core_api import ConfigKey, MediaKind
from nimbus_sdk.contracts.downloads import DownloadState, Wanted
from nimbus_sdk.contracts.jsontext import MAX_DEPTH, text_problems
from nimbus_sdk.contracts.kv import KvKey
from nimbus_sdk.contracts.manifest import Scope
from pydantic import TypeAdapter
from pydantic import ValidationError as ModelError

from nimbus_gateway.audit.tables import AuditEntry
from nimbus_gateway.auth.models import RoleName
from nimbus_gateway.auth.tables import ApiKey, User
from nimbus_gateway.auth.users import username_key
from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.core.config.sealing import SecretBox
from nimbus_gateway.core.config.tables import PluginSetting
from nimbus_gateway.core.downloads.tables import DownloadRow
from nimbus_gateway.core.events.tables import WebhookRow
from nimbus_gateway.core.kv.service import entry_size
from nimbus_gateway.core.kv.tables import KvRow
from nimbus_gateway.core.media.service import title_key
from nimbus_gateway.core.media.tables import MediaChangeRow, MediaItem
from nimbus_gateway.core.schedules.cron import schedule_problem
from nimbus_gateway.core.schedules.tables import ScheduleRow
from nimbus_gateway.core.webhooks.api import WebhookCreate
from nimbus_gateway.core.webhooks.service import webhook_subscriber
from nimbus_gateway.database import Table

_PLUGIN_ID: Final = re.compile(PLUGIN_ID_PATTERN)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PASSWORD: Final = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{8,100}\$[A-Za-z0-9+/]{16,100}"
)
_MOST_MEMORY, _MOST_ROUNDS, _MOST_LANES = 1024**2, 20, 16
_LAST_PORT: Final = 65535
_SCOPES: TypeAdapter[list[str]] = TypeAdapter(list[Scope])
_CONFIG_KEY: TypeAdapter[str] = TypeAdapter(ConfigKey)
_KV_KEY: TypeAdapter[str] = TypeAdapter(KvKey)
_KIND: TypeAdapter[str] = TypeAdapter(MediaKind)

Row = dict[str, Any]
"""Values by column."""


class RowError(ValueError):
    """A line is no row that Nimbus would have written; the message says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A table that is in the backup.

    Attributes:
        model: its rows.
        check: raises `RowError` or pydantic's error for a row that must not be.
    """

    model: type[Table]
    check: Callable[[Any], None]

    @property
    def table(self) -> sa.Table:
        """As SQLAlchemy knows it."""
        found: sa.Table = self.model.__table__  # type: ignore[attr-defined]
        return found

    @property
    def name(self) -> str:
        """Of the table."""
        return self.table.name


def _wrong(what: str) -> NoReturn:
    raise RowError(what)


def _user(row: User) -> None:
    if row.role not in get_args(RoleName):
        _wrong(f"there is no role {row.role[:20]!r}")
    if row.username_key != username_key(row.username):
        _wrong("username_key is not that of the name")
    found = _PASSWORD.fullmatch(row.password_hash)
    if found is None:
        _wrong("password_hash is no hash of Nimbus")
    memory, rounds, lanes = (int(number) for number in found.groups())
    # Whoever signs in has it computed: it must not take the machine's memory.
    if memory > _MOST_MEMORY or rounds > _MOST_ROUNDS or lanes > _MOST_LANES:
        _wrong("password_hash asks for too much work")


def _api_key(row: ApiKey) -> None:
    if not _DIGEST.fullmatch(row.key_hash):
        _wrong("key_hash is no SHA-256")
    _SCOPES.validate_python(row.scopes)


def _plugin_id(text: str) -> None:
    if not _PLUGIN_ID.fullmatch(text):
        _wrong(f"{text[:60]!r} is no id of a plugin")


def _setting(row: PluginSetting) -> None:
    _plugin_id(row.plugin_id)
    _CONFIG_KEY.validate_python(row.key)
    if row.content.keys() == {"sealed"} and isinstance(row.content["sealed"], str):
        return
    if row.content.keys() != {"value"}:
        _wrong("content is neither a value nor sealed")


def _kv(row: KvRow) -> None:
    _plugin_id(row.plugin_id)
    _KV_KEY.validate_python(row.key)
    if row.content.keys() != {"value"}:
        _wrong("content is no value")
    row.size = entry_size(row.key, row.content["value"])


def _media(row: MediaItem) -> None:
    _KIND.validate_python(row.kind)
    row.title_key = title_key(row.title)


def _download(row: DownloadRow) -> None:
    if row.state not in get_args(DownloadState) or row.wanted not in get_args(Wanted):
        _wrong("it has a state that there is not")


def _schedule(row: ScheduleRow) -> None:
    _plugin_id(row.plugin_id)
    row.running = None  # whoever ran it is gone
    if row.missed not in {"once", "skip"}:
        _wrong(f"missed cannot be {row.missed!r}")
    if row.error is None and (problem := schedule_problem(row.cron, "UTC")):
        _wrong(problem)
    if problem := schedule_problem(row.cron, row.timezone):  # a time zone that only the other machine knows
        row.error, row.next_at = problem[:300], None


def _webhook(row: WebhookRow) -> None:
    WebhookCreate(name=row.name, url=row.url, patterns=row.patterns)


def _port(row: CompatPortRow) -> None:
    _plugin_id(row.plugin_id)
    if not 0 < row.port <= _LAST_PORT:
        _wrong(f"{row.port} is no port")


def _any(row: Table) -> None:
    """Its columns say all."""


KEPT: Final = (
    Kept(User, _user),
    Kept(ApiKey, _api_key),
    Kept(PluginSetting, _setting),
    Kept(KvRow, _kv),
    Kept(MediaItem, _media),
    Kept(MediaChangeRow, _any),
    Kept(DownloadRow, _download),
    Kept(ScheduleRow, _schedule),
    Kept(WebhookRow, _webhook),
    Kept(CompatPortRow, _port),
    Kept(AuditEntry, _any),
)
"""In the order in which they refer to each other."""

WITH_SECRETS: Final = frozenset({PluginSetting, WebhookRow})
_DEEPER: Final = 8
"""A value of the deepest nesting lies in a column, and perhaps within an object there."""


def line_of(row: Mapping[str, Any]) -> bytes:
    """A row as a line."""
    plain = {name: _plain(value) for name, value in row.items()}
    return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:  # noqa: ANN401 - what columns hold
    if isinstance(value, uuid.UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def row_of(kept: Kept, line: bytes) -> Row:
    """A line as a row; columns that an older schema has not have their default.

    Raises:
        RowError: it is none.
    """
    try:
        document = json.loads(line.decode(), parse_constant=_no_constant)
        problem = next(text_problems(document, deepest=MAX_DEPTH + _DEEPER), None)
    except (ValueError, RecursionError) as error:
        raise RowError(f"no JSON: {str(error)[:120]}") from error
    if problem is not None:
        _wrong(f"JSON that cannot be kept: {problem.message}")
    if not isinstance(document, dict):
        _wrong("no object")
    columns = {column.name for column in kept.table.columns}
    if unknown := document.keys() - columns:
        _wrong(f"there is no column {min(unknown)[:60]!r}")
    try:
        row = kept.model.model_validate(document)
        kept.check(row)
    except ModelError as error:
        first = error.errors()[0]
        _wrong(f"{'/'.join(map(str, first['loc']))}: {first['msg']}")
    values = {name: getattr(row, name) for name in columns}
    for name, value in values.items():
        if isinstance(value, datetime) and value.tzinfo is None:
            _wrong(f"{name} has no time zone")
        if value is None and not kept.table.columns[name].nullable:
            _wrong(f"{name} is missing")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def resealed(kept: Kept, row: Row, opened_by: SecretBox, sealed_by: SecretBox) -> Row:
    """The row with its secret under another key.

    Raises:
        SealBrokenError: the first key does not open it.
    """
    if kept.model is PluginSetting and "sealed" in row["content"]:
        place = f"{row['plugin_id']}/{row['key']}"
        return {**row, "content": {"sealed": sealed_by.seal(opened_by.open(row["content"]["sealed"], place), place)}}
    if kept.model is WebhookRow:
        place = webhook_subscriber(row["id"])
        return {**row, "secret": sealed_by.seal(opened_by.open(row["secret"], place), place)}
    return row


def sealed_setting(row: Row, sealed_by: SecretBox) -> Row:
    """The row of a setting with its value sealed, unless it is already."""
    if "value" not in row["content"]:
        return row
    place = f"{row['plugin_id']}/{row['key']}"
    return {**row, "content": {"sealed": sealed_by.seal(row["content"]["value"], place)}}
