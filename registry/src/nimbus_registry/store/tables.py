"""The tables. Every change here needs a migration."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, String, Text
from sqlmodel import Field, SQLModel

from nimbus_registry.database import JsonColumn, UtcDateTime


class PluginRow(SQLModel, table=True):
    """A plugin: what it says of itself, what a person wants of it, and where it stands."""

    __tablename__ = "plugin"

    id: str = Field(sa_column=Column(String(40), primary_key=True))
    name: str = Field(sa_column=Column(String(120), nullable=False))
    description: str = Field(sa_column=Column(Text, nullable=False))
    version: str = Field(sa_column=Column(String(64), nullable=False))
    enabled: bool = Field(nullable=False)
    capabilities: list[str] = Field(sa_column=Column(JsonColumn, nullable=False))
    manifest: dict[str, Any] | None = Field(sa_column=Column(JsonColumn))
    problems: list[dict[str, Any]] = Field(sa_column=Column(JsonColumn, nullable=False))
    source: str = Field(sa_column=Column(String(300), nullable=False))
    state: str = Field(sa_column=Column(String(20), nullable=False))
    since: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    reason: dict[str, Any] | None = Field(sa_column=Column(JsonColumn))
    token_sha256: str | None = Field(sa_column=Column(String(64)))
    run_id: str | None = Field(sa_column=Column(String(200)))
    failures: list[float] = Field(sa_column=Column(JsonColumn, nullable=False))
    ui: dict[str, Any] | None = Field(sa_column=Column(JsonColumn))
    installation: dict[str, Any] | None = Field(default=None, sa_column=Column(JsonColumn))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class TransitionRow(SQLModel, table=True):
    """One change of a plugin's state. The history outlives the plugin, so there is no foreign key."""

    __tablename__ = "transition"
    __table_args__ = (Index("ix_transition_plugin_id_id", "plugin_id", "id"),)

    id: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    )
    plugin_id: str = Field(sa_column=Column(String(40), nullable=False))
    from_state: str | None = Field(sa_column=Column(String(20)))
    to_state: str = Field(sa_column=Column(String(20), nullable=False))
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    cause: str = Field(sa_column=Column(String(120), nullable=False))
    reason: dict[str, Any] | None = Field(sa_column=Column(JsonColumn))


class CounterRow(SQLModel, table=True):
    """A number that only grows, such as the generations reserved so far."""

    __tablename__ = "counter"

    name: str = Field(sa_column=Column(String(40), primary_key=True))
    value: int = Field(sa_column=Column(BigInteger, nullable=False))
