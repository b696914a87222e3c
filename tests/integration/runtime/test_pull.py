"""Images of a real registry with a login: pulled layer by layer, pinned, and not pulled again."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_sdk.contracts.jobs import PullLayer

from tests.integration.runtime.docker_harness import DockerHarness, build
from tests.integration.runtime.harness import SECRETS, eventually, running, silent
from tests.support.image_registry import ImageRegistry, running_image_registry

pytestmark = [pytest.mark.anyio, pytest.mark.engine]

IMAGE = "acme/sample:1"
SOURCE = "nimbus-test/pulled:1"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    with running_image_registry(tmp_path_factory.mktemp("images")) as registry:
        yield registry


@pytest.fixture
def pushed(registry: ImageRegistry, engine: docker.DockerClient, sample_image: str) -> Iterator[str]:
    """A plugin's image with its manifest in a label and a layer of its own; the engine has forgotten it."""
    build(engine, SOURCE, f'FROM {sample_image}\nLABEL io.nimbus.manifest=\'{{"id": "sample"}}\'\nRUN date > /now\n')
    name = registry.push(engine, SOURCE, IMAGE)
    engine.images.remove(SOURCE, force=True)
    yield name
    for image in engine.images.list(name=name.rpartition(":")[0]):
        engine.images.remove(image.id, force=True)


async def test_pulled_pinned_run_and_not_pulled_again(
    docker_harness: DockerHarness, registry: ImageRegistry, pushed: str
) -> None:
    runtime = docker_harness.runtime(credentials=registry.credentials())
    await runtime.open()
    try:
        layers: list[PullLayer] = []
        fetched = await runtime.fetch(pushed, layers.append, always=False)
        assert fetched.pin.startswith(f"{pushed.rpartition(':')[0]}@sha256:")
        assert fetched.manifest == b'{"id": "sample"}'
        assert {"Pulling fs layer", "Pull complete"} <= {layer.status for layer in layers}
        assert any(layer.total for layer in layers), "how far each layer is, is told"
        assert not any(layer.id and layer.status.startswith("Pulling from") for layer in layers), (
            "the tag is no layer"
        )

        manifests = registry.asked("/manifests/")
        again: list[PullLayer] = []
        assert (await runtime.fetch(fetched.pin, again.append, always=True)).pin == fetched.pin
        assert (again, registry.asked("/manifests/")) == ([], manifests), "a digest that is held asks nobody"

        await runtime.ensure(docker_harness.spec(image=fetched.pin), SECRETS, silent)
        run = await running(runtime)
        assert await eventually(lambda: docker_harness.fetch(run.upstream)) == b"hello"
        assert registry.asked("/manifests/") == manifests
        await runtime.remove("sample")
    finally:
        await runtime.close()


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_without_the_right_login(
    docker_harness: DockerHarness, registry: ImageRegistry, pushed: str, tmp_path: Path, password: str | None
) -> None:
    if password is None:
        credentials = tmp_path / "none.json"
        credentials.write_text("{}")
    else:
        credentials = registry.credentials(password)
    runtime = docker_harness.runtime(credentials=credentials)
    await runtime.open()
    try:
        with pytest.raises(RuntimeFailure) as caught:
            await runtime.fetch(pushed, lambda _: None, always=False)
        assert (caught.value.hop, caught.value.code) == ("image", "image-missing")
        assert "no basic auth credentials" in caught.value.message or "unauthorized" in caught.value.message
        assert "NIMBUS_IMAGE_CREDENTIALS_FILE" in (caught.value.hint or "")
    finally:
        await runtime.close()


async def test_a_tag_that_is_not_there(docker_harness: DockerHarness, registry: ImageRegistry, pushed: str) -> None:
    runtime = docker_harness.runtime(credentials=registry.credentials())
    await runtime.open()
    try:
        with pytest.raises(RuntimeFailure, match=r"could not be pulled.*not found"):
            await runtime.fetch(f"{pushed}.9", lambda _: None, always=False)
    finally:
        await runtime.close()
