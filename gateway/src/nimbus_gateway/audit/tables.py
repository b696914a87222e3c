"""Table of the audit record."""

import uuid
from datetime import datetime
from typing import Any

from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, Table, UtcDateTime, new_id, now


class AuditEntry(Table, table=True):
    """One action. Rows are added, never changed; names are kept as they were."""

    __tablename__ = "audit"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    actor: str = Field(max_length=80)
    actor_name: str = Field(default="", max_length=120)
    action: str = Field(max_length=60, index=True)
    target: str = Field(default="", max_length=160)
    outcome: str = Field(default="done", max_length=16)
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=JSON_COLUMN)
    address: str = Field(default="", max_length=64)
    request_id: str = Field(default="", max_length=80)
