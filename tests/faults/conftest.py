"""Fixtures of the fault tests, and their figures at the end."""

from collections.abc import Iterator

import docker
import pytest

from tests.faults.figures import FIGURES, Figures
from tests.faults.site import Site, running_site
from tests.integration.runtime.docker_harness import server_image


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Where measured times are noted."""
    return FIGURES


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def sample_image(engine: docker.DockerClient, python_base_image: str) -> str:
    """A plugin of the standard library alone, as an image."""
    return server_image(engine, python_base_image)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for a module's tests; each uses a plugin of its own."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, when there are any."""
    if FIGURES.seconds:
        terminalreporter.section("faults: time until repaired")
        for row in FIGURES.table():
            terminalreporter.write_line(row)
