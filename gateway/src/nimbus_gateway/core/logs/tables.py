"""Table of plugins' log lines."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, ROW_ID, Table, UtcDateTime, now


class PluginLogLine(Table, table=True):
    """One structured line. The newest lines of each plugin are kept, the rest is cut off."""

    __tablename__ = "plugin_logs"
    __table_args__ = (
        sa.Index("ix_plugin_logs_plugin_id_id", "plugin_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=ROW_ID)
    plugin_id: str = Field(max_length=40)
    level: str = Field(max_length=16)
    message: str = Field(sa_type=sa.Text)
    fields: dict[str, Any] = Field(default_factory=dict, sa_type=JSON_COLUMN)
    at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
