"""The backup of one plugin as a file, version 1, and what is told about restoring it.

The file is an archive as in `contracts.archive`, with these entries in this order: `backup.json` (a `BackupHead`),
`settings.json` (an object of the settings that are set), `kv.jsonl` (a `BackupKvEntry` in each line), `data.tar`
when the plugin has data (an archive of the same kind: the folder `data`, then `left-out.json`), and `SHA256SUMS`
over all of them, as `sha256sum` writes it. Data that turn out to be too much while they are sent end with
`failed.txt` instead, which no backup may have.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from nimbus_sdk.contracts.archive import (
    BLOCK,
    END,
    ArchiveError,
    ArchiveReader,
    ArchiveTooLargeError,
    Entry,
    Source,
    header,
)
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.kv import KvKey
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import PluginDetail

BACKUP_MEDIA_TYPE: Final = "application/x-tar"
HEAD_NAME: Final = "backup.json"
SETTINGS_NAME: Final = "settings.json"
KV_NAME: Final = "kv.jsonl"
DATA_NAME: Final = "data.tar"
SUMS_NAME: Final = "SHA256SUMS"
DATA_FOLDER: Final = "data"
LEFT_OUT_NAME: Final = "left-out.json"
MOST_LEFT_OUT: Final = 1000
"""So many names of what was left out are kept."""
LEFT_OUT_BYTES: Final = 5 * 1024**2
"""The whole list of them is at most so long."""
FAILED_NAME: Final = "failed.txt"
FAILED_TAIL: Final = 2 * BLOCK + len(END)
"""So long is what data end with that are no backup. The shortest `left-out.json` is as long, so that nothing which a
plugin wrote is taken for it."""


class BackupHead(WireModel):
    """What a backup is of."""

    format: Literal[1] = 1
    plugin_id: str
    name: str
    version: str
    created_at: datetime
    nimbus: str = Field(description="The version of Nimbus that wrote it.")
    source: str = Field(description="Where the plugin came from, as in its details.")
    digest: str | None = Field(default=None, description="The exact image that it ran by.")
    manifest: Manifest
    data: bool = Field(description="Whether data of the plugin are in it.")
    secrets_left_out: list[str] = Field(
        default_factory=list, description="Secret settings that were set; their values are not in the file."
    )


class BackupKvEntry(WireModel):
    """An entry of the key-value store."""

    key: KvKey
    value: Any = None
    expires_at: datetime | None = None


class DataLeftOut(WireModel):
    """What of the data cannot be in an archive: links, sockets, devices."""

    count: int = Field(default=0, ge=0)
    names: list[str] = Field(default_factory=list, max_length=MOST_LEFT_OUT)


class RestoreResult(WireModel):
    """What was restored."""

    plugin: PluginDetail
    version: str = Field(description="The version that the backup is of.")
    created_at: datetime = Field(description="When the backup was made.")
    installed: bool = Field(description="Whether the plugin had to be installed for it.")
    settings: int = Field(description="How many settings were restored.")
    keys: int = Field(description="How many entries of the key-value store.")
    files: int = Field(description="How many files of its data.")
    data_bytes: int = Field(description="Their size in bytes.")
    secrets_missing: list[str] = Field(description="Secret settings that must be entered again.")
    left_out: DataLeftOut = Field(description="What the backup does not hold of the data: links, sockets, devices.")


def failure(message: str) -> bytes:
    """The end of data that are no backup, with the reason. Pure."""
    text = message.encode()[:BLOCK].decode(errors="ignore").encode()
    return header(Entry(FAILED_NAME, BLOCK)) + text.ljust(BLOCK, b"\n") + END


def failure_in(tail: bytes) -> str | None:
    """Why data are no backup, of their last `FAILED_TAIL` bytes; None when they end as they should. Pure."""
    if not tail.startswith(header(Entry(FAILED_NAME, BLOCK))):
        return None
    return tail[BLOCK : 2 * BLOCK].decode(errors="replace").rstrip("\n")


class DataReader:
    """Reads `data.tar`. Iterate for the files and folders in `data`, with names below it; `chunks` is their content.

    Raises `ArchiveError` while it is read when it is not such an archive. `left_out` is known at the end.
    """

    def __init__(self, source: Source, *, most_bytes: int | None = None) -> None:
        self._archive = ArchiveReader(source)
        self._most_bytes = most_bytes
        self.left_out = DataLeftOut()
        self.files = self.size = 0

    def __iter__(self) -> Iterator[Entry]:
        """The entries in order, each folder before what is in it."""
        began = ended = False
        for entry in self._archive:
            inside = entry.name.startswith(f"{DATA_FOLDER}/")
            if not began and entry.folder and entry.name == DATA_FOLDER:
                began = True
            elif began and not ended and inside:
                self.files += not entry.folder
                self.size += entry.size
                if self._most_bytes is not None and self.size > self._most_bytes:
                    raise ArchiveTooLargeError(f"its files have more than {self._most_bytes} bytes together")
                yield replace(entry, name=entry.name.removeprefix(f"{DATA_FOLDER}/"))
            elif began and not ended and not entry.folder and entry.name == LEFT_OUT_NAME:
                ended = True
                self._read_left_out()
            else:
                raise ArchiveError(f"{entry.name[:200]!r} is not expected there")
        if not ended:
            raise ArchiveError(f"it has no {LEFT_OUT_NAME}")

    def chunks(self) -> Iterator[bytes]:
        """The content of the file that was given last."""
        return self._archive.chunks()

    def _read_left_out(self) -> None:
        try:
            self.left_out = DataLeftOut.model_validate_json(self._archive.content(LEFT_OUT_BYTES))
        except ValidationError as error:
            raise ArchiveError(f"{LEFT_OUT_NAME} is not as Nimbus writes it") from error
