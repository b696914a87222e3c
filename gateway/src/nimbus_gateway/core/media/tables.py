"""Table of the media library."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, ROW_ID, Table, UtcDateTime, new_id, now


class MediaItem(Table, table=True):
    """An item of the library. `title_key` is the title as search compares it; `version` makes the ETag."""

    __tablename__ = "media"
    __table_args__ = (
        sa.Index("ix_media_created_by", "created_by"),
        sa.Index("ix_media_kind_id", "kind", "id"),
        sa.Index("ix_media_parent_id_id", "parent_id", "id"),
        sa.Index("ix_media_year_id", "year", "id"),
        sa.UniqueConstraint("kind", "external_id", name="uq_media_kind_external_id"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    kind: str = Field(max_length=40)
    title: str = Field(max_length=500)
    title_key: str = Field(max_length=2000)
    year: int | None = Field(default=None)
    parent_id: uuid.UUID | None = Field(default=None, foreign_key="media.id", ondelete="RESTRICT")
    external_id: str | None = Field(default=None, max_length=200)
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON_COLUMN)
    version: int = Field(default=1)
    created_by: str = Field(max_length=80)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class MediaChangeRow(Table, table=True):
    """The last change of an item. Numbers are given out under a lock, so that they grow in the order of commits."""

    __tablename__ = "media_changes"
    __table_args__ = (
        sa.UniqueConstraint("media_id", name="uq_media_changes_media_id"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=ROW_ID)
    media_id: uuid.UUID
    deleted: bool = Field(default=False)
