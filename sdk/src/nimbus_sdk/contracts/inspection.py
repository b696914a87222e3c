"""How a plugin fares: the doctor's walk over the hops, and what the plugin uses."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.snapshot import PluginState

DoctorHop = Literal[
    "manifest",
    "image",
    "container",
    "dns",
    "tcp",
    "health",
    "contract",
    "init",
    "callback",
    "permissions",
]
"""What a plugin needs to serve, in the order in which one builds on the other."""

CheckStatus = Literal["passed", "warning", "failed", "skipped"]
"""`skipped`: it could not be looked at, because an earlier hop failed or nothing is wanted to run."""


class DoctorCheck(WireModel):
    """One hop and what came of it."""

    hop: DoctorHop
    status: CheckStatus
    message: str = Field(description="What was found, as a sentence.")
    hint: str | None = Field(default=None, description="What to do about it.")


class Diagnosis(WireModel):
    """Answer of the doctor. The checks are in the order of the hops, all of them, always."""

    plugin_id: str
    state: PluginState
    at: datetime
    healthy: bool = Field(
        description="No hop failed. A disabled plugin can be healthy: nothing keeps it from running."
    )
    summary: str = Field(description="One sentence: the first hop that failed, or that nothing is wrong.")
    first_failed: DoctorHop | None = None
    checks: list[DoctorCheck]
    log_tail: list[str] = Field(default_factory=list, description="The last lines that the plugin printed.")


Span = Literal["1h", "6h", "24h"]
"""How far back a history goes."""


class UsageSample(WireModel):
    """What a plugin used at one moment. Rates are means since the sample before; null for the first of a run."""

    at: datetime
    cpu: float | None = Field(default=None, description="Cores.")
    memory: int = Field(description="Bytes.")
    received: float | None = Field(default=None, description="Bytes a second; null where the runtime cannot tell.")
    sent: float | None = Field(default=None, description="Bytes a second; null where the runtime cannot tell.")


class DataUse(WireModel):
    """What a plugin keeps in its data folder. It is stopped beyond the limit, and told at nine tenths of it."""

    used_bytes: int
    limit_bytes: int = Field(description="`NIMBUS_MAX_DATA`.")
    measured_at: datetime = Field(description="It is counted anew every half minute while the plugin runs.")


class PluginMetrics(WireModel):
    """What a plugin uses and may use, now and over the last while."""

    plugin_id: str
    state: PluginState
    running_since: datetime | None = Field(default=None, description="Start of the present run.")
    restarts: int = Field(description="How often it was started anew since the registry's start.")
    failures: int = Field(description="Failures of the last ten minutes; five end in quarantine.")
    memory_limit: int | None = Field(default=None, description="Bytes.")
    cpu_limit: float | None = Field(default=None, description="Cores.")
    cpu_seconds: float | None = Field(default=None, description="Of the present run.")
    network_received: int | None = Field(default=None, description="Bytes of the present run.")
    network_sent: int | None = Field(default=None, description="Bytes of the present run.")
    data: DataUse | None = Field(default=None, description="Null for one without data, and before the first count.")
    current: UsageSample | None = Field(default=None, description="The newest sample; null while it does not run.")
    interval: float = Field(description="Seconds between two samples.")
    history: list[UsageSample] = Field(
        default_factory=list,
        description="Oldest first: samples for an hour, for longer means of five minutes with the highest memory.",
    )


class Orphan(WireModel):
    """Something that this Nimbus made and nothing needs any more."""

    kind: Literal["image", "copy"] = Field(description="An image, or a copy of the data of a plugin.")
    name: str
    plugin_id: str | None = Field(default=None, description="Whose data, of a copy.")
    size: int | None = Field(default=None, description="Bytes; null where it is not known.")
    listed_at: datetime


class OrphanList(WireModel):
    """Orphans that go with the next look, and those that this call removed."""

    items: list[Orphan]
    removed: list[Orphan] = Field(default_factory=list)


class PluginMetricsPage(WireModel):
    """Every plugin's metrics, without history."""

    items: list[PluginMetrics]
