"""The registry's snapshot: all that the gateway must know of plugins, compiled into one document.

The gateway keeps the last good one on disk and serves from memory: no registry call sits on the path of a
request.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.dependencies import PluginDependency, PluginDependent
from nimbus_sdk.contracts.jobs import InstallJob
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.states import SERVING_STATES, PluginState

__all__ = [
    "SERVING_STATES",
    "Hop",
    "PluginDetail",
    "PluginState",
    "PluginSummary",
    "Reason",
    "Snapshot",
    "SnapshotPlugin",
    "Transition",
    "UiAssets",
    "Upstream",
]

Hop = Literal[
    "manifest",
    "image",
    "start",
    "dns",
    "connect",
    "http",
    "handshake",
    "init",
    "config",
    "exit",
    "stop",
    "engine",
]
"""The step that failed."""


class Reason(WireModel):
    """Why a plugin is where it is, in words a person can act on."""

    code: str = Field(description="Stable, e.g. `image-missing`, `exited`, `health-timeout`.")
    hop: Hop | None = None
    message: str
    hint: str | None = Field(default=None, description="What to do about it.")
    fields: list[FieldProblem] = Field(
        default_factory=list,
        description="Of `needs-configuration`: the settings that are missing or do not fit, without values.",
    )
    log_tail: list[str] = Field(default_factory=list, description="The last lines that the plugin printed.")


class PluginSummary(WireModel):
    """A plugin as lists show it."""

    id: str
    name: str
    version: str
    description: str = ""
    author: str = ""
    icon: str | None = None
    capabilities: list[str] = Field(default_factory=list)
    enabled: bool
    state: PluginState
    reason: Reason | None = None
    since: datetime = Field(description="When the state was entered.")
    progress: str | None = Field(default=None, description="What is going on right now, e.g. a build step.")
    trusted: bool = Field(description="The operator trusts its code with the powers of the signed-in user.")


class PluginDetail(PluginSummary):
    """A plugin with everything the dashboard shows on its own page."""

    source: str = Field(description="Where it was found, e.g. `folder:hello`.")
    homepage: str | None = None
    license: str | None = None
    permissions: list[str] = Field(default_factory=list)
    missing_permissions: list[str] = Field(
        default_factory=list, description="Asked for by the manifest and not granted by the person who decided."
    )
    errors: list[FieldProblem] = Field(default_factory=list, description="What is wrong with its manifest.")
    dependencies: list[PluginDependency] = Field(
        default_factory=list, description="The plugins that it needs, and how they stand."
    )
    dependents: list[PluginDependent] = Field(default_factory=list, description="The plugins that need it.")
    created_at: datetime
    updated_at: datetime
    manifest: Manifest | None = None
    compat_ports: list[int] = Field(
        default_factory=list, description="Compatibility ports that are mapped to it; added by the gateway."
    )


class Upstream(WireModel):
    """Where a running plugin listens, as the gateway reaches it."""

    host: str
    port: int = Field(ge=1, le=65535)


class UiAssets(WireModel):
    """The UI files the gateway has fetched and keeps: content hash of the whole and SHA-256 of each file."""

    content_hash: str
    files: dict[str, str]


class SnapshotPlugin(WireModel):
    """One plugin in the snapshot."""

    detail: PluginDetail
    upstream: Upstream | None = Field(default=None, description="Set while the plugin serves requests.")
    token_sha256: str | None = Field(default=None, description="Hex; set from its start until it is stopped.")
    other_token_sha256: list[str] = Field(
        default_factory=list, description="Of a second run, while its version is changed."
    )
    holding: bool = Field(
        default=False, description="Its versions are being exchanged: requests wait for a snapshot without this."
    )
    grants: list[str] = Field(default_factory=list, description="Permissions granted to it.")
    ui: UiAssets | None = None


class Snapshot(WireModel):
    """Everything at one moment. A later generation replaces the whole."""

    generation: int = Field(ge=0)
    instance: str
    plugins_enabled: bool = Field(default=True, description="False: the plugin host is switched off.")
    safe_mode: bool = False
    runtime: Literal["process", "docker", "swarm"] | None = Field(default=None, description="How plugins are run.")
    plugins: list[SnapshotPlugin] = Field(default_factory=list)
    installs: list[InstallJob] = Field(default_factory=list, description="Plugins that are being fetched.")


class Transition(WireModel):
    """One change of a plugin's state, as the history keeps it."""

    id: int = Field(description="Grows by commit order; the cursor of the transition feed.")
    plugin_id: str
    from_state: PluginState | None = None
    to_state: PluginState
    at: datetime
    cause: str = Field(description="Who or what: `user:<id>`, `discovery`, `reconciler`, `engine`.")
    reason: Reason | None = None
