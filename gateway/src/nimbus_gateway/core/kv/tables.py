"""Tables of the key-value store."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, Table, UtcDateTime, now

KEY_COLUMN = sa.String(256).with_variant(sa.String(256, collation="C"), "postgresql")
"""Keys are ASCII and ordered by their bytes, so that a prefix is a range, on both databases."""


class KvRow(Table, table=True):
    """One entry of one plugin.

    `content` is `{"value": <any JSON>}`, so that the JSON value null can be kept. `stamp` is new with every change:
    it is the ETag. `size` is what counts towards the plugin's quota.
    """

    __tablename__ = "plugin_kv"
    __table_args__ = (sa.Index("ix_plugin_kv_expires_at", "expires_at"),)

    plugin_id: str = Field(primary_key=True, max_length=40)
    key: str = Field(primary_key=True, sa_type=KEY_COLUMN)
    content: dict[str, Any] = Field(sa_type=JSON_COLUMN)
    size: int
    stamp: str = Field(max_length=32)
    updated_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class KvUsageRow(Table, table=True):
    """How much a plugin keeps. Its writers take this row's lock, so that two of them never pass a quota together."""

    __tablename__ = "plugin_kv_usage"

    plugin_id: str = Field(primary_key=True, max_length=40)
    keys: int = Field(default=0)
    size: int = Field(default=0, sa_type=sa.BigInteger)
