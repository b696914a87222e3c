"""What a plugin calls on the core: `/core/v1` with `Authorization: Bearer <plugin token>`."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from nimbus_sdk.contracts.base import WireModel

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
ConfigKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,127}$")]
MediaKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$"), Field(examples=["movie"])]


class Self_(WireModel):  # noqa: N801 - `Self` is taken by typing
    """Answer of `GET /core/v1/self`: the caller as the core knows it."""

    id: str
    version: str
    permissions: list[str]
    instance: str


class ConfigValue(WireModel):
    """One setting: `GET|PUT /core/v1/config/{key}`. The answer's `ETag` names its version."""

    value: Any = Field(description="Any JSON value that fits the manifest's settings schema.")


class ConfigDocument(WireModel):
    """Answer of `GET /core/v1/config`: all settings that are set, defaults of the schema filled in."""

    values: dict[str, Any]


ExternalId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$"), Field(examples=["imdb:tt0078748"])]
"""An item's name in another catalogue; unique among the items of its kind."""


class MediaCreate(WireModel):
    """Body of `POST /core/v1/media` and `POST /api/media`."""

    kind: MediaKind
    title: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    year: int | None = Field(default=None, ge=1, le=9999)
    parent_id: str | None = Field(default=None, description="Id of the item it belongs to, e.g. a series.")
    external_id: ExternalId | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class MediaUpdate(WireModel):
    """Body of `PATCH /core/v1/media/{id}`: fields that are left out stay; `metadata` is merged (RFC 7396)."""

    kind: MediaKind | None = None
    title: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    year: int | None = Field(default=None, ge=1, le=9999)
    parent_id: str | None = None
    external_id: ExternalId | None = None
    metadata: dict[str, Any] | None = None


class Media(WireModel):
    """A media item. `etag` guards updates: send it as `If-Match`."""

    id: str = Field(description="UUIDv7.")
    kind: str
    title: str
    year: int | None = None
    parent_id: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    etag: str
    created_by: str = Field(description="`user:<id>` or `plugin:<id>`.")
    created_at: datetime
    updated_at: datetime


class MediaPage(WireModel):
    """Answer of `GET /core/v1/media`, newest first; `next` is the cursor of the following page."""

    items: list[Media]
    next: str | None = None


class MediaUpsert(WireModel):
    """One line of `POST …/media/bulk`: the item of this kind and external id is made, or brought to this.

    Its metadata is replaced. The parent must be there, or come in an earlier line.
    """

    kind: MediaKind
    external_id: ExternalId
    title: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    year: int | None = Field(default=None, ge=1, le=9999)
    parent_kind: MediaKind | None = None
    parent_external_id: ExternalId | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class MediaBulkItem(WireModel):
    """What came of one line."""

    line: int = Field(description="From 1.")
    outcome: Literal["created", "updated", "unchanged", "failed"]
    id: str | None = None
    error: str | None = None


class MediaBulkResult(WireModel):
    """Answer of `POST …/media/bulk`: lines that failed do not hold up the others."""

    created: int
    updated: int
    unchanged: int
    failed: int
    items: list[MediaBulkItem]


class MediaChange(WireModel):
    """An item that was made, changed or deleted; of several changes of one item the last is told."""

    id: str
    deleted: bool
    item: Media | None = Field(default=None, description="As it is now; none when it was deleted.")


class MediaChangePage(WireModel):
    """Answer of `GET …/media/changes`, oldest change first."""

    items: list[MediaChange]
    next: str = Field(description="Pass as `after`, now or later, for what has changed since.")
    more: bool = Field(description="There is more right now.")


class LogEntry(WireModel):
    """One structured log line of a plugin."""

    level: LogLevel = "info"
    message: Annotated[str, StringConstraints(max_length=8192)]
    at: datetime | None = None
    fields: dict[str, Any] = Field(default_factory=dict)


class LogBatch(WireModel):
    """Body of `POST /core/v1/logs`, answered 202."""

    entries: list[LogEntry] = Field(min_length=1, max_length=1000)
