"""Table of the history of requests."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, Table, UtcDateTime


class TrafficRow(Table, table=True):
    """What one worker counted of one plugin in one minute. Only the worker writes it, so workers never wait."""

    __tablename__ = "traffic"
    __table_args__ = (sa.Index("ix_traffic_at", "at"),)

    plugin_id: str = Field(primary_key=True, max_length=40)
    at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    worker: str = Field(primary_key=True, max_length=16)
    requests: int = Field(sa_type=sa.BigInteger)
    client_errors: int = Field(sa_type=sa.BigInteger)
    plugin_errors: int = Field(sa_type=sa.BigInteger)
    gateway_errors: int = Field(sa_type=sa.BigInteger)
    received: int = Field(sa_type=sa.BigInteger)
    sent: int = Field(sa_type=sa.BigInteger)
    buckets: list[int] = Field(sa_type=JSON_COLUMN)
