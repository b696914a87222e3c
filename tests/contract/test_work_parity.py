"""Downloads and events: the core's real API and the test kit's fake one behave alike. See `test_core_parity`."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from nimbus_gateway.migrations.run import migrate
from nimbus_sdk import Conflict, Core, NotFound, PermissionMissing, PreconditionFailed, ValidationFailed
from nimbus_sdk.contracts.events import EventPublish
from nimbus_sdk.contracts.identity import KeySet
from nimbus_sdk.testing import FakeCore
from nimbus_sdk.testing.core import TOKEN

from tests.gateway.core.sinks import serve_plugins
from tests.gateway.support import manifest, plugin, running_nimbus, token_of

pytestmark = pytest.mark.anyio
URL = "https://files.test/films/alien.mkv"
GRANTS = ("downloads:*", "events:publish")
GETTER = {"capabilities": ["downloader"], "events": {"publish": ["plugin.getter.*"]}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("work-parity") / "gateway.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["fake", "real"])
async def cores(request: pytest.FixtureRequest, tmp_path: Path, database: Path) -> AsyncIterator[tuple[Core, Core]]:
    """A downloader with its permissions, and a plugin without any."""
    if request.param == "fake":
        getter = FakeCore(manifest("getter", permissions=list(GRANTS), **GETTER), KeySet(keys=[]))
        other = FakeCore(manifest("other"), KeySet(keys=[]))
        yield (
            Core("http://core", TOKEN, transport=getter.transport()),
            Core("http://core", TOKEN, transport=other.transport()),
        )
        return
    shutil.copy(database, tmp_path / "gateway.db")
    async with running_nimbus(tmp_path, f"sqlite:///{tmp_path / 'gateway.db'}") as nimbus:
        await serve_plugins(nimbus, plugin("getter", grants=GRANTS, **GETTER), plugin("other", grants=()))

        def core(plugin_id: str) -> Core:
            return Core("http://core", token_of(plugin_id), transport=httpx.ASGITransport(nimbus.core_app))

        yield core("getter"), core("other")


async def test_a_downloads_life(cores: tuple[Core, Core]) -> None:
    downloads = cores[0].downloads
    item = await downloads.create(URL, metadata={"checksum": "sha256:0"})
    assert (item.title, item.provider, item.state, item.wanted) == ("alien.mkv", "getter", "queued", "run")
    assert (item.position, item.attempt, item.requested_by) == (0, 1, "plugin:getter")
    running = await downloads.report(item.id, "running", done_bytes=10, total_bytes=100, speed=5.0)
    assert (running.state, running.done_bytes, running.started_at is not None) == ("running", 10, True)
    assert (await downloads.pause(item.id)).state == "running"  # until its provider reports
    assert (await downloads.report(item.id, "paused")).wanted == "pause"
    assert (await downloads.resume(item.id)).state == "queued"
    done = await downloads.report(item.id, "completed", result={"path": "/x"})
    assert (done.state, done.position, done.result, done.finished_at is not None) == (
        "completed",
        None,
        {"path": "/x"},
        True,
    )
    assert (await downloads.report(item.id, "completed")).state == "completed"
    for call in (downloads.report(item.id, "failed"), downloads.cancel(item.id), downloads.retry(item.id)):
        with pytest.raises(Conflict):
            await call
    assert [one.id async for one in downloads.iterate(state=["completed", "failed"])] == [item.id]
    await downloads.delete(item.id)
    with pytest.raises(NotFound):
        await downloads.get(item.id)


async def test_canceled_and_tried_again(cores: tuple[Core, Core]) -> None:
    downloads = cores[0].downloads
    item = await downloads.create(URL)
    assert (await downloads.cancel(item.id)).state == "canceled"
    again = await downloads.retry(item.id)
    assert (again.state, again.attempt, again.position, again.finished_at) == ("queued", 2, 0, None)
    assert (await downloads.pause(item.id)).state == "paused"
    with pytest.raises(Conflict):
        await downloads.delete(item.id)
    failed = await downloads.report(item.id, "failed", error="the disk is full")
    assert (failed.state, failed.error) == ("failed", "the disk is full")


async def test_the_queue_and_its_order(cores: tuple[Core, Core]) -> None:
    downloads = cores[0].downloads
    made = [await downloads.create(URL, title=f"Film {number}") for number in range(4)]
    assert [one.title async for one in downloads.queue(page_size=3)] == ["Film 0", "Film 1", "Film 2", "Film 3"]
    moved = await downloads.update(made[3], position=0, metadata={"a": 1})
    assert [one.title async for one in downloads.queue()] == ["Film 3", "Film 0", "Film 1", "Film 2"]
    with pytest.raises(PreconditionFailed):
        await downloads.update(made[3], title="x")
    assert (await downloads.update(moved, title="x", metadata={"a": None, "b": 2})).metadata == {"b": 2}
    assert [one.title async for one in downloads.iterate(page_size=2)] == ["x", "Film 2", "Film 1", "Film 0"]
    assert [one async for one in downloads.queue(provider="nobody")] == []


async def test_who_does_it(cores: tuple[Core, Core]) -> None:
    downloads = cores[0].downloads
    assert [(one.id, one.takes_any) for one in await downloads.providers()] == [("getter", True)]
    with pytest.raises(ValidationFailed) as caught:
        await downloads.create(URL, provider="other")
    assert caught.value.errors[0].path == "/provider"
    with pytest.raises(ValidationFailed):
        await downloads.create("no address")


async def test_downloads_need_permissions(cores: tuple[Core, Core]) -> None:
    with pytest.raises(PermissionMissing) as caught:
        await cores[1].downloads.providers()
    assert caught.value.permission == "downloads:read"
    with pytest.raises(PermissionMissing) as caught:
        await cores[1].downloads.create(URL)
    assert caught.value.permission == "downloads:write"


async def test_events_are_published_once(cores: tuple[Core, Core]) -> None:
    events = cores[0].events
    assert await events.publish("plugin.getter.done", {"n": 1}, event_id="mine") == "mine"
    assert await events.publish("plugin.getter.done", {"n": 1}, event_id="mine") == "mine"
    batch = [EventPublish(type="plugin.getter.done"), EventPublish(type="plugin.other.done")]
    with pytest.raises(ValidationFailed) as caught:
        await events.publish_all(batch)
    assert caught.value.errors[0].path == "/events/1/type"
    with pytest.raises(ValidationFailed):
        await events.publish("plugin.getter.undeclared.type")
    with pytest.raises(PermissionMissing):
        await cores[1].events.publish("plugin.other.done")


async def test_nobody_has_what_nobody_can(cores: tuple[Core, Core]) -> None:
    assert await cores[1].plugins.find("nothing-has-this") == []


async def test_there_is_no_such_schedule(cores: tuple[Core, Core]) -> None:
    schedules = cores[0].schedules
    assert await schedules.all() == []
    for call in (schedules.run("sweep"), schedules.runs("sweep")):
        with pytest.raises(NotFound):
            await call
