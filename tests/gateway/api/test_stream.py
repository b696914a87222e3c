"""The dashboard's event stream."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from nimbus_gateway.auth.principal import Credentials
from nimbus_gateway.events.sse import EventStream, frame
from nimbus_gateway.events.stream import changed_events, plugin_events
from nimbus_sdk.contracts.snapshot import Snapshot

from tests.gateway.support import Nimbus, plugin, problem

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listening(nimbus: Nimbus, browser, seen: int | None = None):
    """The stream of a signed-in browser, its first ping taken."""
    credentials = Credentials(session_cookie=browser.cookies["nimbus_session"])
    principal = await nimbus.state.authenticator.authenticate(credentials)
    stream = plugin_events(nimbus.state, principal, credentials, seen)
    async with asyncio.timeout(10):
        assert (await anext(stream)).startswith(b":")
        try:
            yield stream
        finally:
            await stream.aclose()


def parsed(event: bytes) -> dict[str, object]:
    found: dict[str, object] = dict(part.split(": ", 1) for part in event.decode().strip().split("\n"))
    if "data" in found:
        found["data"] = json.loads(str(found["data"]))
    return found


class TestEvents:
    async def test_a_new_client_starts_over(self, nimbus: Nimbus):
        async with listening(nimbus, await nimbus.user()) as stream:
            assert parsed(await anext(stream)) == {"event": "reset", "data": {"generation": 1}, "id": "1"}

    async def test_a_client_that_missed_nothing_goes_on(self, nimbus: Nimbus):
        async with listening(nimbus, await nimbus.user(), seen=1) as stream:
            following = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            assert (await (await nimbus.admin()).post("/api/plugins/hello/disable")).status_code == 200
            event = parsed(await following)
            assert event["event"] == "plugin"
            assert event["id"] == "2"
            assert event["data"]["state"] == "disabled"

    async def test_a_client_that_missed_something_starts_over(self, nimbus: Nimbus):
        async with listening(nimbus, await nimbus.user(), seen=7) as stream:
            assert parsed(await anext(stream))["event"] == "reset"

    async def test_tells_whether_the_registry_is_there(self, nimbus: Nimbus):
        async with listening(nimbus, await nimbus.user()) as stream:
            await anext(stream)
            nimbus.registry.set_reachable(False)
            event = parsed(await anext(stream))
            assert event["event"] == "system"
            assert event["data"]["registryReachable"] is False
            assert event["data"]["notices"][0]["level"] == "error"

    async def test_tells_what_the_core_tells(self, nimbus: Nimbus):
        async with listening(nimbus, await nimbus.user(), seen=1) as stream:
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            admin = await nimbus.admin()
            await admin.post("/api/admin/users", json={"username": "grace", "password": "grace has one too"})
            await admin.post("/api/media", json={"kind": "movie", "title": "Alien"})
            event = parsed(await waiting)
            assert event["event"] == "event"
            assert "id" not in event
            assert event["data"]["type"] == "io.nimbus.media.created.v1"
            assert event["data"]["data"]["title"] == "Alien"

    async def test_administrators_hear_of_accounts_too(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        async with listening(nimbus, admin, seen=1) as stream:
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            await admin.post("/api/admin/users", json={"username": "grace", "password": "grace has one too"})
            assert parsed(await waiting)["data"]["data"]["username"] == "grace"

    async def test_ends_with_the_session(self, nimbus: Nimbus):
        browser = await nimbus.user()
        async with listening(nimbus, browser) as stream:
            await anext(stream)
            await browser.post("/api/auth/logout")
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

    async def test_a_slow_client_gets_many_changes_as_few(self, nimbus: Nimbus):
        async with listening(nimbus, await nimbus.user(), seen=1) as stream:
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            for generation in range(2, 2000):
                state = "ready" if generation % 2 else "degraded"
                nimbus.state.snapshots.swap(
                    Snapshot(generation=generation, instance="test", plugins=[plugin("hello", state=state)])
                )
                if generation % 10 == 0:
                    await asyncio.sleep(0)
            events = [parsed(await waiting)]
            while events[-1].get("id") != "1999":
                events.append(parsed(await anext(stream)))
            assert len(events) < 500

    async def test_nobody_is_401(self, nimbus: Nimbus):
        problem(await nimbus.client().get("/api/events/stream"), 401, "unauthenticated")


class TestChanges:
    async def test_only_what_lists_show(self):
        old = Snapshot(generation=1, instance="t", plugins=[plugin("aa"), plugin("bb"), plugin("cc")])
        new = Snapshot(
            generation=2, instance="t", plugins=[plugin("aa"), plugin("bb", state="degraded"), plugin("dd")]
        )
        events = [parsed(event) for event in changed_events(old, new)]
        assert [(event["event"], event["data"]["id"], event.get("id")) for event in events] == [
            ("plugin", "bb", None),
            ("plugin", "dd", None),
            ("plugin-removed", "cc", "2"),
        ]
        assert "manifest" not in events[0]["data"]

    async def test_a_change_that_lists_do_not_show_only_moves_the_id(self):
        old = Snapshot(generation=1, instance="t", plugins=[plugin("aa")])
        new = Snapshot(generation=2, instance="t", plugins=[plugin("aa", grants=())])
        assert changed_events(old, new) == [b"id: 2\n\n"]


class TestAnswer:
    async def run(self, chunks, *, leave: asyncio.Event, stopping: asyncio.Event) -> list[dict]:
        sent: list[dict] = []

        async def receive():
            await leave.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        async with asyncio.timeout(5):
            await EventStream(chunks, stopping)({"type": "http", "path": "/x"}, receive, send)
        return sent

    @pytest.mark.parametrize("how", ["leave", "stop"])
    async def test_ends_and_closes_its_source(self, how: str):
        leave, stopping, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def source():
            try:
                yield frame("a", {})
                (leave if how == "leave" else stopping).set()
                await asyncio.Event().wait()
            finally:
                closed.set()

        sent = await self.run(source(), leave=leave, stopping=stopping)
        assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * 2]
        assert closed.is_set()

    async def test_ends_with_its_source(self):
        async def source():
            yield frame("a", {})

        sent = await self.run(source(), leave=asyncio.Event(), stopping=asyncio.Event())
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    async def test_line_breaks_stay_inside_the_data(self):
        assert frame("log", {"text": "a\nevent: b\r\u2028"}).count(b"\n") == 3
