"""What is begun with a plugin while nothing else of its kind may be: backups, restores, uninstalling, cleaning up."""

from collections.abc import Iterator
from contextlib import contextmanager

from nimbus_registry.errors import BusyError
from nimbus_registry.store.record import PluginRecord


def is_free(record: PluginRecord) -> bool:
    """Whether neither the version nor the data of a plugin are being changed. Pure."""
    return record.next is None and record.reserved is None


def check_free(record: PluginRecord) -> None:
    """Refuse to begin anything with a plugin whose version or data are being changed.

    Raises:
        BusyError: it is so; the text says what is under way.
    """
    words = record.next.words if record.next is not None else record.reserved
    if words is not None:
        raise BusyError(f"The {words} of {record.name} is under way.")


@contextmanager
def reserved(record: PluginRecord, words: str) -> Iterator[None]:
    """Keep everything else from being begun with a plugin.

    Raises:
        BusyError: something is under way already.
    """
    check_free(record)
    record.reserved = words
    try:
        yield
    finally:
        record.reserved = None
