"""Reading a backup: everything about it is checked before anything is changed. Synchronous.

The file comes from outside and may be hostile: nothing of it is believed before its checksum and form were seen, and
nothing in it is kept in memory whole but what has a limit.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, NoReturn

from nimbus_sdk.contracts.archive import CHUNK, ArchiveError, ArchiveReader
from nimbus_sdk.contracts.backup import (
    DATA_NAME,
    HEAD_NAME,
    KV_NAME,
    SETTINGS_NAME,
    SUMS_NAME,
    BackupHead,
    BackupKvEntry,
    DataLeftOut,
    DataReader,
)
from nimbus_sdk.contracts.core_api import ConfigKey
from nimbus_sdk.contracts.jsontext import text_problems
from nimbus_sdk.contracts.system_backup import PartPlace
from pydantic import TypeAdapter
from pydantic import ValidationError as ModelError

from nimbus_gateway.backups.file import sums
from nimbus_gateway.core.config.service import MOST_SETTINGS
from nimbus_gateway.core.kv.service import KvLimits, entry_size
from nimbus_gateway.errors import BackupRefusedError, QuotaExceededError

MOST_HEAD: Final = 2 * 1024**2
MOST_SETTINGS_BYTES: Final = 16 * 1024**2
MOST_LINE: Final = 16 * 1024**2
_MOST_SUMS: Final = 4096
_ORDERS: Final = (
    [HEAD_NAME, SETTINGS_NAME, KV_NAME, SUMS_NAME],
    [HEAD_NAME, SETTINGS_NAME, KV_NAME, DATA_NAME, SUMS_NAME],
)
_KEY: TypeAdapter[str] = TypeAdapter(ConfigKey)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry's content is in the file, in bytes."""

    offset: int
    size: int


class Section:
    """A part of a file, to read from its beginning to its end."""

    def __init__(self, file: IO[bytes], place: Place | PartPlace, name: str = KV_NAME) -> None:
        self._file = file
        self._name = name
        self._left = place.size
        file.seek(place.offset)

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def lines(self) -> Iterator[bytes]:
        """Its lines without their ends.

        Raises:
            BackupRefusedError: one is too long, or the last one does not end.
        """
        while self._left:
            line = self._file.readline(min(MOST_LINE, self._left))
            self._left -= len(line)
            if not line.endswith(b"\n"):
                refuse(f"a line of {self._name} is too long or does not end")
            yield line[:-1]


@dataclass(frozen=True, slots=True)
class Verified:
    """A backup that is whole and well formed.

    Attributes:
        kv: where the entries of the key-value store are, one JSON object a line.
        data: where the archive of the data is.
        files: how many files are in the data, and `data_bytes` their size.
    """

    head: BackupHead
    settings: dict[str, Any]
    kv: Place
    keys: int
    data: Place | None
    files: int = 0
    data_bytes: int = 0
    left_out: DataLeftOut | None = None


def refuse(what: str) -> NoReturn:
    """Raises: BackupRefusedError: always."""
    raise BackupRefusedError(f"This is no backup that can be restored: {what}. Nothing was changed.")


def verified(file: IO[bytes], plugin_id: str, limits: KvLimits) -> Verified:
    """Check a whole backup.

    Raises:
        BackupRefusedError: it is damaged, hostile, or of another plugin; the text says what.
        QuotaExceededError: the plugin may not keep as much.
    """
    try:
        places = _places(file)
        head = _head(_bytes(file, places[HEAD_NAME], MOST_HEAD))
        if head.plugin_id != plugin_id or head.manifest.id != plugin_id:
            refuse(f"it is of the plugin {head.plugin_id!r}, not of {plugin_id!r}")
        if head.data != (DATA_NAME in places):
            refuse(f"{HEAD_NAME} and the entries differ about whether there are data")
        settings = _settings(_bytes(file, places[SETTINGS_NAME], MOST_SETTINGS_BYTES))
        keys = _count(file, places[KV_NAME], limits)
        if DATA_NAME not in places:
            return Verified(head, settings, places[KV_NAME], keys, None)
        data = DataReader(Section(file, places[DATA_NAME]))
        for _ in data:
            """Each header is looked at; the contents have their checksum."""
        return Verified(
            head, settings, places[KV_NAME], keys, places[DATA_NAME], data.files, data.size, data.left_out
        )
    except ArchiveError as error:
        refuse(str(error))


def _places(file: IO[bytes]) -> dict[str, Place]:
    """Where each entry is, once all checksums are seen to be right."""
    file.seek(0)
    found: dict[str, Place] = {}
    digests: list[tuple[str, str]] = []
    reader, listed = ArchiveReader(file, most_entries=len(_ORDERS[-1])), b""
    for entry in reader:
        if entry.folder or not any(order[: len(found) + 1] == [*found, entry.name] for order in _ORDERS):
            refuse(f"the entry {entry.name[:200]!r} is not expected there")
        found[entry.name] = Place(file.tell(), entry.size)
        if entry.name == SUMS_NAME:
            listed = reader.content(_MOST_SUMS)
            continue
        digest = hashlib.sha256()
        for piece in reader.chunks():
            digest.update(piece)
        digests.append((entry.name, digest.hexdigest()))
    if list(found) not in _ORDERS:
        refuse("it has not all of its entries")
    if listed != sums(digests):
        known = set(listed.decode("utf-8", "replace").splitlines())
        wrong = [name for name, digest in digests if f"{digest}  {name}" not in known]
        refuse(f"the checksum of {', '.join(wrong) or SUMS_NAME} is wrong: the file was changed or damaged")
    return found


def _bytes(file: IO[bytes], place: Place, most: int) -> bytes:
    if place.size > most:
        refuse(f"an entry has {place.size} bytes where at most {most} are expected")
    file.seek(place.offset)
    return file.read(place.size)


def _head(raw: bytes) -> BackupHead:
    document = _json(raw, HEAD_NAME)
    known = document.get("format") if isinstance(document, dict) else None
    if known != 1:
        refuse(f"its format is {json.dumps(known)[:40]}; this Nimbus knows 1. A newer Nimbus may have written it")
    try:
        return BackupHead.model_validate(document)
    except ModelError as error:
        first = error.errors()[0]
        refuse(f"{HEAD_NAME} is wrong at {'/'.join(map(str, first['loc']))}: {first['msg']}")


def _settings(raw: bytes) -> dict[str, Any]:
    document = _json(raw, SETTINGS_NAME)
    if not isinstance(document, dict) or len(document) > MOST_SETTINGS:
        refuse(f"{SETTINGS_NAME} is no object of at most {MOST_SETTINGS} settings")
    for key in document:
        try:
            _KEY.validate_python(key)
        except ModelError:
            refuse(f"{SETTINGS_NAME} has a setting of the impossible name {key[:80]!r}")
    return document


def kv_entries(file: IO[bytes], place: Place) -> Iterator[BackupKvEntry]:
    """The entries of the key-value store, in the order of their keys.

    Raises:
        BackupRefusedError: one is not as Nimbus writes it.
    """
    last = ""
    for number, line in enumerate(Section(file, place).lines(), 1):
        try:
            entry = BackupKvEntry.model_validate(_json(line, f"line {number} of {KV_NAME}"))
        except ModelError as error:
            first = error.errors()[0]
            refuse(f"line {number} of {KV_NAME} is wrong at {'/'.join(map(str, first['loc']))}: {first['msg']}")
        if entry.key <= last:
            refuse(f"line {number} of {KV_NAME} is not in order, or there twice")
        last = entry.key
        yield entry


def _count(file: IO[bytes], place: Place, limits: KvLimits) -> int:
    keys = size = 0
    for entry in kv_entries(file, place):
        keys += 1
        size += entry_size(entry.key, entry.value)
        if keys > limits.keys or size > limits.size:
            raise QuotaExceededError(
                f"The backup has more than a plugin may keep: {limits.keys} entries of {limits.size} bytes "
                "(NIMBUS_KV_KEYS, NIMBUS_KV_BYTES). Nothing was changed.",
                extra={"quota": "kv-keys" if keys > limits.keys else "kv-bytes"},
            )
    return keys


def _json(raw: bytes, where: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        document = json.loads(raw.decode(), parse_constant=_no_constant)
        problem = next(text_problems(document), None)
    except (ValueError, RecursionError) as error:
        refuse(f"{where} is no JSON: {str(error)[:120]}")
    if problem is not None:
        refuse(f"{where} has JSON that cannot be kept: {problem.message}")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def section_chunks(file: IO[bytes], place: Place | PartPlace) -> Iterator[bytes]:
    """The content of an entry, piece by piece."""
    section = Section(file, place)
    while piece := section.read(CHUNK):
        yield piece
