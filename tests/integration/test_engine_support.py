"""The fixtures themselves: what a test leaves behind must be gone, whatever it was."""

import docker
import pytest

from tests.support.engine import INSTANCE_LABEL, remove_instance

pytestmark = pytest.mark.engine


def _leftovers(engine: docker.DockerClient, instance: str) -> list[str]:
    wanted = {"label": f"{INSTANCE_LABEL}={instance}"}
    return [
        *(item.name for item in engine.containers.list(all=True, filters=wanted)),
        *(item.name for item in engine.networks.list(filters=wanted)),
        *(item.name for item in engine.volumes.list(filters=wanted)),
    ]


def test_everything_of_an_instance_is_removed(
    engine: docker.DockerClient, instance: str, python_base_image: str
) -> None:
    labels = {INSTANCE_LABEL: instance}
    network = engine.networks.create(f"{instance}-net", internal=True, labels=labels)
    engine.volumes.create(f"{instance}-data", labels=labels)
    engine.containers.run(
        python_base_image, ["sleep", "60"], detach=True, network=network.name, labels=labels, init=True
    )
    assert len(_leftovers(engine, instance)) == 3

    remove_instance(engine, instance)

    assert _leftovers(engine, instance) == []


def test_a_networks_foreign_member_does_not_keep_it(
    engine: docker.DockerClient, instance: str, python_base_image: str
) -> None:
    network = engine.networks.create(f"{instance}-net", internal=True, labels={INSTANCE_LABEL: instance})
    stranger = engine.containers.run(python_base_image, ["sleep", "60"], detach=True, network=network.name, init=True)
    try:
        remove_instance(engine, instance)
        stranger.reload()
        assert _leftovers(engine, instance) == []
        assert stranger.status == "running"
    finally:
        stranger.remove(force=True)


def test_the_plugin_base_image_holds_the_sdk(engine: docker.DockerClient, plugin_base_image: str) -> None:
    output = engine.containers.run(
        plugin_base_image,
        ["python", "-c", "import nimbus_sdk, os; print(nimbus_sdk.__name__, os.getuid())"],
        remove=True,
        read_only=True,
        network_disabled=True,
    )
    assert output.split() == [b"nimbus_sdk", b"10001"]
