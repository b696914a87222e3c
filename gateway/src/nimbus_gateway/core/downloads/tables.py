"""Table of downloads."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, Table, UtcDateTime, new_id, now


class DownloadRow(Table, table=True):
    """A download. `rank` orders those that have not ended; `version` makes the ETag."""

    __tablename__ = "downloads"
    __table_args__ = (
        sa.Index("ix_downloads_state_id", "state", "id"),
        sa.Index("ix_downloads_provider_id", "provider", "id"),
        sa.Index("ix_downloads_rank", "rank"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    url: str = Field(max_length=4000)
    title: str = Field(max_length=500)
    provider: str = Field(max_length=40)
    state: str = Field(default="queued", max_length=16)
    wanted: str = Field(default="run", max_length=16)
    rank: int | None = Field(default=None)
    done_bytes: int = Field(default=0, sa_type=sa.BigInteger)
    total_bytes: int | None = Field(default=None, sa_type=sa.BigInteger)
    speed: float | None = Field(default=None)
    error: str | None = Field(default=None, max_length=2000)
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON_COLUMN)
    result: dict[str, Any] = Field(default_factory=dict, sa_type=JSON_COLUMN)
    attempt: int = Field(default=1)
    version: int = Field(default=1)
    requested_by: str = Field(max_length=80)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
