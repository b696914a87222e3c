"""Looking at a file before anything of it is used: checksums, the form of every row, and the data of every plugin."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

from nimbus_sdk.contracts.archive import ArchiveError
from nimbus_sdk.contracts.backup import DataLeftOut, DataReader
from nimbus_sdk.contracts.system_backup import (
    DATA_PREFIX,
    DATA_SUFFIX,
    TABLE_PREFIX,
    TABLE_SUFFIX,
    PartPlace,
    SystemBackupHead,
    check_file,
)

from nimbus_gateway.auth.tables import User
from nimbus_gateway.backups.verify import Section, refuse
from nimbus_gateway.migrations.run import HEAD
from nimbus_gateway.system_backups.rows import KEPT, Kept, Row, RowError, row_of

_CORE: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Verified:
    """A file that is whole and well formed.

    Attributes:
        head: what it is of.
        tables: where its tables are, by their names.
        data: where the data of plugins are, by their ids.
        sums: the checksum of all its checksums.
        seal: the same, sealed by the passphrase; `seals.check_seal` looks at it.
        rows: how many each table has.
        left_out: what of the data of plugins cannot be in an archive, by their ids.
    """

    head: SystemBackupHead
    tables: dict[str, PartPlace]
    data: dict[str, PartPlace]
    sums: str
    seal: str
    rows: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, DataLeftOut] = field(default_factory=dict)


def table_part(kept: Kept) -> str:
    """The name of a table's entry."""
    return f"{TABLE_PREFIX}{kept.name}{TABLE_SUFFIX}"


def data_part(plugin_id: str) -> str:
    """The name of the entry of a plugin's data."""
    return f"{DATA_PREFIX}{plugin_id}{DATA_SUFFIX}"


def verified(file: IO[bytes]) -> Verified:
    """Check a whole file.

    Raises:
        BackupRefusedError: it is damaged, hostile, or of a newer Nimbus; the text says what.
    """
    file.seek(0)
    try:
        found = check_file(file)
    except ArchiveError as error:
        refuse(str(error))
    head = found.head
    if head.db_schema > HEAD:
        refuse(
            f"it is of Nimbus {head.nimbus}, whose database has the schema {head.db_schema}; this one knows those up "
            f"to {HEAD}. Restore it with that Nimbus or a newer one"
        )
    names = {table_part(kept): kept.name for kept in KEPT}
    tables = {names[name]: place for name, place in found.places.items() if name in names}
    data = {
        plugin.id: found.places[data_part(plugin.id)]
        for plugin in head.plugins
        if plugin.data and data_part(plugin.id) in found.places
    }
    wanted = [kept.name for kept in KEPT if kept.name in tables]
    if list(tables) != wanted or (head.db_schema == HEAD and len(wanted) != len(KEPT)):
        refuse("it has not all of its tables, or not in their order")
    parts = [list(map(table_part_of, wanted)), list(map(data_part, data))]
    if list(found.places) not in (parts[0] + parts[1], parts[1] + parts[0]):
        refuse("it has entries that are not expected, or not in their order")
    if len({plugin.id for plugin in head.plugins}) != len(head.plugins):
        refuse("it names a plugin twice")
    if len(data) != sum(plugin.data for plugin in head.plugins):
        refuse("the data of a plugin are not in it")
    result = Verified(head, tables, data, found.sums, found.seal)
    _check_rows(file, result)
    for plugin_id, place in data.items():
        result.left_out[plugin_id] = _check_data(file, plugin_id, place)
    return result


def table_part_of(name: str) -> str:
    """The name of the entry of the table of that name."""
    return f"{TABLE_PREFIX}{name}{TABLE_SUFFIX}"


def _check_rows(file: IO[bytes], found: Verified) -> None:
    administrators = 0
    for kept in KEPT:
        if kept.name not in found.tables:
            continue
        count = 0
        for row, _ in table_rows(file, found, kept):
            count += 1
            administrators += kept.model is User and row["role"] == "admin" and not row["disabled"]
        found.rows[kept.name] = count
        told = next(part.rows for part in found.head.parts if part.name == table_part(kept))
        if told != count:
            refuse(f"{table_part(kept)} has {count} rows, not {told}")
    if not administrators:
        refuse("it has no administrator who could sign in afterwards")


def table_rows(file: IO[bytes], found: Verified, kept: Kept) -> Iterator[tuple[Row, int]]:
    """The rows of a table, each with the bytes of its line.

    Raises:
        BackupRefusedError: one is not as Nimbus writes it.
    """
    place = found.tables.get(kept.name)
    if place is None:
        return
    name = table_part(kept)
    for number, line in enumerate(Section(file, place, name).lines(), 1):
        try:
            yield row_of(kept, line), len(line)
        except RowError as error:
            refuse(f"line {number} of {name} is wrong: {error}")


def _check_data(file: IO[bytes], plugin_id: str, place: PartPlace) -> DataLeftOut:
    try:
        reader = DataReader(Section(file, place))
        for _ in reader:
            """Each header is looked at; the contents have their checksum."""
    except ArchiveError as error:
        refuse(f"{data_part(plugin_id)}: {error}")
    return reader.left_out


def is_older(version: str, than: str) -> bool:
    """Whether a version comes before another, by its three numbers. Pure."""
    first, second = _CORE.match(version), _CORE.match(than)
    if first is None or second is None:
        return version != than
    return tuple(map(int, first.groups())) < tuple(map(int, second.groups()))
