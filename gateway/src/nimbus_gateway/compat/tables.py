"""Table of compatibility ports."""

from datetime import datetime

from sqlmodel import Field

from nimbus_gateway.database import Table, UtcDateTime, now


class CompatPortRow(Table, table=True):
    """A port, and the plugin whose compatibility routes appear at its root."""

    __tablename__ = "compat_ports"

    port: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    plugin_id: str = Field(max_length=40, index=True)
    mapped_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
