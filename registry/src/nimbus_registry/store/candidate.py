"""A version that a person wants a plugin to run by next."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import Reason

from nimbus_registry.database import utcnow
from nimbus_registry.store.installation import FOLDER_SOURCE, KeptVersion


@dataclass(frozen=True, slots=True)
class Pause:
    """A moment in which the plugin is stopped with other data in place, for what belongs to these and is elsewhere.

    Attributes:
        begun: set when it is so.
        over: set when that was brought in as well, or is not to be any more.
    """

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another version of a plugin.

    Attributes:
        manifest: by which it runs.
        source: where it came from.
        pin: its exact image.
        kind: whether it is new, or one that ran before; or the same one, whose data are copied or replaced.
        snapshot: the copy of its data to bring back; None leaves the data as they are.
        folder_sha256: of the manifest in the plugin's folder that this is, when it is a version that was found there.
        carried_out: set when the data of the same version were copied or replaced: there is no way back.
        pause: of a restore that is to wait before the plugin starts.
        abandoned: set when nobody waits for that any more; data that are not replaced by then stay.
    """

    manifest: Manifest
    source: str
    pin: str | None
    kind: Literal["upgrade", "rollback", "backup", "restore"] = "upgrade"
    snapshot: str | None = None
    folder_sha256: str | None = None
    carried_out: asyncio.Event | None = None
    abandoned: asyncio.Event | None = None
    pause: Pause | None = None

    @property
    def pauses(self) -> bool:
        """Whether the plugin is stopped for what is brought in elsewhere."""
        return self.pause is not None and self.pause.begun.is_set() and not self.pause.over.is_set()

    def give_up(self) -> None:
        """Nobody waits for it any more."""
        if self.abandoned is not None:
            self.abandoned.set()
        if self.pause is not None:
            self.pause.over.set()

    @property
    def same_version(self) -> bool:
        """It is about the plugin's data alone."""
        return self.kind in {"backup", "restore"}

    @property
    def is_made_of_folder(self) -> bool:
        """What is in the plugin's folder now is this version."""
        return self.kind == "upgrade" and self.source.startswith(FOLDER_SOURCE)

    @property
    def given_up(self) -> bool:
        """Whether its data are not to be replaced any more."""
        return self.kind == "restore" and self.abandoned is not None and self.abandoned.is_set()

    @property
    def words(self) -> str:
        """What is being done, for people."""
        return self.kind if self.same_version else f"{self.kind} to {self.manifest.version}"

    def kept(self, status: Literal["waiting", "rejected"], reason: Reason | None) -> KeptVersion:
        """As it is kept when it does not become the installed one."""
        return KeptVersion(
            status=status,
            manifest=self.manifest,
            source=self.source,
            pin=self.pin,
            snapshot=self.snapshot,
            since=utcnow(),
            reason=reason,
        )
