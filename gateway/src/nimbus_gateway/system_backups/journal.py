"""What a restore has to do yet, written down before it is needed: whoever finds it undone finishes or undoes it."""

import uuid
from typing import Literal

from pydantic import BaseModel, Field

MOST_ATTEMPTS = 20
"""So often plugins that the registry refuses to enable are tried again; one that is away is waited for."""


class Journal(BaseModel):
    """A restore between its first plugin that is stopped and its last one that is enabled.

    Attributes:
        backup_id: what is restored.
        cause: who asked, e.g. ``user:<id>``.
        marker: the id of the audit entry that is written in the transaction of the tables: it tells whether these
            were replaced, also to whoever was not there.
        phase: `stopping` until the plugins have their data, `starting` from then on.
        wanted: the plugins to enable: those that were on before, and in `starting` those of the backup.
        there: all plugins that were there before.
        attempts: how often somebody tried to go on.
    """

    backup_id: str
    cause: str
    marker: uuid.UUID
    phase: Literal["stopping", "starting"] = "stopping"
    wanted: list[str]
    there: list[str] = Field(default_factory=list)
    attempts: int = 0
