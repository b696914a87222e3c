"""Tables of the outbox: events, who gets them, and what is still to be delivered."""

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, ROW_ID, Table, UtcDateTime, new_id, now


class EventRow(Table, table=True):
    """An event. `seq` orders deliveries, `id` and `source` name it outside.

    Attributes:
        content: `{"data": <any JSON>}`.
        addressed: the subscribers that it was meant for, when not for everybody who subscribes to its type.
        size: bytes that count against the quota of the plugin that published it.
    """

    __tablename__ = "events"
    __table_args__ = (
        sa.UniqueConstraint("source", "id", name="uq_events_source_id"),
        sa.Index("ix_events_type_seq", "type", "seq"),
        sa.Index("ix_events_recorded_at", "recorded_at"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, primary_key=True, sa_type=ROW_ID)
    id: str = Field(max_length=100)
    source: str = Field(max_length=120)
    type: str = Field(max_length=200)
    subject: str | None = Field(default=None, max_length=200)
    time: datetime = Field(sa_type=UtcDateTime)
    recorded_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    content: dict[str, Any] = Field(sa_type=JSON_COLUMN)
    addressed: list[str] | None = Field(default=None, sa_type=JSON_COLUMN)
    size: int = Field(default=0)


class DeliveryRow(Table, table=True):
    """An event on its way to a subscriber. It is deleted when it has arrived, and marked dead when given up."""

    __tablename__ = "event_deliveries"
    __table_args__ = (
        sa.Index("ix_event_deliveries_subscriber_dead_id", "subscriber", "dead", "id"),
        sa.Index("ix_event_deliveries_event_seq", "event_seq"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=ROW_ID)
    event_seq: int = Field(foreign_key="events.seq", ondelete="CASCADE", sa_type=ROW_ID)
    subscriber: str = Field(max_length=100)
    dead: bool = Field(default=False)
    attempts: int = Field(default=0)
    error: str = Field(default="", max_length=500)
    failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SubscriberRow(Table, table=True):
    """Who gets events.

    Attributes:
        name: `plugin:<id>`, `schedule:<plugin>:<id>` or `webhook:<id>`.
        patterns: event types it asked for.
        withheld: beginnings of types that it may not see, whatever it asked for.
        active: false after it answered 410 Gone.
        registration: names the run of a plugin that subscribed; a new one subscribes again.
        blocked_until: its oldest event failed and is tried again then.
        lease_owner: the worker that delivers to it, until `lease_until`.
    """

    __tablename__ = "event_subscribers"

    name: str = Field(primary_key=True, max_length=100)
    patterns: list[str] = Field(default_factory=list, sa_type=JSON_COLUMN)
    withheld: list[str] = Field(default_factory=list, sa_type=JSON_COLUMN)
    active: bool = Field(default=True)
    registration: str = Field(default="", max_length=64)
    delivered: int = Field(default=0, sa_type=sa.BigInteger)
    last_delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, max_length=500)
    blocked_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lease_owner: str | None = Field(default=None, max_length=100)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    gone_since: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FeedCursor(Table, table=True):
    """How far a feed from elsewhere has been taken over into events."""

    __tablename__ = "event_feeds"

    name: str = Field(primary_key=True, max_length=40)
    position: int = Field(default=0, sa_type=sa.BigInteger)


class WebhookRow(Table, table=True):
    """An address outside that gets events. `secret` is sealed."""

    __tablename__ = "webhooks"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    name: str = Field(max_length=120)
    url: str = Field(max_length=2000)
    secret: str = Field(max_length=500)
    patterns: list[str] = Field(sa_type=JSON_COLUMN)
    enabled: bool = Field(default=True)
    created_by: str = Field(max_length=80)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
