"""Both runtimes behind one fixture."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest
from nimbus_registry.runtime.base import Runtime

from tests.integration.runtime.docker_harness import DockerHarness, server_image, start_gateway
from tests.integration.runtime.harness import Harness, ProcessHarness


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def sample_image(engine: docker.DockerClient, python_base_image: str) -> str:
    return server_image(engine, python_base_image)


@pytest.fixture
def docker_harness(
    engine: docker.DockerClient, docker_host: str, instance: str, sample_image: str, tmp_path: Path
) -> DockerHarness:
    gateway = start_gateway(engine, sample_image, instance)
    return DockerHarness(engine, docker_host, instance, sample_image, gateway, tmp_path)


@pytest.fixture
def process_harness(tmp_path: Path) -> ProcessHarness:
    return ProcessHarness(tmp_path)


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.engine)])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    return request.getfixturevalue(f"{request.param}_harness")


@pytest.fixture
async def runtime(harness: Harness) -> AsyncIterator[Runtime]:
    runtime = harness.runtime()
    await runtime.open()
    yield runtime
    for leftover in await runtime.observe_leftovers(frozenset()):
        if leftover.plugin_id is not None:
            await runtime.remove(leftover.plugin_id)
    await runtime.close()
