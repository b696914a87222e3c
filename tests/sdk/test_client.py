"""The core client against the fake core: values, errors, repeats."""

import time

import httpx
import pytest
from nimbus_sdk import (
    Conflict,
    Core,
    MediaUpsert,
    NotFound,
    PermissionMissing,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
    Unavailable,
    ValidationFailed,
)
from nimbus_sdk.client.answers import error_of
from nimbus_sdk.contracts.core_api import LogEntry
from nimbus_sdk.contracts.identity import KeySet
from nimbus_sdk.errors import CoreError, Unauthenticated
from nimbus_sdk.testing import FakeCore
from nimbus_sdk.testing.core import TOKEN

from tests.sdk.conftest import MakePlugin

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake(make_plugin: MakePlugin) -> FakeCore:
    return FakeCore(make_plugin().manifest, KeySet(keys=[]))


@pytest.fixture
def core(fake: FakeCore) -> Core:
    return Core("http://core", TOKEN, transport=fake.transport())


class TestMedia:
    async def test_an_items_life(self, core: Core, fake: FakeCore) -> None:
        item = await core.media.create("movie", "Metropolis", year=1927, metadata={"a": 1, "b": {"c": 2}})
        assert (item.created_by, fake.media.items[item.id].title) == ("plugin:sample", "Metropolis")
        assert await core.media.get(item.id) == item
        changed = await core.media.update(item, title="M", metadata={"a": None, "b": {"d": 3}})
        assert (changed.title, changed.year, changed.metadata) == ("M", 1927, {"b": {"c": 2, "d": 3}})
        with pytest.raises(PreconditionFailed):
            await core.media.update(item, year=1931)
        with pytest.raises(PreconditionFailed):
            await core.media.delete(item)
        assert (await core.media.update(item.id, year=None)).year is None
        await core.media.delete(item.id)
        with pytest.raises(NotFound):
            await core.media.get(item.id)

    async def test_iteration_takes_every_page_once(self, core: Core, fake: FakeCore) -> None:
        for number in range(25):
            fake.media.add("movie" if number % 5 else "series", f"Item {number}")
        assert [item.title async for item in core.media.iterate(page_size=10)] == [
            f"Item {n}" for n in reversed(range(25))
        ]
        assert len([i async for i in core.media.iterate(kind="series", page_size=2)]) == 5
        assert [call for call in fake.calls if call == ("GET", "/media")] == [("GET", "/media")] * 6

    async def test_filters(self, core: Core, fake: FakeCore) -> None:
        series = fake.media.add("series", "The Wire", year=2002)
        fake.media.add("episode", "The Target", parent_id=series.id, metadata={"season": 1})
        assert [i.title for i in (await core.media.page(search="wire")).items] == ["The Wire"]
        assert [i.title for i in (await core.media.page(year=2002)).items] == ["The Wire"]
        assert [i.title for i in (await core.media.page(parent_id=series.id)).items] == ["The Target"]
        assert [i.title for i in (await core.media.page(metadata={"season": "1"})).items] == ["The Target"]

    async def test_a_call_of_many_that_is_lost_is_sent_again(self, fake: FakeCore) -> None:
        lost = 0

        def once_lost(request: httpx.Request) -> httpx.Response:
            nonlocal lost
            answer = fake.handle(request)
            if request.url.path.endswith("/bulk") and not lost:
                lost += 1
                raise httpx.ReadError("the answer was lost", request=request)
            return answer

        core = Core("http://core", TOKEN, transport=httpx.MockTransport(once_lost))
        films = (MediaUpsert(kind="movie", external_id=f"n:{n}", title=f"Film {n}") for n in range(2_500))
        found = [done async for done in core.media.upsert(films)]
        assert [done.line for done in found] == list(range(1, 2_501))
        assert [sum(done.outcome == what for done in found) for what in ("unchanged", "created")] == [2_000, 500]
        assert (lost, len(fake.media.items)) == (1, 2_500)

    async def test_bad_values_name_their_fields(self, core: Core) -> None:
        with pytest.raises(ValidationFailed) as caught:
            await core.media.create("Bad Kind", "", year=0)
        assert {error.path for error in caught.value.errors} == {"/kind", "/title", "/year"}
        with pytest.raises(TypeError, match="colour"):
            await core.media.update("x", colour="red")

    async def test_permissions_are_named(self, core: Core, fake: FakeCore) -> None:
        fake.permissions.discard("media:write")
        with pytest.raises(PermissionMissing) as caught:
            await core.media.create("movie", "M")
        assert caught.value.permission == "media:write"
        assert "media:write" in str(caught.value)


class TestConfig:
    async def test_get_set_delete(self, core: Core, fake: FakeCore) -> None:
        assert await core.config.all() == {"limit": 3}
        assert await core.config.get("limit") == 3
        assert await core.config.get("token", "none") == "none"
        await core.config.set("limit", 4)
        assert (fake.config["limit"], await core.config.get("limit")) == (4, 4)
        await core.config.delete("limit")
        await core.config.delete("limit")
        assert await core.config.get("limit") == 3

    async def test_a_guarded_write(self, core: Core) -> None:
        before = await core.config.read("limit")
        await core.config.set("limit", 4, etag=before.etag)
        with pytest.raises(PreconditionFailed):
            await core.config.set("limit", 5, etag=before.etag)

    @pytest.mark.parametrize(("key", "value"), [("limit", 0), ("limit", "many"), ("unknown", 1)])
    async def test_what_does_not_fit_is_refused(self, core: Core, key: str, value: object) -> None:
        with pytest.raises(ValidationFailed) as caught:
            await core.config.set(key, value)
        assert caught.value.errors[0].path == f"/{key}"


async def test_self_and_logs(core: Core, fake: FakeCore) -> None:
    me = await core.me()
    assert (me.id, me.permissions, me.instance) == ("sample", ["media:read", "media:write"], "test")
    await core.logs.send([])
    await core.logs.send([LogEntry(message="one"), LogEntry(level="error", message="two", fields={"a": 1})])
    assert [(e.level, e.message) for e in fake.logs] == [("info", "one"), ("error", "two")]


async def test_a_wrong_token_is_not_repeated(fake: FakeCore) -> None:
    async with Core("http://core", "wrong", transport=fake.transport()) as core:
        with pytest.raises(Unauthenticated):
            await core.me()
    assert len(fake.calls) == 1


class TestRepeats:
    @pytest.fixture
    def answers(self) -> list[httpx.Response | type[Exception]]:
        return []

    @pytest.fixture
    def calls(self) -> list[str]:
        return []

    @pytest.fixture
    def core(self, answers: list[httpx.Response | type[Exception]], calls: list[str]) -> Core:
        ok = {"id": "x", "version": "1", "permissions": [], "instance": "i"}

        def handle(request: httpx.Request) -> httpx.Response:
            calls.append(request.method)
            answer = answers.pop(0) if answers else httpx.Response(200, json=ok)
            if isinstance(answer, type):
                raise answer("made up", request=request)
            return answer

        return Core("http://core", "t", transport=httpx.MockTransport(handle), timeout=5)

    @pytest.mark.parametrize(
        "failure",
        [httpx.ConnectError, httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, 502, 503, 504],
    )
    async def test_reads_are_repeated(
        self, core: Core, answers: list[object], calls: list[str], failure: type[Exception] | int
    ) -> None:
        answers += [httpx.Response(failure) if isinstance(failure, int) else failure] * 2
        assert (await core.me()).id == "x"
        assert calls == ["GET"] * 3

    @pytest.mark.parametrize("failure", [httpx.ReadError, httpx.ReadTimeout, 503])
    async def test_writes_that_may_have_arrived_are_not(
        self, core: Core, answers: list[object], calls: list[str], failure: type[Exception] | int
    ) -> None:
        answers += [httpx.Response(failure) if isinstance(failure, int) else failure] * 9
        with pytest.raises(Unavailable):
            await core.media.create("movie", "M")
        with pytest.raises(Unavailable):
            await core.config.set("limit", 1, etag='"1"')
        assert calls == ["POST", "PUT"]

    async def test_writes_that_never_left_are(self, core: Core, answers: list[object], calls: list[str]) -> None:
        answers += [httpx.ConnectError, httpx.ConnectTimeout, httpx.Response(202)]
        await core.logs.send([LogEntry(message="x")])
        assert calls == ["POST"] * 3

    async def test_other_errors_are_not_repeated(self, core: Core, answers: list[object], calls: list[str]) -> None:
        answers += [httpx.Response(500)]
        with pytest.raises(CoreError) as caught:
            await core.me()
        assert (type(caught.value), caught.value.http_status, calls) == (CoreError, 500, ["GET"])

    async def test_it_ends(self, core: Core, answers: list[object], calls: list[str]) -> None:
        answers += [httpx.Response(503, headers={"retry-after": "0"})] * 99
        with pytest.raises(Unavailable):
            await core.me()
        assert len(calls) == 5

    async def test_the_whole_call_has_a_deadline(self, answers: list[object]) -> None:
        always = httpx.MockTransport(lambda _: httpx.Response(503, headers={"retry-after": "9"}))
        started = time.monotonic()
        async with Core("http://core", "t", transport=always, timeout=0.2) as core:
            with pytest.raises(Unavailable, match="in time"):
                await core.me()
        assert time.monotonic() - started < 2

    async def test_no_core(self) -> None:
        async with Core(None, None) as core:
            with pytest.raises(Unavailable, match="NIMBUS_CORE_URL"):
                await core.me()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValidationFailed),
        (401, Unauthenticated),
        (403, PermissionMissing),
        (404, NotFound),
        (409, Conflict),
        (412, PreconditionFailed),
        (422, ValidationFailed),
        (413, QuotaExceeded),
        (429, RateLimited),
        (500, CoreError),
        (418, CoreError),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"type": 3}', b'{"type":"/problems/x","title":"t","status":400}']
)
def test_every_answer_has_its_error(status: int, kind: type[CoreError], body: bytes) -> None:
    error = error_of(status, {}, body)
    assert type(error) is kind
    assert error.http_status == status
    assert str(error)
