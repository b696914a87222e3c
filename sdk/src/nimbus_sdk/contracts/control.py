"""Calls between registry and gateway over the control network, authenticated by the service token."""

from typing import Any, Literal

from pydantic import Field

from nimbus_sdk.contracts.base import PluginId, WireModel
from nimbus_sdk.contracts.core_api import LogLevel
from nimbus_sdk.contracts.plugin_api import Health, LifecycleEvent
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import Hop, PluginDetail, Transition, UiAssets, Upstream


class ChangeRequest(WireModel):
    """Body of the registry's enable, disable and restart calls."""

    cause: str = Field(default="api", max_length=120, description="Who asks, e.g. `user:<id>`.")


class ChangeResult(WireModel):
    """Answer of enable and disable.

    HTTP 200 when it is done and every gateway worker serves it, 202 while under way, 409 when it failed.
    """

    plugin: PluginDetail
    generation: int = Field(description="The snapshot that shows the change; wait for it to read your write.")
    settled: bool = Field(description="The asked state is reached and every live worker serves it.")


class InUse(WireModel):
    """Plugins that run on demand and are in use, as one gateway worker sees it."""

    plugins: list[PluginId] = Field(default_factory=list, max_length=1000)


class PluginPage(WireModel):
    """Answer of the registry's `GET /v1/plugins`."""

    items: list[PluginDetail]


class ScanResult(WireModel):
    """Answer of `POST /v1/plugins/scan`."""

    added: list[str] = Field(default_factory=list)
    updated: list[str] = Field(default_factory=list)
    removed: list[str] = Field(default_factory=list)
    unchanged: list[str] = Field(default_factory=list)
    invalid: list[str] = Field(default_factory=list)


class TransitionPage(WireModel):
    """Answer of `GET /v1/transitions`: ascending by id."""

    items: list[Transition]
    next: int | None = Field(default=None, description="Pass as `after` for what follows.")


MOST_LOG_LINES = 5000
"""As many old lines of a plugin's output can be asked for at once."""


class LogLine(WireModel):
    """One line of a plugin's output or of its image build."""

    cursor: str
    at: str | None = Field(default=None, description="RFC 3339, when known.")
    stream: Literal["stdout", "stderr", "build", "platform"]
    text: str
    level: LogLevel | None = Field(default=None, description="When the line says so.")


class ProbeRequest(WireModel):
    """Ask the gateway to call a plugin's health endpoint on the path that users take."""

    plugin_id: PluginId
    upstream: Upstream
    timeout: float = Field(default=2.0, gt=0, le=30, description="Seconds for the whole probe.")


class ProbeResult(WireModel):
    """What came of a probe; `hop` names the step that failed."""

    ok: bool
    status: int | None = None
    hop: Hop | None = None
    detail: str | None = None
    health: Health | None = None


class LifecycleRequest(WireModel):
    """Ask the gateway to deliver a lifecycle event to a plugin."""

    plugin_id: PluginId
    upstream: Upstream
    event: LifecycleEvent
    timeout: float = Field(default=30.0, gt=0, le=300)


class LifecycleResult(WireModel):
    """What the plugin answered; 404 counts as ok (it is not interested)."""

    ok: bool
    status: int | None = None
    detail: str | None = None


class UiFetchRequest(WireModel):
    """Ask the gateway to fetch and keep the UI files of a plugin's version."""

    plugin_id: PluginId
    upstream: Upstream
    bundle: str
    timeout: float = Field(default=30.0, gt=0, le=300)


class UiFetchResult(WireModel):
    """The files that the gateway now holds, or why it refused them."""

    ok: bool
    assets: UiAssets | None = None
    detail: str | None = None
    errors: list[FieldProblem] = Field(default_factory=list)


class SettingsSwitch(WireModel):
    """Ask the gateway to keep a plugin's settings with the version that is left, for one that is entered.

    It is the same to ask for it again.
    """

    plugin_id: PluginId
    leaves: str = Field(max_length=128, description="The version that the settings belong to.")
    enters: str = Field(max_length=128, description="The version that they are to belong to.")
    bring_back: bool = Field(
        default=False,
        description="They become what that version was left with, when it was; else they go on as they are.",
    )
    keep: list[str] = Field(
        default_factory=list, max_length=100, description="Further versions whose settings stay; all others go."
    )


class SettingsSwitched(WireModel):
    """What came of it."""

    changed: bool = Field(description="The plugin's settings are others than before.")


class SettingsCheck(WireModel):
    """Ask the gateway whether the settings of a plugin fit a schema: that of the version which is started."""

    plugin_id: PluginId
    settings_schema: dict[str, Any] = Field(alias="schema")


class SettingsChecked(WireModel):
    """The settings that are missing or do not fit, each by its path, without values; empty when all is well."""

    problems: list[FieldProblem] = Field(default_factory=list)
