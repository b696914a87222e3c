"""The backup of everything as a file, version 1, and what is told about making and restoring one.

The file is an archive as in `contracts.archive`, with these entries: one `table-<name>.jsonl` for each table that is
kept (a row in each line), one `data-<plugin>.tar` for each plugin whose data are in it (as in `contracts.backup`;
before or after all tables), and then `nimbus.json` (a `SystemBackupHead`), `SHA256SUMS` over all of them, as
`sha256sum` writes, and `seal.txt`: the checksum of `SHA256SUMS` itself, sealed by the passphrase. So nobody who has
the file but not the passphrase can put an administrator into it.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, Protocol

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from nimbus_sdk.contracts.archive import ArchiveError, ArchiveReader, Source
from nimbus_sdk.contracts.backup import SUMS_NAME
from nimbus_sdk.contracts.base import PluginId, WireModel
from nimbus_sdk.contracts.manifest import Manifest

SYSTEM_HEAD_NAME: Final = "nimbus.json"
SEAL_NAME: Final = "seal.txt"
TABLE_PREFIX: Final = "table-"
TABLE_SUFFIX: Final = ".jsonl"
DATA_PREFIX: Final = "data-"
DATA_SUFFIX: Final = ".tar"
MOST_PARTS: Final = 1100
MOST_HEAD: Final = 32 * 1024**2
_LAST: Final = (SYSTEM_HEAD_NAME, SUMS_NAME, SEAL_NAME)
TICKET_HEADER: Final = "X-Nimbus-Restore-Ticket"

Passphrase = Annotated[
    str,
    StringConstraints(min_length=12, max_length=256),
    Field(description="Seals the secrets in the file: secret settings and the signing secrets of webhooks."),
]


class BackupPart(WireModel):
    """An entry of the file."""

    name: str = Field(max_length=80)
    size: int = Field(ge=0, description="In bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    rows: int | None = Field(default=None, ge=0, description="Of a table.")


class BackupSecrets(WireModel):
    """How the secrets in the file are sealed: AES-256-GCM, by a key that scrypt makes of the passphrase."""

    kdf: Literal["scrypt-17-8-1"] = Field(description="scrypt with N = 2^17, r = 8, p = 1.")
    salt: str = Field(max_length=64, description="Base64.")
    check: str = Field(
        max_length=200, description="A known text, sealed: tells whether a passphrase is the right one."
    )


class BackupPlugin(WireModel):
    """A plugin as it was: what it is, and what people want of it."""

    id: PluginId
    name: str = Field(max_length=120)
    version: str = Field(max_length=64)
    enabled: bool
    source: str = Field(max_length=300, description="Where it came from, as in its details.")
    digest: str | None = Field(default=None, max_length=400, description="The exact image that it ran by.")
    grants: list[str] | None = Field(
        default=None, max_length=200, description="Permissions that were granted; None when nobody had decided."
    )
    manifest: Manifest | None = Field(default=None, description="None when it had errors.")
    data: bool = Field(default=False, description="Whether its data are in the file.")
    problem: str | None = Field(default=None, description="Why they are not, although it keeps some.")


class SystemBackupHead(WireModel):
    """What a backup of everything is of."""

    format: Literal[1] = 1
    kind: Literal["system"] = "system"
    instance: str = Field(max_length=40)
    nimbus: str = Field(max_length=40, description="The version of Nimbus that wrote it.")
    db_schema: str = Field(pattern=r"^[0-9]{4}$", description="Revision of the gateway's database.")
    created_at: AwareDatetime
    secrets: BackupSecrets
    plugins: list[BackupPlugin] = Field(max_length=1000)
    remarks: list[str] = Field(
        default_factory=list, max_length=1000, description="What of the core is not in it, as sentences."
    )
    parts: list[BackupPart] = Field(max_length=MOST_PARTS)


class BackupProgress(WireModel):
    """How far a backup or a restore is."""

    step: str = Field(description="What is done right now, as a sentence.")
    done: int = Field(default=0, ge=0)
    total: int = Field(default=0, ge=0, description="Steps; 0 when nobody knows yet.")


class PluginInBackup(WireModel):
    """A plugin in the list of a backup."""

    id: str
    version: str
    enabled: bool
    data: bool
    problem: str | None = None


class SystemBackup(WireModel):
    """A backup that is kept on this Nimbus, or is being made."""

    id: str
    origin: Literal["made", "uploaded", "before-restore"]
    state: Literal["making", "ready", "failed"]
    created_at: datetime
    size: int = Field(default=0, description="In bytes.")
    instance: str | None = None
    nimbus: str | None = None
    rows: dict[str, int] = Field(default_factory=dict, description="Rows of each table.")
    plugins: list[PluginInBackup] = Field(default_factory=list)
    remarks: list[str] = Field(
        default_factory=list,
        description="What is not in it beside the data of whole plugins, such as links, as sentences.",
    )
    progress: BackupProgress | None = None
    error: str | None = None


class PluginRestored(WireModel):
    """What came of one plugin."""

    id: str
    outcome: Literal["restored", "partly", "failed", "not-in-backup"]
    message: str = Field(description="As a sentence.")


class SystemRestore(WireModel):
    """The last restore of everything."""

    backup_id: str
    state: Literal["running", "done", "failed"]
    started_at: datetime
    finished_at: datetime | None = None
    backup_created_at: datetime
    changed: bool = Field(default=False, description="Whether anything of before was replaced.")
    kept_as: str | None = Field(default=None, description="The backup of what was there before.")
    progress: BackupProgress | None = None
    rows: dict[str, int] = Field(default_factory=dict)
    plugins: list[PluginRestored] = Field(default_factory=list)
    error: str | None = None


class SystemBackupList(WireModel):
    """What is kept, newest first, and the last restore."""

    instance: str = Field(description="The name of this instance: what a restore wants as `confirm`.")
    items: list[SystemBackup]
    restore: SystemRestore | None = None


class SystemBackupRequest(WireModel):
    """Body of making a backup of everything."""

    passphrase: Passphrase


class SystemRestoreRequest(WireModel):
    """Body of restoring one."""

    passphrase: Passphrase
    confirm: str = Field(max_length=40, description="The name of this instance: everything in it is replaced.")
    keep_current: bool = Field(
        default=True, description="First make a backup of what is there now, under the same passphrase."
    )


class SystemRestoreStarted(WireModel):
    """Answer of a restore that begins."""

    restore: SystemRestore
    ticket: str = Field(
        description=f"Sent as `{TICKET_HEADER}`, it shows how the restore goes on after all sessions have ended."
    )


class Seekable(Source, Protocol):
    """A file that knows where it is."""

    def tell(self) -> int:
        """How many bytes are before it."""


@dataclass(frozen=True, slots=True)
class PartPlace:
    """Where an entry's content is in the file, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file whose every byte has its checksum: what it is of, and where its parts are, in their order.

    Attributes:
        sums: SHA-256 of `SHA256SUMS`, in hexadecimal.
        seal: the same, sealed by the passphrase; not looked at yet.
    """

    head: SystemBackupHead
    places: dict[str, PartPlace]
    sums: str
    seal: str


def check_file(file: Seekable) -> CheckedFile:
    """Read a whole file, from its beginning, and compare all checksums.

    Raises:
        ArchiveError: it is no backup of everything, or damaged; the text says what.
    """
    reader = ArchiveReader(file, most_entries=MOST_PARTS + len(_LAST))
    places: dict[str, PartPlace] = {}
    digests: dict[str, str] = {}
    last: dict[str, bytes] = {}
    for entry in reader:
        if entry.folder:
            raise ArchiveError(f"the entry {entry.name[:200]!r} is not expected there")
        places[entry.name] = PartPlace(file.tell(), entry.size)
        if entry.name in _LAST:
            last[entry.name] = reader.content(MOST_HEAD)
            digests[entry.name] = hashlib.sha256(last[entry.name]).hexdigest()
            continue
        digest = hashlib.sha256()
        for piece in reader.chunks():
            digest.update(piece)
        digests[entry.name] = digest.hexdigest()
    if tuple(places)[-len(_LAST) :] != _LAST:
        raise ArchiveError(f"it does not end with {', '.join(_LAST)}")
    listed, of_sums = last[SUMS_NAME], digests[SUMS_NAME]
    for name in (SUMS_NAME, SEAL_NAME):
        del places[name], digests[name]
    lines = [f"{digest}  {name}" for name, digest in digests.items()]
    if listed.decode(errors="replace") != "".join(f"{line}\n" for line in lines):
        known = set(listed.decode(errors="replace").splitlines())
        wrong = [name for name, digest in digests.items() if f"{digest}  {name}" not in known]
        what = ", ".join(wrong[:5]) or SUMS_NAME
        raise ArchiveError(f"the checksum of {what} is wrong: the file was changed or damaged")
    head = _read_head(last[SYSTEM_HEAD_NAME])
    del places[SYSTEM_HEAD_NAME]
    if [(part.name, part.size, part.sha256) for part in head.parts] != [
        (name, place.size, digests[name]) for name, place in places.items()
    ]:
        raise ArchiveError(f"{SYSTEM_HEAD_NAME} and the entries differ")
    return CheckedFile(head, places, of_sums, last[SEAL_NAME].decode(errors="replace").rstrip("\n"))


def _read_head(raw: bytes) -> SystemBackupHead:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{SYSTEM_HEAD_NAME} is no JSON") from error
    known = (document.get("kind"), document.get("format")) if isinstance(document, dict) else None
    if known != ("system", 1):
        raise ArchiveError("its format is not the one that this Nimbus knows (1). A newer Nimbus may have written it")
    try:
        return SystemBackupHead.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise ArchiveError(f"{SYSTEM_HEAD_NAME} is wrong at {where}: {first['msg']}") from error
