"""What a person decided about an installed plugin, and what is kept of its versions: one document beside its row."""

from datetime import datetime
from typing import Literal

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import Reason
from pydantic import Field

FOLDER_SOURCE = "folder:"
"""How the source of a discovered plugin begins."""
MOST_KEPT = 5
"""So many versions besides the current one are kept."""


class KeptVersion(WireModel):
    """A version of a plugin that is not the current one.

    Attributes:
        pin: the exact image; None when there was none, as in the process runtime.
        snapshot: name of the copy of its data as it left them.
    """

    status: Literal["kept", "waiting", "rejected"]
    manifest: Manifest
    source: str
    pin: str | None = None
    snapshot: str | None = None
    since: datetime
    reason: Reason | None = None


class UnderWay(WireModel):
    """A change of version that touches the data, while it happens.

    Attributes:
        version: to which.
        snapshot: the copy of the data as the old version left them.
        complete: the copy is whole, and a new version may have written since.
        image: one that is here, for the helper that brings the copy back.
    """

    version: str
    snapshot: str
    complete: bool = False
    image: str | None = None


class Installation(WireModel):
    """Decisions and versions.

    Attributes:
        grants: permissions that a person granted; None until somebody has decided.
        pin: the exact image that runs, for a plugin that was installed from one.
        slot: which of the two places the run that serves is in.
        folder_sha256: of the manifest in its folder that was taken over or tried last: as long as the folder holds
            that one, its version is a person's to change.
        kept: other versions, the newest entry first.
        entering: the version whose settings the plugin has although it is not installed, because it is being
            started; set until it is installed, or the settings are again those of the installed one.
        under_way: set from before the data of a plugin are touched until its version is settled.
    """

    grants: list[str] | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    pin: str | None = None
    slot: int = 0
    folder_sha256: str | None = None
    kept: list[KeptVersion] = Field(default_factory=list)
    entering: str | None = None
    under_way: UnderWay | None = None

    def keep(self, version: KeptVersion) -> list[KeptVersion]:
        """Put a version first, instead of what there was of it, and return what fell off the end."""
        others = [one for one in self.kept if one.manifest.version != version.manifest.version]
        replaced = [one for one in self.kept if one.manifest.version == version.manifest.version]
        self.kept = [version, *others][:MOST_KEPT]
        return replaced + [version, *others][MOST_KEPT:]

    def find(self, version: str) -> KeptVersion | None:
        """The kept version of this number."""
        return next((one for one in self.kept if one.manifest.version == version), None)
