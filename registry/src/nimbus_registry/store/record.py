"""A plugin as the registry holds it in memory, and its two other forms: the row and the wire."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nimbus_sdk.contracts.dependencies import PluginDependency, PluginDependent
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import (
    SERVING_STATES,
    PluginDetail,
    PluginState,
    Reason,
    SnapshotPlugin,
    UiAssets,
    Upstream,
)
from pydantic import TypeAdapter

from nimbus_registry.store.candidate import Candidate
from nimbus_registry.store.installation import FOLDER_SOURCE, Installation
from nimbus_registry.store.tables import PluginRow

_STATE: TypeAdapter[PluginState] = TypeAdapter(PluginState)


@dataclass(slots=True)
class PluginRecord:
    """A plugin. Fields from `progress` on live in memory only.

    Attributes:
        installation: what was decided and kept since it was installed.
        manifest: the one it runs by; None while it is invalid. A running plugin whose file breaks keeps the last
            good one, and `problems` says what is wrong with the file.
        run_id: the run whose token is the stored one. A run with another id has a token nobody knows.
        failures: times (Unix seconds) of its failures that still count.
        request: grows with every call of a person; `done` is the one whose outcome is known.
        restart: a person wants a new run.
        busy: its task is starting or stopping it right now.
        holding: its requests are kept by the gateway, because its versions are being exchanged.
        waiting: its start waits for other plugins that it needs.
        next: the version that it is to change to.
        upgrade_failure: why the last change of version came to nothing.
        next_token_sha256, old_token_sha256: of a second run beside the one that serves.
        retry_at: monotonic time before which it is not started again.
        restarts: how often this registry started it anew.
        reserved: what is being done with it, while nothing may be begun that would get in its way.
        data_used: bytes of its data when they were last counted, at `data_measured_at`.
        data_excess: they were more than it may keep, and it ran.
        unfit: the settings that are missing or do not fit, when it was last asked; None before that.
        unjudged: why they could not be checked, when the schema itself is at fault.
        used_at: monotonic time at which somebody last used it or asked for it.
    """

    id: str
    name: str
    version: str
    source: str
    created_at: datetime
    updated_at: datetime
    since: datetime
    description: str = ""
    capabilities: list[str] = field(default_factory=list)
    manifest: Manifest | None = None
    problems: list[FieldProblem] = field(default_factory=list)
    enabled: bool = False
    state: PluginState = "disabled"
    reason: Reason | None = None
    token_sha256: str | None = None
    run_id: str | None = None
    failures: list[float] = field(default_factory=list)
    ui: UiAssets | None = None
    installation: Installation = field(default_factory=Installation)

    progress: str | None = None
    upstream: Upstream | None = None
    source_missing: bool = False
    cause: str | None = None
    request: int = 0
    done: int = 0
    failed: bool = False
    restart: bool = False
    busy: bool = False
    retry_at: float = 0.0
    holding: bool = False
    waiting: bool = False
    next: Candidate | None = None
    upgrade_failure: Reason | None = None
    next_token_sha256: str | None = None
    old_token_sha256: str | None = None
    restarts: int = 0
    reserved: str | None = None
    data_used: int | None = None
    data_measured_at: datetime | None = None
    data_excess: bool = False
    unfit: list[FieldProblem] | None = None
    unjudged: str | None = None
    used_at: float = -math.inf

    @property
    def granted(self) -> list[str]:
        """What it asks for and a person has granted."""
        given = self.installation.grants or []
        return [name for name in self.manifest.permissions if name in given] if self.manifest else []

    @property
    def missing(self) -> list[str]:
        """What it asks for and has not been granted, once somebody has decided."""
        if self.manifest is None or self.installation.grants is None:
            return []
        return [name for name in self.manifest.permissions if name not in self.installation.grants]

    @property
    def is_discovered(self) -> bool:
        """It comes from a folder of the plugins folder."""
        return self.source.startswith(FOLDER_SOURCE)

    def row(self, *, enabled: bool | None = None) -> PluginRow:
        """The row to store, `enabled` replaced when given."""
        return PluginRow(
            id=self.id,
            name=self.name,
            description=self.description,
            version=self.version,
            enabled=self.enabled if enabled is None else enabled,
            capabilities=list(self.capabilities),
            manifest=self.manifest.wire() if self.manifest else None,
            problems=[problem.wire() for problem in self.problems],
            source=self.source,
            state=self.state,
            since=self.since,
            reason=self.reason.wire() if self.reason else None,
            token_sha256=self.token_sha256,
            run_id=self.run_id,
            failures=list(self.failures),
            ui=self.ui.wire() if self.ui else None,
            installation=self.installation.wire(),
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    @classmethod
    def from_row(cls, row: PluginRow) -> "PluginRecord":
        """The record of a stored row, as far as it is stored."""
        return cls(
            id=row.id,
            name=row.name,
            description=row.description,
            version=row.version,
            enabled=row.enabled,
            capabilities=list(row.capabilities),
            manifest=Manifest.model_validate(row.manifest) if row.manifest else None,
            problems=[FieldProblem.model_validate(problem) for problem in row.problems],
            source=row.source,
            state=_STATE.validate_python(row.state),
            since=row.since,
            reason=Reason.model_validate(row.reason) if row.reason else None,
            token_sha256=row.token_sha256,
            run_id=row.run_id,
            failures=list(row.failures),
            ui=UiAssets.model_validate(row.ui) if row.ui else None,
            installation=_installation(row),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    def detail(
        self,
        *,
        trusted: bool,
        dependencies: Sequence[PluginDependency] = (),
        dependents: Sequence[PluginDependent] = (),
    ) -> PluginDetail:
        """What people and the gateway see of it, and of those that it needs and that need it."""
        manifest = self.manifest
        return PluginDetail(
            id=self.id,
            name=self.name,
            version=self.version,
            description=self.description,
            author=manifest.author if manifest else "",
            icon=manifest.icon if manifest else None,
            capabilities=self.capabilities,
            enabled=self.enabled,
            state=self.state,
            reason=self.reason,
            since=self.since,
            progress=self.progress,
            trusted=trusted,
            source=self.source,
            homepage=manifest.homepage if manifest else None,
            license=manifest.license if manifest else None,
            permissions=list(manifest.permissions) if manifest else [],
            missing_permissions=self.missing,
            errors=self.problems,
            dependencies=list(dependencies),
            dependents=list(dependents),
            created_at=self.created_at,
            updated_at=self.updated_at,
            manifest=manifest,
        )

    def snapshot(self, detail: PluginDetail) -> SnapshotPlugin:
        """What the gateway needs to serve it; `detail` is what people see of it."""
        serving = self.state in SERVING_STATES
        return SnapshotPlugin(
            detail=detail,
            upstream=self.upstream if serving else None,
            holding=self.holding,
            token_sha256=self.token_sha256,
            other_token_sha256=[token for token in (self.next_token_sha256, self.old_token_sha256) if token],
            grants=self.granted,
            ui=self.ui if serving or self.state == "idle" else None,
        )


def _installation(row: PluginRow) -> Installation:
    """What is stored; a plugin that was enabled before consent was stored keeps what it had."""
    if row.installation:
        return Installation.model_validate(row.installation)
    asked = (row.manifest or {}).get("permissions", [])
    return Installation(grants=list(asked), decided_by="before consent was kept") if row.enabled else Installation()
