"""Downloads: shared records at `/core/v1/downloads` and `/api/downloads`, worked on by provider plugins.

A provider is a plugin with the capability `downloader`, or `downloader:<scheme>` for addresses of one scheme such as
`downloader:magnet`. It is told of its work by events that go to it alone, `io.nimbus.download.requested.v1` and
`io.nimbus.download.control.v1`, both with the download as `data`, and it says how things stand by
`POST /core/v1/downloads/{id}/report`, whose answer holds what people want by now (`wanted`).
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from nimbus_sdk.contracts.base import PluginId, WireModel

DownloadState = Literal["queued", "running", "paused", "completed", "failed", "canceled"]
ReportedState = Literal["running", "paused", "completed", "failed", "canceled"]
Wanted = Literal["run", "pause", "cancel"]

FINISHED_STATES: frozenset[str] = frozenset({"completed", "failed", "canceled"})
DOWNLOADER = "downloader"
"""The capability of a provider."""
DOWNLOAD_REQUESTED = "io.nimbus.download.requested.v1"
DOWNLOAD_CONTROL = "io.nimbus.download.control.v1"

Address = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$", max_length=4000),
    Field(examples=["https://example.org/film.mkv", "magnet:?xt=urn:btih:…"]),
]
Title = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class DownloadCreate(WireModel):
    """Body of `POST …/downloads`."""

    url: Address
    title: Title | None = Field(default=None, description="The last part of the address, when left out.")
    provider: PluginId | None = Field(
        default=None, description="The plugin that is to do it; when left out, the first that takes such addresses."
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Whatever asker and provider agree on, such as a checksum."
    )


class DownloadUpdate(WireModel):
    """Body of `PATCH …/downloads/{id}`: what is left out stays."""

    title: Title | None = None
    position: int | None = Field(default=None, ge=0, description="The new place in the queue; 0 is the first.")
    metadata: dict[str, Any] | None = Field(default=None, description="Merged (RFC 7396).")


class DownloadReport(WireModel):
    """Body of `POST /core/v1/downloads/{id}/report`, from its provider: what is left out stays."""

    state: ReportedState
    done_bytes: int | None = Field(default=None, ge=0, le=2**53)
    total_bytes: int | None = Field(default=None, ge=0, le=2**53)
    speed: float | None = Field(default=None, ge=0, description="Bytes a second.")
    error: Annotated[str, StringConstraints(max_length=2000)] | None = Field(
        default=None, description="Why it failed, in words a person can act on."
    )
    result: dict[str, Any] | None = Field(
        default=None, description="What came of it, such as the path of the file and the id of the media item."
    )


class Download(WireModel):
    """A download."""

    id: str = Field(description="UUIDv7.")
    url: str
    title: str
    provider: str
    state: DownloadState
    wanted: Wanted = Field(description="What people want; a provider acts on it and reports.")
    position: int | None = Field(default=None, description="Place in the queue; none once it has ended.")
    done_bytes: int
    total_bytes: int | None = None
    speed: float | None = None
    eta_seconds: float | None = Field(default=None, description="At the present speed.")
    error: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] = Field(default_factory=dict)
    attempt: int = Field(description="1, and one more for each retry.")
    requested_by: str = Field(description="`user:<id>`, `api-key:<id>` or `plugin:<id>`.")
    etag: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class DownloadPage(WireModel):
    """Downloads: the queue in its order, the history newest first."""

    items: list[Download]
    next: str | None = None


class DownloadProvider(WireModel):
    """A plugin that downloads."""

    id: str
    name: str
    schemes: list[str] = Field(description="Schemes of addresses that it names.")
    takes_any: bool = Field(description="It takes addresses of any other scheme too.")
    ready: bool


class DownloadProviderList(WireModel):
    """Answer of `GET …/downloads/providers`."""

    items: list[DownloadProvider]
