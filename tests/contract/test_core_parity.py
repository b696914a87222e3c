"""The core's real API and the test kit's fake one behave alike: each behaviour is asked of both.

What a plugin's author tests against the kit must hold on a running Nimbus.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from nimbus_gateway.migrations.run import migrate
from nimbus_sdk import Conflict, Core, MediaUpsert, NotFound, PermissionMissing, PreconditionFailed, ValidationFailed
from nimbus_sdk.client import bulk
from nimbus_sdk.contracts.core_api import LogEntry, MediaBulkItem
from nimbus_sdk.contracts.identity import KeySet
from nimbus_sdk.errors import Unauthenticated
from nimbus_sdk.testing import FakeCore
from nimbus_sdk.testing.core import TOKEN

from tests.gateway.support import manifest, running_nimbus, token_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parity") / "gateway.db"
    migrate(f"sqlite:///{path}")
    return path


class Cores:
    """A plugin with all permissions, one with none, and one whose token nobody knows."""

    def __init__(self, full: Core, bare: Core, unknown: Core) -> None:
        self.full, self.bare, self.unknown = full, bare, unknown


@pytest.fixture(params=["fake", "real"])
async def cores(request: pytest.FixtureRequest, tmp_path: Path, database: Path) -> AsyncIterator[Cores]:
    if request.param == "fake":
        full = FakeCore(manifest("hello", permissions=["media:read", "media:write"]), KeySet(keys=[]))
        bare = FakeCore(manifest("other"), KeySet(keys=[]))
        yield Cores(
            Core("http://core", TOKEN, transport=full.transport()),
            Core("http://core", TOKEN, transport=bare.transport()),
            Core("http://core", "wrong", transport=full.transport()),
        )
        return
    shutil.copy(database, tmp_path / "gateway.db")
    async with running_nimbus(tmp_path, f"sqlite:///{tmp_path / 'gateway.db'}") as nimbus:

        def core(token: str) -> Core:
            return Core("http://core", token, transport=httpx.ASGITransport(nimbus.core_app))

        yield Cores(core(token_of("hello")), core(token_of("other")), core("wrong"))


async def test_an_items_life(cores: Cores) -> None:
    media = cores.full.media
    item = await media.create("movie", "Metropolis", year=1927, metadata={"a": 1, "b": {"c": 2}})
    assert item.created_by == "plugin:hello"
    assert await media.get(item.id) == item
    changed = await media.update(item, title="M", metadata={"a": None, "b": {"d": 3}})
    assert (changed.title, changed.year, changed.metadata) == ("M", 1927, {"b": {"c": 2, "d": 3}})
    with pytest.raises(PreconditionFailed):
        await media.update(item, year=1931)
    with pytest.raises(PreconditionFailed):
        await media.delete(item)
    await media.delete(changed)
    for call in (media.get(item.id), media.update(item.id, title="x"), media.delete(item.id)):
        with pytest.raises(NotFound):
            await call


async def test_pages_and_filters(cores: Cores) -> None:
    media = cores.full.media
    series = await media.create("series", "The Wire", year=2002)
    for number in range(4):
        await media.create(
            "episode", f"Episode {number}", parent_id=series.id, metadata={"season": "1", "n": str(number)}
        )
    assert [i.title async for i in media.iterate(kind="episode", page_size=3)] == [
        f"Episode {n}" for n in (3, 2, 1, 0)
    ]
    first = await media.page(limit=2)
    assert (len(first.items), first.next is not None) == (2, True)
    assert [i.title for i in (await media.page(search="wire")).items] == ["The Wire"]
    assert [i.title for i in (await media.page(year=2002)).items] == ["The Wire"]
    assert len((await media.page(parent_id=series.id)).items) == 4
    assert [i.title for i in (await media.page(metadata={"n": "2"})).items] == ["Episode 2"]


@pytest.mark.parametrize(
    "values",
    [{"kind": "Bad Kind", "title": "x"}, {"kind": "movie", "title": ""}, {"kind": "movie", "title": "x", "year": 0}],
)
async def test_bad_items_are_refused(cores: Cores, values: dict[str, object]) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await cores.full.media.create(**values)
    assert len(caught.value.errors) == 1


async def test_a_parent_must_exist_and_is_kept(cores: Cores) -> None:
    media = cores.full.media
    parent = await media.create("series", "S")
    await media.create("episode", "E", parent_id=parent.id)
    with pytest.raises(Conflict):
        await media.delete(parent.id)
    child = await media.create("season", "1", parent_id=parent.id)
    nowhere = "01920000-0000-7000-8000-000000000000"
    for call in (media.create("episode", "E", parent_id=nowhere), media.update(child, parent_id=nowhere)):
        with pytest.raises(ValidationFailed):
            await call
    for above, below in ((parent, child), (child, child)):
        with pytest.raises(Conflict):
            await media.update(above, parent_id=below.id)


@pytest.mark.parametrize("name", ["kind", "title", "metadata"])
async def test_needed_fields_cannot_be_removed(cores: Cores, name: str) -> None:
    item = await cores.full.media.create("movie", "M")
    with pytest.raises(ValidationFailed):
        await cores.full.media.update(item, **{name: None})


async def test_an_item_is_found_by_its_name_elsewhere(cores: Cores) -> None:
    media = cores.full.media
    film = await media.create("movie", "Metropolis", external_id="imdb:tt0017136")
    assert await media.find("movie", "imdb:tt0017136") == film
    assert await media.find("series", "imdb:tt0017136") is None
    other = await media.create("movie", "M")
    for call in (
        media.create("movie", "Again", external_id="imdb:tt0017136"),
        media.update(other, external_id="imdb:tt0017136"),
    ):
        with pytest.raises(Conflict):
            await call
    freed = await media.update(film, external_id=None)
    assert (freed.external_id, await media.find("movie", "imdb:tt0017136")) == (None, None)


async def test_many_items_in_calls_of_a_bounded_size(cores: Cores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MOST_LINES", 2)
    media = cores.full.media
    wanted = [
        MediaUpsert(kind="series", external_id="tvdb:1", title="The Wire", year=2002),
        MediaUpsert(
            kind="episode",
            external_id="tvdb:2",
            title="The Target",
            parent_kind="series",
            parent_external_id="tvdb:1",
            metadata={"season": 1},
        ),
        MediaUpsert(kind="episode", external_id="tvdb:3", title="x", parent_kind="series", parent_external_id="?"),
    ]

    async def one_by_one() -> AsyncIterator[MediaUpsert]:
        for item in wanted:
            yield item

    def told(found: list[MediaBulkItem]) -> list[tuple[int, str, bool]]:
        return [(item.line, item.outcome, item.error is None) for item in found]

    assert told([done async for done in media.upsert(one_by_one())]) == [
        (1, "created", True),
        (2, "created", True),
        (3, "failed", False),
    ]
    changed = wanted[0].model_copy(update={"title": "The Wire!"})
    again = [done async for done in media.upsert([changed, wanted[1]])]
    assert [(item.line, item.outcome) for item in again] == [(1, "updated"), (2, "unchanged")]
    series = await media.find("series", "tvdb:1")
    assert series is not None
    assert (series.title, series.id) == ("The Wire!", again[0].id)
    [episode] = (await media.page(parent_id=series.id)).items
    assert (episode.title, episode.metadata) == ("The Target", {"season": 1})
    circle = MediaUpsert(
        kind="series", external_id="tvdb:1", title="S", parent_kind="episode", parent_external_id="tvdb:2"
    )
    assert [done.outcome async for done in media.upsert([circle])] == ["failed"]
    with pytest.raises(PermissionMissing):
        _ = [done async for done in cores.bare.media.upsert(wanted)]


async def test_what_has_changed_is_told_once_and_can_be_gone_on_from(cores: Cores) -> None:
    media = cores.full.media

    async def since(place: str, limit: int = 100) -> tuple[list[tuple[str, bool]], str]:
        found: list[tuple[str, bool]] = []
        async for page in media.changes(place, limit=limit):
            found += [(change.id, change.deleted) for change in page.items]
            assert all((change.item is None) is change.deleted for change in page.items)
            place = page.next
        return found, place

    assert await since("0") == ([], "0")
    items = [await media.create("movie", title) for title in ("A", "B", "C")]
    found, place = await since("0", limit=2)
    assert found == [(item.id, False) for item in items]
    assert await since(place) == ([], place)
    await media.update(items[1], title="B!")
    await media.update(items[0], title="A!")
    await media.delete(items[2])
    assert (await since(place))[0] == [(items[1].id, False), (items[0].id, False), (items[2].id, True)]


async def test_missing_permissions_are_named(cores: Cores) -> None:
    with pytest.raises(PermissionMissing) as caught:
        await cores.bare.media.page()
    assert caught.value.permission == "media:read"
    with pytest.raises(PermissionMissing) as caught:
        await cores.bare.media.create("movie", "M")
    assert caught.value.permission == "media:write"


async def test_settings(cores: Cores) -> None:
    config = cores.full.config
    assert await config.all() == {"greeting": "Hello"}
    assert await config.get("greeting") == "Hello"
    assert await config.get("retries", "none") == "none"
    await config.set("retries", 3)
    assert await config.all() == {"greeting": "Hello", "retries": 3}
    read = await config.read("retries")
    await config.set("retries", 4, etag=read.etag)
    with pytest.raises(PreconditionFailed):
        await config.set("retries", 5, etag=read.etag)
    await config.delete("retries")
    await config.delete("retries")
    assert await config.get("retries") is None


@pytest.mark.parametrize(("key", "value"), [("retries", 10), ("retries", "x"), ("greeting", 1), ("unknown", 1)])
async def test_settings_that_do_not_fit(cores: Cores, key: str, value: object) -> None:
    with pytest.raises(ValidationFailed):
        await cores.full.config.set(key, value)


async def test_self_and_logs(cores: Cores) -> None:
    me = await cores.full.me()
    assert (me.id, me.version) == ("hello", "1.0.0")
    assert sorted(me.permissions) == ["media:read", "media:write"]
    await cores.full.logs.send([LogEntry(message="one", fields={"a": 1})])


async def test_a_wrong_token(cores: Cores) -> None:
    with pytest.raises(Unauthenticated):
        await cores.unknown.me()


async def test_a_store_of_ones_own(cores: Cores) -> None:
    kv = cores.full.kv
    assert await kv.get("feeds/news", "none") == "none"
    entry = await kv.put("feeds/news", {"seen": [1, None]})
    assert await kv.get("feeds/news") == {"seen": [1, None]}
    assert await cores.bare.kv.get("feeds/news") is None
    changed = await kv.put("feeds/news", None, etag=entry.etag)
    assert (await kv.read("feeds/news")).etag == changed.etag
    for call in (
        kv.put("feeds/news", 1, etag=entry.etag),
        kv.put("feeds/news", 1, new=True),
        kv.put("feeds/other", 1, etag=entry.etag),
        kv.delete("feeds/news", etag=entry.etag),
    ):
        with pytest.raises(PreconditionFailed):
            await call
    await kv.put("lock", "mine", new=True, ttl=60)
    for name in ("b", "a", "c"):
        await kv.put(f"queue/{name}", name)
    assert [item.value async for item in kv.iterate("queue/", page_size=2)] == ["a", "b", "c"]
    usage = await kv.usage()
    assert (usage.keys, usage.bytes > 20) == (5, True)
    await kv.delete("lock")
    await kv.delete("lock")
    with pytest.raises(NotFound):
        await kv.read("lock")


@pytest.mark.parametrize(("key", "ttl"), [("/x", None), ("a//b", None), ("a b", None), ("a", 0), ("a", -1)])
async def test_keys_and_times_that_do_not_fit(cores: Cores, key: str, ttl: float | None) -> None:
    with pytest.raises(ValidationFailed):
        await cores.full.kv.put(key, 1, ttl=ttl)
