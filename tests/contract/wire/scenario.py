"""What is recorded: every call of the SDK's core client, with the refusals that a plugin meets in ordinary life."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from nimbus_sdk import Core, MediaUpsert
from nimbus_sdk.contracts.core_api import LogEntry
from nimbus_sdk.contracts.events import EventPublish
from nimbus_sdk.errors import CoreError

from tests.contract.wire.stage import FULL, TARGET

NOWHERE = "01920000-0000-7000-8000-000000000000"


async def refused(call: Awaitable[object]) -> None:
    """A call that the gateway refuses; that is recorded too."""
    with suppress(CoreError):
        await call
        raise AssertionError("it was to be refused")


async def everything(full: Core, bare: Core, identity: Callable[[], str]) -> None:
    """Every call, in an order in which each finds what it needs.

    Args:
        full: the plugin that may everything.
        bare: the plugin that may nothing.
        identity: a new token of the person, a user, for whom `full` acts.
    """
    await full.me()
    await _config(full)
    await _kv(full)
    await _media(full, bare)
    await _downloads(full, bare)
    await full.logs.send([LogEntry(level="info", message="recorded", fields={"n": 1})])
    await full.events.publish(f"plugin.{FULL}.made", {"a": 1}, subject="x")
    await full.events.publish_all([EventPublish(type=f"plugin.{FULL}.made", data=[1])])
    await refused(bare.events.publish("plugin.bare.made"))
    await full.schedules.all()
    await full.schedules.run("sweep")
    await full.schedules.runs("sweep")
    await refused(full.schedules.run("nothing"))
    await full.plugins.find()
    await full.plugins.find("api")
    await full.plugins.call(TARGET, "/search", method="POST", json={"q": "x"}, params={"page": "2"})
    await refused(bare.plugins.call(TARGET, "/search"))
    await refused(full.plugins.call("nobody", "/search"))
    await full.plugins.call(TARGET, "/search", on_behalf_of=identity())
    await refused(full.plugins.call(TARGET, "/admin", on_behalf_of=identity()))  # only what both may
    await refused(full.plugins.call(TARGET, "/search", on_behalf_of="nonsense"))


async def _config(full: Core) -> None:
    await full.config.all()
    await full.config.set("name", "first")
    read = await full.config.read("name")
    await full.config.get("name")
    await full.config.set("name", "second", etag=read.etag)
    await refused(full.config.set("name", "third", etag=read.etag))
    await refused(full.config.set("limit", 0))
    await full.config.get("nothing")
    await full.config.delete("name")


async def _kv(full: Core) -> None:
    await full.kv.put("a/one", {"n": 1}, new=True)
    await refused(full.kv.put("a/one", {"n": 2}, new=True))
    read = await full.kv.read("a/one")
    await full.kv.put("a/one", {"n": 2}, etag=read.etag, ttl=3600)
    await refused(full.kv.put("a/one", {"n": 3}, etag=read.etag))
    await full.kv.put("a/two", "text")
    await full.kv.get("a/none")
    assert [entry.key async for entry in full.kv.iterate("a/", page_size=1)] == ["a/one", "a/two"]
    await full.kv.usage()
    await full.kv.delete("a/two")


async def _media(full: Core, bare: Core) -> None:
    series = await full.media.create("series", "The Wire", year=2002, metadata={"b": 2}, external_id="tvdb:79126")
    item = await full.media.create("episode", "The Target", parent_id=series.id)
    await full.media.get(item.id)
    await full.media.find("series", "tvdb:79126")
    changed = await full.media.update(item, title="Target", metadata={"n": 1})
    await refused(full.media.update(item, title="lost"))
    await full.media.page(kind="episode", search="target", parent_id=series.id, metadata={"n": 1})
    assert len([one async for one in full.media.iterate(page_size=1)]) == 2
    outcomes = full.media.upsert([MediaUpsert(kind="movie", title="Metropolis", external_id="imdb:tt0017136")])
    assert [one.outcome async for one in outcomes] == ["created"]
    assert [page async for page in full.media.changes()]
    await refused(full.media.get(NOWHERE))
    await refused(full.media.create("Bad Kind", ""))
    await refused(full.media.delete(series))
    await full.media.delete(changed)
    await refused(bare.media.page())


async def _downloads(full: Core, bare: Core) -> None:
    item = await full.downloads.create("https://files.test/a.mkv", title="A", metadata={"checksum": "sha256:0"})
    await full.downloads.get(item.id)
    await full.downloads.providers()
    await full.downloads.report(item.id, "running", done_bytes=1, total_bytes=2, speed=1.5)
    await full.downloads.pause(item.id)
    await full.downloads.resume(item.id)
    item = await full.downloads.update(await full.downloads.get(item.id), title="B", position=0)
    assert [one async for one in full.downloads.queue(page_size=1)]
    assert [one async for one in full.downloads.iterate(page_size=1)]
    await refused(full.downloads.delete(item.id))
    await full.downloads.cancel(item.id)
    await full.downloads.report(item.id, "canceled")
    await full.downloads.retry(item.id)
    await full.downloads.report(item.id, "failed", error="no such host")
    await full.downloads.retry(item.id)
    await full.downloads.report(item.id, "completed", result={"path": "/data/a.mkv"})
    await full.downloads.delete(item.id)
    await refused(full.downloads.create("no address"))
    await refused(bare.downloads.create("https://files.test/a.mkv"))
