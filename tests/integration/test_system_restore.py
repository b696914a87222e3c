"""A backup of everything goes into another Nimbus: from embedded into compose, and from one compose stack to another.

The second brings a plugin whose image is not on the machine any more and whose name means something else by now.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.integration.versioned_plugin import Shelf, seen_settings, set_up, tag_of, write_source
from tests.support.api import Api, wait_until
from tests.support.compose import ComposeStack
from tests.support.embedded import PASSWORD, Embedded
from tests.support.engine import BaseImages, remove_images
from tests.support.image_registry import PASSWORD as PULL_PASSWORD
from tests.support.image_registry import USER as PULL_USER
from tests.support.image_registry import ImageRegistry, running_image_registry

pytestmark = [pytest.mark.engine, pytest.mark.slow]

BACKUPS = "/api/admin/backups"
PASSPHRASE = "a passphrase for the test"
MOVED, PULLED = "moved", "pulled"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    with running_image_registry(tmp_path_factory.mktemp("images")) as registry:
        yield registry


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, base_images: BaseImages) -> Path:
    """The plugins folder of both machines: one plugin with data, that runs as a process and as a container."""
    folder = tmp_path_factory.mktemp("machines") / "plugins"
    command = ["env", "VERSION=1.0.0", "BROKEN=no", "python3", "-u", "server.py"]
    runtime = {"image": tag_of(MOVED, "1.0.0"), "process": {"command": command}, "data": True}
    write_source(folder / MOVED, base_images.python, MOVED, "1.0.0", runtime=runtime)
    return folder


@pytest.fixture(scope="module")
def fresh(docker_host: str, base_images: BaseImages, folders: Path, images: ImageRegistry) -> Iterator[ComposeStack]:
    """A stack that has nothing yet, with the login of the image registry, and a password of its own."""
    environment = {
        "COMPOSE_FILE": "docker-compose.yml:deploy/compose/image-credentials.yml",
        "NIMBUS_IMAGE_CREDENTIALS_FILE": str(images.credentials()),
    }
    stack = ComposeStack(
        docker_host, base_images, plugins=folders, password="the password of before", environment=environment
    )
    try:
        stack.up()
        yield stack
    finally:
        stack.discard()


def backup_of(api: Api) -> bytes:
    """A new backup of everything, downloaded and deleted there."""
    made = api.post(BACKUPS, json={"passphrase": PASSPHRASE})
    assert made.status_code == 202, made.text
    path = f"{BACKUPS}/{made.json()['id']}"

    def whole() -> dict[str, Any] | None:
        found = next(one for one in api.get(BACKUPS).json()["items"] if one["id"] == made.json()["id"])
        return found if found["state"] != "making" else None

    backup = wait_until(whole, seconds=120, what="the backup")
    assert (backup["state"], [one["problem"] for one in backup["plugins"] if one.get("problem")]) == ("ready", [])
    file = api.get(f"{path}/file").content
    assert api.http.delete(path).status_code == 204
    return file


def restore(stack: ComposeStack, api: Api, file: bytes) -> dict[str, str]:
    """Restore it, and tell what came of each plugin."""
    uploaded = api.post(f"{BACKUPS}/upload", content=file)
    assert uploaded.status_code == 201, uploaded.text
    begun = api.post(
        f"{BACKUPS}/{uploaded.json()['id']}/restore", json={"passphrase": PASSPHRASE, "confirm": stack.project}
    )
    assert begun.status_code == 202, begun.text
    ticket = {"X-Nimbus-Restore-Ticket": begun.json()["ticket"]}

    def end() -> dict[str, Any] | None:
        found = httpx.get(f"{stack.url}{BACKUPS}/restore", headers=ticket, trust_env=False, timeout=30).json()
        return found if found["state"] != "running" else None

    result = wait_until(end, seconds=240, what="the restore")
    assert (result["state"], result["changed"]) == ("done", True), result
    return {one["id"]: f"{one['outcome']}: {one['message']}" for one in result["plugins"]}


def lines(api: Api, plugin_id: str) -> list[str]:
    """What the plugin has written at each of its starts."""
    found: list[str] = api.get(f"/api/plugins/{plugin_id}/x").json()["lines"]
    return found


def test_embedded_moves_into_a_fresh_stack(fresh: ComposeStack, folders: Path, tmp_path: Path) -> None:
    embedded = Embedded(tmp_path / "data", plugins=folders)
    embedded.start()
    try:
        with embedded.api() as api:
            api.enable(MOVED)
            set_up(api, MOVED, "of embedded")
            assert api.post("/api/media", json={"kind": "movie", "title": "Metropolis"}).status_code == 201
            written = lines(api, MOVED)
            file = backup_of(api)
    finally:
        embedded.stop()

    with fresh.api() as api:
        outcomes = restore(fresh, api, file)
    assert outcomes[MOVED].startswith("restored: "), outcomes
    assert (
        httpx.post(
            f"{fresh.url}/api/auth/login", json={"username": "admin", "password": fresh.password}, trust_env=False
        ).status_code
        == 401
    )
    fresh.password = PASSWORD
    with fresh.api() as api:
        assert api.wait_for_state(MOVED, "ready", seconds=120)["enabled"] is True
        assert [item["title"] for item in api.get("/api/media").json()["items"]] == ["Metropolis"]
        assert seen_settings(api, MOVED) == "of embedded"
        # It was stopped for the backup, and started there again before it was stopped for good.
        assert lines(api, MOVED)[: len(written)] == written
        assert api.get("/api/plugins/moved/version").json()["version"] == "1.0.0"


def test_a_stack_moves_to_another_that_has_to_pull_the_image(  # noqa: PLR0917 - fixtures
    stack: ComposeStack,
    admin: Api,
    fresh: ComposeStack,
    images: ImageRegistry,
    engine: docker.DockerClient,
    base_images: BaseImages,
    tmp_path: Path,
) -> None:
    shelf = Shelf(engine, base_images.python, tmp_path)
    name = images.push(engine, shelf.build(PULLED, "1.0.0", data=True), f"{PULLED}:1")
    repository, tag = name.rsplit(":", 1)
    engine.images.pull(repository, tag, auth_config={"username": PULL_USER, "password": PULL_PASSWORD})
    try:
        installed = admin.post("/api/admin/plugins", params={"wait": 60}, json={"image": name, "grant": []})
        assert installed.status_code == 201, installed.text
        admin.enable(PULLED)
        set_up(admin, PULLED, "of the stack")
        written = lines(admin, PULLED)
        [current] = admin.get(f"/api/admin/plugins/{PULLED}/versions").json()["items"]
        file = backup_of(admin)
        gone = admin.http.delete(f"/api/admin/plugins/{PULLED}", params={"deleteData": "true"})
        assert gone.status_code == 200, gone.text
        # The image goes from the machine, and its name means another version from now on.
        remove_images(engine, "nimbus-test-")
        remove_images(engine, repository)
        images.push(engine, shelf.build(PULLED, "2.0.0", data=True), f"{PULLED}:1")
        assert engine.images.list(name=repository) == []
        asked = images.asked(current["digest"].rpartition("@")[2])

        with fresh.api() as api:
            outcomes = restore(fresh, api, file)
        assert outcomes[PULLED].startswith("restored: Version 1.0.0"), outcomes
        assert outcomes[MOVED].startswith("not-in-backup"), outcomes
        fresh.password = stack.password
        with fresh.api() as api:
            assert api.wait_for_state(PULLED, "ready", seconds=120)["enabled"] is True
            [version] = api.get(f"/api/admin/plugins/{PULLED}/versions").json()["items"]
            assert (version["digest"], version["version"]) == (current["digest"], "1.0.0")
            assert images.asked(current["digest"].rpartition("@")[2]) > asked
            assert seen_settings(api, PULLED) == "of the stack"
            assert lines(api, PULLED)[: len(written)] == written
            assert api.state(MOVED) == "disabled"
            api.disable(PULLED)
    finally:
        if admin.get(f"/api/plugins/{PULLED}").status_code == 200:
            admin.http.delete(f"/api/admin/plugins/{PULLED}", params={"deleteData": "true"})
        remove_images(engine, "nimbus-test-")
        for image in engine.images.list(name=repository):
            engine.images.remove(image.id, force=True)
