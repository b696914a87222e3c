"""Transactions end with the task that runs them, and connections with their database."""

import pytest
from nimbus_gateway.database import Database

from tests.support.cancellation import goes_on_after, threads_left_behind

pytestmark = pytest.mark.anyio


async def test_a_lost_cancellation_is_found_at_the_end(database_url):
    database = Database(database_url)
    try:
        assert not await goes_on_after(database.read)
        assert not await goes_on_after(database.write)
        assert not await goes_on_after(database.write, error=OSError("the connection broke"))
    finally:
        await database.close()


async def test_closing_waits_for_every_connection(tmp_path):
    file = tmp_path / "gateway.db"
    assert await threads_left_behind(Database(f"sqlite:///{file}"), file) == []
