"""Many media items at once, and the feed of their changes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from nimbus_gateway.core.media.bulk import LONGEST_LINE, lines_of
from nimbus_gateway.core.media.quota import MediaQuota
from nimbus_gateway.core.media.service import CHANGES_LOCK
from nimbus_gateway.core.media.tables import MediaItem
from nimbus_gateway.database import lock
from nimbus_gateway.errors import PayloadTooLargeError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from tests.gateway.support import Nimbus, problem, running_nimbus

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def item(number: int, **changes: Any) -> dict[str, Any]:
    return {"kind": "movie", "externalId": f"test:{number}", "title": f"Film {number}", **changes}


async def bulk(client: Any, *items: Any, root: str = "/core/v1") -> Any:
    body = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in items)
    return await client.post(f"{root}/media/bulk", content=body, headers={"Content-Type": "application/x-ndjson"})


def outcomes(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["outcome"] for one in answer.json()["items"]]


class TestBulk:
    async def test_makes_changes_and_leaves(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        assert outcomes(await bulk(hello, item(1), item(2))) == ["created", "created"]
        again = await bulk(hello, item(1), item(2, year=1999), item(3), item(3, year=2000))
        assert outcomes(again) == ["unchanged", "updated", "created", "updated"]
        counts = {key: again.json()[key] for key in ("created", "updated", "unchanged", "failed")}
        assert counts == {"created": 1, "updated": 2, "unchanged": 1, "failed": 0}
        found = (await hello.get(f"/core/v1/media/{again.json()['items'][1]['id']}")).json()
        assert (found["year"], found["externalId"], found["etag"], found["createdBy"]) == (
            1999,
            "test:2",
            '"2"',
            "plugin:hello",
        )

    async def test_hierarchy_by_external_ids(self, nimbus: Nimbus):
        series = {"kind": "series", "externalId": "s1", "title": "The Wire"}
        episode = {**item(1), "kind": "episode", "parentKind": "series", "parentExternalId": "s1"}
        orphan = {**episode, "externalId": "e2", "parentExternalId": "nowhere"}
        answer = await bulk(nimbus.plugin("hello"), series, episode, orphan)
        assert outcomes(answer) == ["created", "created", "failed"]
        assert "parentExternalId" in answer.json()["items"][2]["error"]
        made = answer.json()["items"]
        found = (await nimbus.plugin("hello").get(f"/core/v1/media/{made[1]['id']}")).json()
        assert found["parentId"] == made[0]["id"]
        circle = {**series, "parentKind": "episode", "parentExternalId": "test:1"}
        assert outcomes(await bulk(nimbus.plugin("hello"), circle)) == ["failed"]

    async def test_lines_that_fail_hold_up_no_others(self, nimbus: Nimbus):
        bad = {"kind": "Not A Kind", "externalId": "x", "title": "x"}
        answer = await bulk(nimbus.plugin("hello"), item(1), "{nonsense", "", bad, "[1]", item(2))
        assert outcomes(answer) == ["created", "failed", "failed", "failed", "created"]
        assert [one["line"] for one in answer.json()["items"]] == [1, 2, 4, 5, 6]
        assert answer.json()["items"][2]["error"].startswith("kind: ")

    async def test_ten_thousand_in_one_call(self, nimbus: Nimbus):
        started = time.monotonic()
        admin = await nimbus.admin()
        answer = await bulk(admin, *(item(number, metadata={"n": number}) for number in range(10_000)), root="/api")
        assert (answer.json()["created"], answer.json()["failed"]) == (10_000, 0)
        assert time.monotonic() - started < 60
        refused = await bulk(admin, *(item(number) for number in range(10_001)), root="/api")
        problem(refused, 413, "payload-too-large")

    async def test_needs_the_permission(self, nimbus: Nimbus):
        body = problem(await bulk(nimbus.plugin("other"), item(1)), 403, "permission-missing")
        assert body["missing"] == "media:write"

    async def test_an_external_id_is_unique_within_its_kind(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        await bulk(hello, item(1))
        answer = await hello.post("/core/v1/media", json=item(1))
        assert "test:1" in problem(answer, 409, "conflict")["detail"]
        other = (await hello.post("/core/v1/media", json=item(1, kind="show"))).json()
        changed = await hello.patch(f"/core/v1/media/{other['id']}", json={"kind": "movie"})
        problem(changed, 409, "conflict")


async def test_a_plugin_makes_so_many_items_only(database_url: str, tmp_path: Path):
    async with running_nimbus(tmp_path, database_url, plugin_media=3) as nimbus:
        hello = nimbus.plugin("hello")
        found = await bulk(hello, *(item(number) for number in range(4)))
        assert outcomes(found) == ["created", "created", "created", "failed"]
        assert "At most 3 items" in found.json()["items"][3]["error"]
        # What is there may change; what people make is theirs.
        assert outcomes(await bulk(hello, item(0, title="New"), item(5))) == ["updated", "failed"]
        movie = {"kind": "movie", "title": "Alien"}
        assert problem(await hello.post("/core/v1/media", json=movie), 413, "quota-exceeded")["quota"] == "media"
        assert (await (await nimbus.admin()).post("/api/media", json=movie)).status_code == 201
        await hello.delete(f"/core/v1/media/{found.json()['items'][0]['id']}")
        nimbus.state.media_quota = MediaQuota(3)  # a worker that counts anew
        assert (await hello.post("/core/v1/media", json=movie)).status_code == 201


class TestChanges:
    async def everything(self, client: Any, after: str = "0", limit: int = 2) -> tuple[list[dict[str, Any]], str]:
        found: list[dict[str, Any]] = []
        while True:
            page = (await client.get("/core/v1/media/changes", params={"after": after, "limit": limit})).json()
            found += page["items"]
            after = page["next"]
            if not page["more"]:
                return found, after

    async def test_each_item_once_then_what_is_new(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        made = (await bulk(hello, *(item(number) for number in range(5)))).json()["items"]
        found, after = await self.everything(hello)
        assert [one["item"]["title"] for one in found] == [f"Film {number}" for number in range(5)]
        await hello.patch(f"/core/v1/media/{made[1]['id']}", json={"year": 1979})
        await hello.delete(f"/core/v1/media/{made[3]['id']}")
        await hello.patch(f"/core/v1/media/{made[1]['id']}", json={"year": 1980})
        news, after = await self.everything(hello, after)
        assert [(one["id"], one["deleted"]) for one in news] == [(made[3]["id"], True), (made[1]["id"], False)]
        assert news[1]["item"]["year"] == 1980
        assert await self.everything(hello, after) == ([], after)
        assert len((await self.everything(hello))[0]) == 5


class TestAtOnce:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PATCH", "/core/v1/media/{}", {"year": 1980}),
            ("DELETE", "/core/v1/media/{}", None),
            ("POST", "/core/v1/media", {"kind": "movie", "title": "Alien", "externalId": "tmdb:999"}),
        ],
    )
    async def test_one_change_and_many_do_not_wait_for_each_other(
        self, nimbus: Nimbus, method: str, path: str, body: Any
    ):
        """A bulk call holds the lock of all changes and then takes rows: so must everybody, or both wait for ever."""
        hello = nimbus.plugin("hello")
        (made,) = (await bulk(hello, item(1))).json()["items"]
        async with asyncio.TaskGroup() as group, nimbus.state.database.write() as session:
            await session.connection()  # SQLite's lock is taken with it
            await lock(session, CHANGES_LOCK)
            other = group.create_task(hello.request(method, path.format(made["id"]), json=body))
            await held_up(session, other)
            row = (await session.exec(select(MediaItem).with_for_update())).one()
            row.version += 1
            session.add(MediaItem(kind="movie", title="x", title_key="x", external_id="tmdb:999", created_by="t"))
            await session.flush()
        expected = {"PATCH": 200, "DELETE": 204, "POST": 409}
        assert (await other).status_code == expected[method]


async def held_up(session: AsyncSession, other: asyncio.Task[Any]) -> None:
    """Wait until the other call waits for a lock; SQLite's writers queue before they take anything."""
    if session.get_bind().dialect.name != "postgresql":
        return
    waits = sa.text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with asyncio.timeout(10):
        while not (await (await session.connection()).execute(waits)).scalar_one():
            assert not other.done()
            await asyncio.sleep(0.01)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(*parts: bytes) -> list[tuple[int, bytes]]:
    return [line async for line in lines_of(chunks(*parts))]


async def test_lines_are_found_wherever_the_pieces_end():
    assert await read(b"a\nb", b"c\n\n", b"d") == [(1, b"a"), (2, b"bc"), (4, b"d")]
    assert await read() == []
    with pytest.raises(PayloadTooLargeError, match="line 2"):
        await read(b"a\n", b"x" * LONGEST_LINE, b"y")
