"""Installing a plugin, its versions, and what a person lets it do: of the registry's API and the administrators'."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.jobs import InstallJob
from nimbus_sdk.contracts.manifest import ChangelogEntry, Permission
from nimbus_sdk.contracts.snapshot import PluginDetail, Reason

ImageReference = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$"),
    Field(examples=["example/subtitles:1.2.0"]),
]
Cause = Annotated[str, Field(max_length=120, description="Who asks, e.g. `user:<id>`.")]


class PluginSource(WireModel):
    """Where a plugin, or a new version of one, comes from: exactly one of the three."""

    image: ImageReference | None = Field(
        default=None,
        description="An image whose label `io.nimbus.manifest`, or file `/manifest.json`, is the manifest.",
    )
    path: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = Field(
        default=None, description="A folder in the plugins folder: its name, or its whole path."
    )
    manifest: dict[str, Any] | None = Field(
        default=None, description="A manifest; the image is the one that its `runtime.image` names."
    )
    pull: Literal["missing", "always"] = Field(
        default="missing",
        description="`missing`: an image that is on the machine is not asked for again; `always`: a tag is looked up "
        "anew. A digest that is held is never pulled again.",
    )


class InstallRequest(PluginSource):
    """Body of an installation."""

    grant: list[Permission] | None = Field(
        default=None,
        description="What the plugin may do, of what its manifest asks for. Left out: nothing is decided yet, and "
        "the plugin is not enabled before somebody has.",
    )

    expect_id: str | None = Field(
        default=None, max_length=64, description="Install nothing when it turns out to be another plugin."
    )
    expect_version: str | None = Field(
        default=None, max_length=64, description="Install nothing when it turns out to be another version."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(one is not None for one in (self.image, self.path, self.manifest)) != 1:
            raise ValueError("exactly one of image, path and manifest")
        return self


class UpgradeRequest(PluginSource):
    """Body of an upgrade: a source, or a version that waits for consent."""

    version: str | None = Field(default=None, max_length=64, description="A version that is listed as `waiting`.")
    grant: list[Permission] | None = Field(
        default=None, description="Further permissions to grant; those that were granted before stay."
    )
    allow_downgrade: bool = Field(default=False, description="Take a version that is older than the one installed.")
    force: bool = Field(
        default=False,
        description="Take a version although it needs plugins that are not there, or others need another version.",
    )

    hold: bool = Field(
        default=False,
        description="Only fetch it: it is listed as `waiting` with its changelog and what it may not do yet, and a "
        "later call with `version` takes it.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(one is not None for one in (self.image, self.path, self.manifest, self.version)) != 1:
            raise ValueError("exactly one of image, manifest and version")
        if self.path is not None:
            raise ValueError("an image, a manifest or a version; a folder's new version is taken over by itself")
        return self


class RollbackRequest(WireModel):
    """Body of a rollback."""

    version: str | None = Field(
        default=None, max_length=64, description="A version that is kept; left out: the one that ran before."
    )
    data: Literal["snapshot", "keep"] = Field(
        default="snapshot",
        description="Of a plugin with data: `snapshot` brings back its data as that version left them, what was "
        "written since is kept aside with the version that is left; `keep` gives it the data of now.",
    )


class RiskFactor(WireModel):
    """One thing that makes a plugin riskier, or less so."""

    code: str = Field(description="Stable, e.g. `network-egress`.")
    points: int
    message: str = Field(description="What it means, as a sentence.")


class Risk(WireModel):
    """How much a plugin could do if it meant harm: the sum of plain rules, documented as a table."""

    score: int = Field(ge=0, le=10, description="0 is harmless, 10 is as trusted as the operator.")
    level: Literal["low", "medium", "high"]
    factors: list[RiskFactor] = Field(description="What it is made of, the weightiest first.")


class PermissionInfo(WireModel):
    """A permission that a plugin asks for."""

    name: str
    description: str = Field(description="What it lets the plugin do, as a sentence.")
    granted: bool
    points: int = Field(description="What it adds to the risk.")


class PluginPermissions(WireModel):
    """What a plugin asks for and what a person has granted."""

    plugin_id: str
    version: str
    requested: list[PermissionInfo]
    decided: bool = Field(description="Somebody has decided; until then the plugin has none of them.")
    decided_by: str | None = Field(default=None, description="E.g. `user:<id>`.")
    decided_at: datetime | None = None
    risk: Risk


class PermissionsUpdate(WireModel):
    """All that a plugin may do from now on, of what its manifest asks for."""

    grant: list[Permission]


class InstallJobList(WireModel):
    """Installations under way and those of the last minutes, newest first."""

    items: list[InstallJob]


class InstallResult(WireModel):
    """Answer of an installation."""

    job: InstallJob
    plugin: PluginDetail | None = Field(default=None, description="Set when it is installed.")
    permissions: PluginPermissions | None = Field(default=None, description="What is to be granted, or was.")
    already: bool = Field(
        default=False, description="It was installed before, from the same source and with the same contents."
    )
    generation: int = 0


class UninstallResult(WireModel):
    """Answer of an uninstallation."""

    plugin_id: str
    data_deleted: bool = Field(description="False: its data are kept, for when it is installed again.")
    still_listed: bool = Field(description="Its folder is there, so it is still found, as one that is disabled.")
    generation: int = 0


class KeptSettings(WireModel):
    """The settings that a version of a plugin was left with, without their values."""

    saved_at: datetime
    keys: list[str]


class PluginVersion(WireModel):
    """A version of a plugin that is here."""

    version: str
    status: Literal["current", "kept", "waiting", "rejected"] = Field(
        description="`current`: it is the installed one; `kept`: it was, and can be rolled back to; `waiting`: it "
        "asks for more than was granted; `rejected`: it was tried and did not become ready."
    )
    source: str
    digest: str | None = Field(default=None, description="Digest of the image, or its id when it was built here.")
    permissions: list[str] = Field(default_factory=list)
    missing_permissions: list[str] = Field(default_factory=list, description="Asked for and not granted.")
    has_snapshot: bool = Field(default=False, description="Its data as it left them are kept.")
    since: datetime
    settings: KeptSettings | None = Field(
        default=None, description="Its settings as it left them, which going back to it brings back."
    )
    reason: Reason | None = Field(default=None, description="Why it is no longer the current one.")
    changelog: list[ChangelogEntry] = Field(
        default_factory=list,
        description="Of a version newer than the installed one, what it brings beyond that, newest first; of any "
        "other, what itself changed.",
    )


class PluginVersionList(WireModel):
    """The versions of a plugin: the current one, then those that are kept, by SemVer, newest first."""

    items: list[PluginVersion]
