"""The key-value store: `/core/v1/kv`. Each plugin has one of its own."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from nimbus_sdk.contracts.base import WireModel

KvKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_:@-][A-Za-z0-9_:@.-]*(/[A-Za-z0-9_:@-][A-Za-z0-9_:@.-]*)*$", max_length=256
    ),
    Field(examples=["feeds/news/etag"]),
]
"""Segments with `/` between, so that a prefix lists what belongs together."""

LONGEST_TTL_SECONDS = 10 * 365 * 24 * 3600


class KvPut(WireModel):
    """Body of `PUT /core/v1/kv/{key}`.

    `If-Match: "<etag>"` replaces only the version that was read, `If-None-Match: *` only makes a new entry.
    """

    value: Any = Field(description="Any JSON value, null included.")
    ttl: float | None = Field(
        default=None, gt=0, le=LONGEST_TTL_SECONDS, description="Seconds until it is gone; null keeps it for good."
    )


class KvEntry(WireModel):
    """One entry. The answer's `ETag` header names the same version as `etag`."""

    key: str
    value: Any = None
    etag: str = Field(description="Send it as `If-Match`: the call fails when the entry changed since.")
    updated_at: datetime
    expires_at: datetime | None = None


class KvPage(WireModel):
    """Answer of `GET /core/v1/kv`: entries in the order of their keys."""

    items: list[KvEntry]
    next: str | None = Field(default=None, description="Pass as `cursor` for what follows.")


class KvUsage(WireModel):
    """Answer of `GET /core/v1/kv-usage`: what the plugin keeps, and how much it may."""

    keys: int
    keys_limit: int
    bytes: int = Field(description="Size of all values as compact JSON, and of their keys.")
    bytes_limit: int
