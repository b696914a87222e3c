"""Databases and running workers for the account, core and API tests."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from nimbus_gateway.migrations.run import migrate
from nimbus_gateway.tables import METADATA
from sqlalchemy.engine import make_url

from tests.gateway.support import Nimbus, running_nimbus
from tests.support.postgres import temporary_database


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, copied for each test."""
    path = tmp_path_factory.mktemp("gateway-template") / "gateway.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """A migrated database, emptied for each test."""
    with temporary_database("nimbus_gateway") as url:
        migrate(url)
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty, migrated database of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "gateway.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("postgres_template")
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(table.name for table in METADATA.sorted_tables)} CASCADE".encode())
    return url


@pytest.fixture
async def nimbus(tmp_path: Path, database_url: str) -> AsyncIterator[Nimbus]:
    """One worker with an administrator and three plugins: hello, other (no grants) and asleep (disabled)."""
    async with running_nimbus(tmp_path, database_url) as found:
        yield found
