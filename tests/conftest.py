"""What every test that needs a real engine starts from: the engine, images, and a name of the test's own."""

from collections.abc import Iterator

import docker
import pytest
from hypothesis import HealthCheck, settings

from tests.support.engine import (
    ROOT,
    BaseImages,
    build_image,
    engine_client,
    find_base_images,
    find_docker_host,
    missing,
    remove_instance,
    unique_instance,
)

# What a machine does beside the tests says nothing about a property.
settings.register_profile("nimbus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nimbus")


@pytest.fixture(scope="session")
def docker_host() -> str:
    """The address of a Docker engine that answers."""
    host = find_docker_host()
    if host is None:
        missing("no Docker engine answers; start one with: deploy/dev/engine.sh start")
    return host


@pytest.fixture(scope="session")
def engine(docker_host: str) -> Iterator[docker.DockerClient]:
    """A client of that engine."""
    with engine_client(docker_host) as client:
        yield client


@pytest.fixture(scope="session")
def base_images(docker_host: str) -> BaseImages:
    """The Python, Node and Postgres images that are in the engine."""
    images = find_base_images()
    if images is None:
        missing("no base images; get them with: deploy/dev/standins.sh")
    return images


@pytest.fixture(scope="session")
def python_base_image(base_images: BaseImages) -> str:
    """An image with Python 3.11."""
    return base_images.python


@pytest.fixture(scope="session")
def node_base_image(base_images: BaseImages) -> str:
    """An image with Node 20."""
    return base_images.node


@pytest.fixture(scope="session")
def plugin_base_image(docker_host: str, python_base_image: str) -> str:
    """The base image of first-party plugins, built from this checkout."""
    return build_image(
        docker_host,
        tag="nimbus-plugin-base:dev",
        context=ROOT,
        dockerfile=ROOT / "deploy" / "compose" / "plugin-base" / "Dockerfile",
        PYTHON_IMAGE=python_base_image,
    )


@pytest.fixture
def instance(engine: docker.DockerClient) -> Iterator[str]:
    """A name of this test's own; whatever the engine holds under its label is removed at the end."""
    name = unique_instance()
    try:
        yield name
    finally:
        remove_instance(engine, name)
