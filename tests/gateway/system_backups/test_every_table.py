"""Every table of the gateway has its answer to a backup of everything."""

from nimbus_gateway.system_backups.rows import KEPT
from nimbus_gateway.system_backups.transfer import CLEARED
from nimbus_gateway.tables import METADATA

STAY = {
    "credential_changes",  # the workers follow it
    "event_feeds",  # how far the registry's own history was read
    "login_attempts",  # nobody gets further tries by a restore
    "plugin_logs",
    "traffic",
}
ADDED_TO = {"audit"}


def test_a_new_table_is_decided_about() -> None:
    kept = {one.name for one in KEPT}
    cleared = {table.__table__.name for table in CLEARED}  # type: ignore[attr-defined]
    assert kept - ADDED_TO <= cleared
    assert not cleared & STAY
    assert kept | cleared | STAY == set(METADATA.tables)
