"""Long work of the registry that people follow: fetching a plugin."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel


class PullLayer(WireModel):
    """One layer of an image on its way here. Sizes in bytes, when the engine tells."""

    id: str
    status: str
    current: int | None = None
    total: int | None = None


class InstallJob(WireModel):
    """An installation or upgrade that is fetched, or was a moment ago."""

    id: str
    kind: Literal["install", "upgrade"]
    source: str = Field(description="E.g. `image:example/subtitles:1.2.0`.")
    plugin_id: str | None = Field(default=None, description="Known from the start of an upgrade on.")
    state: Literal["running", "done", "failed"]
    message: str = Field(description="What is going on, or what came of it.")
    layers: list[PullLayer] = Field(default_factory=list)
    problem: dict[str, Any] | None = Field(default=None, description="Why it failed, as a problem.")
    started_at: datetime
