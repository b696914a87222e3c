"""Events: kept with the change, delivered at least once and in order, retried, given up, told again."""

import asyncio
import gc
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from nimbus_gateway.core.events import queue, subscribers
from nimbus_gateway.core.events.audience import ADDRESSED, wants, withheld
from nimbus_gateway.core.events.dispatcher import MOST_JOBS_OF_ONE, MOST_SUBSCRIBERS, has_room
from nimbus_gateway.core.events.outbox import NewEvent, emit_all
from nimbus_gateway.core.events.queue import backoff
from nimbus_gateway.core.events.quota import EventQuota
from nimbus_gateway.core.events.subscribers import cut_events, wanted_subscription
from nimbus_gateway.core.events.tables import DeliveryRow, EventRow, SubscriberRow
from nimbus_gateway.database import now
from nimbus_sdk.contracts.events import event_matches
from nimbus_sdk.contracts.snapshot import Reason, Transition
from sqlmodel import select

from tests.gateway.core.sinks import Sink, eventually, listener, open_sink, serve_plugins, subscription
from tests.gateway.support import START, Nimbus, plugin, problem, running_nimbus

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MEDIA = {"kind": "movie", "title": "Alien"}
PUBLISHER: tuple[str, ...] = ("media:read", "media:write", "events:publish")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(queue, "LONGEST_BACKOFF", 0.05)


@pytest.mark.parametrize(
    ("pattern", "event_type", "fits"),
    [
        ("io.nimbus.media.*", "io.nimbus.media.created", True),
        ("io.nimbus.media.*", "io.nimbus.media.created.v1", False),
        ("io.nimbus.media.*.v1", "io.nimbus.media.created.v1", True),
        ("io.nimbus.**", "io.nimbus.media.created.v1", True),
        ("io.nimbus.media.created.v1.**", "io.nimbus.media.created.v1", True),
        ("**", "a.b", True),
        ("**.created.*", "io.nimbus.media.created.v1", True),
        ("**.**.v1", "io.v1", True),
        ("io.nimbus.media", "io.nimbus.media.created.v1", False),
        ("io.nimbus.med*", "io.nimbus.media", False),
        ("*", "a.b", False),
    ],
)
def test_patterns(pattern: str, event_type: str, fits: bool):
    assert event_matches(pattern, event_type) is fits


def test_backoff_doubles_with_jitter_up_to_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue, "FIRST_BACKOFF", 1.0)
    monkeypatch.setattr(queue, "LONGEST_BACKOFF", 300.0)
    assert [backoff(attempt, 1.0) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert (backoff(3, 0.0), backoff(20, 1.0)) == (2.0, 300.0)


def test_what_a_plugin_may_not_read_is_withheld():
    wanted = wanted_subscription(plugin("ears", grants=("downloads:*",), events={"subscribe": ["**"]}))
    assert wanted is not None
    assert wanted.patterns == ("**",)
    assert wanted.withheld == ("io.nimbus.media.", "io.nimbus.plugin.", "io.nimbus.user.")
    assert wanted_subscription(plugin("ears", state="disabled")) is None


@pytest.mark.parametrize(
    ("grants", "event_type", "subject", "heard"),
    [
        ((), "io.nimbus.media.created.v1", "x", False),
        (("media:read",), "io.nimbus.media.created.v1", "x", True),
        (("downloads:*",), "io.nimbus.download.created.v1", "x", True),
        (("media:read",), "io.nimbus.plugin.state-changed.v1", "ears", False),
        (("plugins:read",), "io.nimbus.plugin.state-changed.v1", "other", True),
        (("plugins:read",), "io.nimbus.user.created.v1", "x", False),
        (("users:read",), "io.nimbus.user.created.v1", "x", True),
        ((), "io.nimbus.schedule.finished.v1", "ears", True),
        (("plugins:read", "users:read"), "io.nimbus.schedule.finished.v1", "other", False),
        (("plugins:read", "users:read", "media:read"), "io.nimbus.thought-of-later.v1", "x", False),
        (("downloads:*",), "io.nimbus.download.requested.v1", "x", False),
        ((), "io.nimbus.schedule.fired.v1", "ears", False),
        ((), "plugin.other.done", None, True),
    ],
)
def test_what_a_plugin_that_asks_for_all_hears(
    grants: tuple[str, ...], event_type: str, subject: str | None, heard: bool
):
    assert wants("plugin:ears", ["**"], withheld(grants), event_type, subject) is heard
    told = event_type not in ADDRESSED
    assert wants("webhook:1", ["**"], (), event_type, subject) is told


def test_jobs_leave_room_for_events_and_for_jobs_of_others():
    hanging = [f"schedule:bad:{number}" for number in range(MOST_JOBS_OF_ONE)]
    assert not has_room("schedule:bad:more", hanging)
    assert has_room("schedule:bad-one:job", hanging)
    assert has_room("plugin:bad", hanging)
    many = [f"schedule:p{number}:job" for number in range(MOST_SUBSCRIBERS)]
    assert not has_room("schedule:good:job", many)
    assert has_room("plugin:good", many)
    assert not has_room("plugin:good", [f"webhook:{number}" for number in range(MOST_SUBSCRIBERS)])


async def publish(client: Any, *events: dict[str, Any]) -> Any:
    return await client.post("/core/v1/events", json={"events": list(events)})


class TestPublishing:
    async def test_needs_the_permission(self, nimbus: Nimbus):
        body = problem(await publish(nimbus.plugin("other"), {"type": "plugin.other.x"}), 403, "permission-missing")
        assert body["missing"] == "events:publish"

    async def test_only_in_its_own_namespace(self, nimbus: Nimbus):
        await serve_plugins(nimbus, plugin("hello", grants=PUBLISHER), plugin("hello-two"))
        events = [
            {"type": "plugin.hello.fine"},
            {"type": "plugin.hello-two.x"},
            {"type": "io.nimbus.media.created.v1"},
        ]
        body = problem(await publish(nimbus.plugin("hello"), *events), 422, "validation")
        assert [error["path"] for error in body["errors"]] == ["/events/1/type", "/events/2/type"]

    async def test_only_what_its_manifest_lists(self, nimbus: Nimbus):
        declared = {"publish": ["plugin.hello.job.*"]}
        await serve_plugins(nimbus, plugin("hello", grants=PUBLISHER, events=declared))
        hello = nimbus.plugin("hello")
        assert (await publish(hello, {"type": "plugin.hello.job.done"})).status_code == 202
        body = problem(await publish(hello, {"type": "plugin.hello.other"}), 422, "validation")
        assert "plugin.hello.job.*" in body["errors"][0]["message"]

    @pytest.mark.parametrize("event", [{"type": "nodots"}, {"type": "a..b"}, {"type": 7}, {}])
    async def test_bad_types_are_named(self, nimbus: Nimbus, event: dict[str, Any]):
        await serve_plugins(nimbus, plugin("hello", grants=PUBLISHER))
        body = problem(await publish(nimbus.plugin("hello"), event), 422, "validation")
        assert body["errors"][0]["path"] == "/events/0/type"

    async def test_many_kinds_against_many_patterns_let_others_go_on(self, nimbus: Nimbus):
        slow = [".".join(["plugin", "hello", "**", *["a"] * 6, f"c{number}"]) for number in range(99)]
        ears = plugin("ears", events={"subscribe": slow})
        await serve_plugins(
            nimbus, plugin("hello", grants=PUBLISHER, events={"publish": [*slow, "plugin.hello.**"]}), ears
        )
        await eventually(lambda: subscription(nimbus, "plugin:ears"))
        events = [{"type": ".".join(["plugin", "hello", *["a"] * 13, f"b{number}"])} for number in range(500)]
        # Of the event loop's own processor time: a busy machine, or a collection of all that the tests have made so
        # far, is no stretch of the matching.
        gc.collect()
        gc.disable()
        try:
            sent = asyncio.ensure_future(publish(nimbus.plugin("hello"), *events))
            begun = last = time.thread_time()
            longest = 0.0
            while not sent.done():
                await asyncio.sleep(0)
                moment = time.thread_time()
                longest, last = max(longest, moment - last), moment
        finally:
            gc.enable()
        assert (await sent).status_code == 202
        assert longest < (last - begun) / 4

    async def test_a_repeated_id_is_kept_once(self, nimbus: Nimbus):
        async with open_sink() as sink:
            await serve_plugins(nimbus, plugin("hello", grants=PUBLISHER), listener("ears", sink, "plugin.hello.*"))
            event = {"type": "plugin.hello.done", "id": "job-7", "data": {"n": 1}, "subject": "7"}
            for _ in range(3):
                assert (await publish(nimbus.plugin("hello"), event)).json() == {"ids": ["job-7"]}
            await publish(nimbus.plugin("hello"), {"type": "plugin.hello.last"})
            first, last = await sink.until(2)
            assert last["type"] == "plugin.hello.last"
            assert first.pop("time").endswith("Z")
            assert first == {
                "specversion": "1.0",
                "id": "job-7",
                "source": "/plugins/hello",
                "type": "plugin.hello.done",
                "subject": "7",
                "datacontenttype": "application/json",
                "data": {"n": 1},
            }
            head = sink.heads[0].lower()
            assert head.startswith(b"post /_nimbus/events ")
            assert b"content-type: application/cloudevents+json" in head
            assert b"x-nimbus-identity: " in head


async def test_a_plugin_fills_the_outbox_only_so_far(database_url: str, tmp_path):
    async with running_nimbus(tmp_path, database_url, plugin_events=3) as nimbus:
        await serve_plugins(nimbus, plugin("hello", grants=PUBLISHER), plugin("other", grants=PUBLISHER))
        hello = nimbus.plugin("hello")
        assert (await publish(hello, *[{"type": "plugin.hello.x"}] * 2)).status_code == 202
        body = problem(await publish(hello, *[{"type": "plugin.hello.x"}] * 2), 413, "quota-exceeded")
        assert (body["quota"], body["kept"]) == ("events", 2)
        assert (await publish(hello, {"type": "plugin.hello.x"})).status_code == 202
        assert (await publish(nimbus.plugin("other"), {"type": "plugin.other.x"})).status_code == 202


async def test_a_plugin_fills_the_outbox_with_so_many_bytes_only(database_url: str, tmp_path):
    async with running_nimbus(tmp_path, database_url, plugin_event_bytes=3000) as nimbus:
        await serve_plugins(nimbus, plugin("hello", grants=PUBLISHER))
        hello = nimbus.plugin("hello")
        large = {"type": "plugin.hello.x", "data": "\u00e9" * 1000}  # two bytes each
        assert (await publish(hello, large)).status_code == 202
        body = problem(await publish(hello, large), 413, "quota-exceeded")
        assert body["quota"] == "event-bytes"
        assert 2000 < body["kept"] < 2100
        assert (await publish(hello, {"type": "plugin.hello.x"})).status_code == 202
        # A worker that begins anew counts what is kept.
        nimbus.state.event_quota = EventQuota(10, 3000)
        problem(await publish(hello, large), 413, "quota-exceeded")


class TestCoreEvents:
    async def test_media_and_people_tell_of_their_changes(self, nimbus: Nimbus):
        async with open_sink() as sink:
            grants = ("media:read", "media:write", "users:read")
            asked = ("io.nimbus.media.**", "io.nimbus.user.*.v1")
            await serve_plugins(nimbus, listener("hello", sink, *asked, grants=grants))
            hello = nimbus.plugin("hello")
            item = (await hello.post("/core/v1/media", json=MEDIA)).json()
            await hello.patch(f"/core/v1/media/{item['id']}", json={"year": 1979})
            await hello.delete(f"/core/v1/media/{item['id']}")
            await nimbus.user("ada")
            events = await sink.until(4)
            assert [event["type"].split(".")[2:4] for event in events] == [
                ["media", "created"],
                ["media", "updated"],
                ["media", "deleted"],
                ["user", "created"],
            ]
            assert events[0]["data"] == {key: value for key, value in item.items() if value is not None}
            assert events[1]["data"]["year"] == 1979
            assert events[3]["data"]["username"] == "ada"

    async def test_a_change_that_fails_tells_nothing(self, nimbus: Nimbus):
        async with open_sink() as sink:
            await serve_plugins(nimbus, listener("hello", sink, "**"))
            hello = nimbus.plugin("hello")
            item = (await hello.post("/core/v1/media", json=MEDIA)).json()
            await hello.post("/core/v1/media", json={**MEDIA, "parentId": item["id"]})
            problem(await hello.delete(f"/core/v1/media/{item['id']}"), 409, "conflict")
            await hello.post("/core/v1/media", json=MEDIA)
            assert {event["type"] for event in await sink.until(3)} == {"io.nimbus.media.created.v1"}

    async def test_transitions_of_the_registry_come_once(self, nimbus: Nimbus):
        async with open_sink() as sink:
            hello = listener("hello", sink, "io.nimbus.plugin.*.v1", grants=("plugins:read",))
            await serve_plugins(nimbus, hello)
            nimbus.registry.history = [
                Transition(id=number, plugin_id="other", to_state="ready", at=START, cause="user:1")
                for number in (3, 4)
            ]
            for _ in range(3):
                await serve_plugins(nimbus, hello)
            events = await sink.until(2)
            nimbus.registry.history.append(
                Transition(
                    id=9,
                    plugin_id="other",
                    to_state="failed",
                    at=START,
                    cause="engine",
                    reason=Reason(code="exited", message="It ended.", log_tail=["password=hunter2"]),
                )
            )
            await serve_plugins(nimbus, hello)
            await sink.until(3)
            assert events[2]["data"]["reason"]["message"] == "It ended."
            assert b"hunter2" not in b"".join(sink.bodies)
            assert [event["data"]["id"] for event in events] == [3, 4, 9]
            assert events[2]["data"]["toState"] == "failed"


class TestDelivery:
    async def test_failures_are_retried_in_order_then_given_up(self, nimbus: Nimbus):
        async with open_sink() as sink:
            tried: Counter[str] = Counter()

            async def answer(event: dict[str, Any]) -> int:
                tried[event["data"]["title"]] += 1
                return 500 if event["data"]["title"] == "bad" else 204 if tried["flaky"] != 1 else 503

            sink.answer = answer
            await serve_plugins(nimbus, listener("hello", sink, "io.nimbus.media.**"))
            for title in ("flaky", "bad", "good"):
                await nimbus.plugin("hello").post("/core/v1/media", json={**MEDIA, "title": title})
            events = await sink.until(2 + 8 + 1)
            assert [event["data"]["title"] for event in events] == ["flaky"] * 2 + ["bad"] * 8 + ["good"]
            assert len(set(sink.ids)) == 3
            assert b"x-nimbus-delivery-attempt: 8" in sink.heads[9].lower()

            async def settled() -> bool:
                return (await subscription(nimbus, "plugin:hello"))["lag"] == 0

            await eventually(settled)
            status = await subscription(nimbus, "plugin:hello")
            assert (status["deadLetters"], status["delivered"]) == (1, 2)
            admin = await nimbus.admin()
            (letter,) = (await admin.get("/api/admin/events/dead-letters")).json()["items"]
            assert (letter["attempts"], letter["event"]["data"]["title"]) == (8, "bad")
            assert letter["error"].startswith("POST /_nimbus/events answered 500")

            sink.answer = Sink._fine
            path = f"/api/admin/events/dead-letters/{letter['id']}"
            assert (await admin.post(f"{path}/retry")).json() == {"queued": 1}
            assert (await sink.until(12))[-1]["data"]["title"] == "bad"
            problem(await admin.post(f"{path}/retry"), 404, "not-found")
            problem(await admin.delete(path), 404, "not-found")

    async def test_an_answer_with_a_nul_byte_is_a_failure_like_others(self, nimbus: Nimbus):
        async with open_sink() as sink:

            async def refuse(_: dict[str, Any]) -> int:
                return 500

            sink.answer, sink.says = refuse, b"no\x00way"
            await serve_plugins(nimbus, listener("hello", sink, "io.nimbus.media.**"))
            await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)

            async def given_up() -> bool:
                return (await subscription(nimbus, "plugin:hello"))["deadLetters"] == 1

            await eventually(given_up)
            (letter,) = (await (await nimbus.admin()).get("/api/admin/events/dead-letters")).json()["items"]
            assert letter["error"] == "POST /_nimbus/events answered 500: no\N{SYMBOL FOR NULL}way"

    async def test_what_breaks_off_waits(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        async def broken(*_: Any) -> None:
            raise RuntimeError("a defect")

        async with open_sink() as sink:
            await serve_plugins(nimbus, listener("hello", sink, "io.nimbus.media.**"))
            monkeypatch.setattr(queue, "arrived", broken)
            await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)

            async def waits() -> bool:
                async with nimbus.state.database.read() as session:
                    row = await session.get(SubscriberRow, "plugin:hello")
                return row is not None and row.blocked_until is not None and row.blocked_until > now()

            await eventually(waits)

    @pytest.mark.parametrize(("keeps", "connections"), [("open", 1), ("silently closed", 20)])
    async def test_deliveries_share_a_connection(self, nimbus: Nimbus, keeps: Any, connections: int):
        """One that the consumer closed meanwhile is made again, without a failed attempt."""
        async with open_sink() as sink:
            sink.keeps = keeps
            await serve_plugins(nimbus, listener("hello", sink, "plugin.a.*"))
            async with nimbus.state.database.write() as session:
                await emit_all(session, [NewEvent("plugin.a.b", str(number)) for number in range(20)])
            events = await sink.until(20)
            assert [event["subject"] for event in events] == [str(number) for number in range(20)]
            assert sink.connections == connections
            assert all(b"x-nimbus-delivery-attempt: 1\r\n" in head.lower() for head in sink.heads)

    async def test_a_hanging_consumer_slows_nobody(self, nimbus: Nimbus):
        async with open_sink() as stuck, open_sink() as quick:
            released = asyncio.Event()

            async def hang(_: dict[str, Any]) -> int:
                await released.wait()
                return 204

            stuck.answer = hang
            await serve_plugins(
                nimbus, listener("stuck", stuck, "io.nimbus.media.**"), listener("hello", quick, "io.nimbus.media.**")
            )
            for _ in range(20):
                await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            assert len(await quick.until(20)) == 20
            assert stuck.events == []
            released.set()
            assert [event["id"] for event in await stuck.until(20)] == quick.ids

    async def test_410_unsubscribes_until_the_next_start(self, nimbus: Nimbus):
        async with open_sink() as sink:

            async def gone(_: dict[str, Any]) -> int:
                return 410

            sink.answer = gone
            ears = listener("ears", sink, "io.nimbus.media.**")
            await serve_plugins(nimbus, plugin("hello"), ears)
            await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            await sink.until(1)

            async def unsubscribed() -> bool:
                return (await subscription(nimbus, "plugin:ears"))["status"] == "unsubscribed"

            await eventually(unsubscribed)
            await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            assert (await subscription(nimbus, "plugin:ears"))["lag"] == 0
            replay = "/api/admin/events/subscriptions/plugin:ears/replay"
            problem(await (await nimbus.admin()).post(replay, json={}), 409, "conflict")
            sink.answer = Sink._fine
            await serve_plugins(nimbus, plugin("hello"), ears.model_copy(update={"token_sha256": "a" * 64}))
            await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            assert len(await sink.until(2)) == 2

    async def test_a_plugin_that_is_off_gets_its_events_later(self, nimbus: Nimbus):
        async with open_sink() as sink:
            ears = listener("ears", sink, "io.nimbus.media.**")
            await serve_plugins(nimbus, plugin("hello"), ears)
            asleep = plugin("ears", state="disabled", events={"subscribe": ["io.nimbus.media.**"]})
            await serve_plugins(nimbus, plugin("hello"), asleep)
            for _ in range(3):
                await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            status = await subscription(nimbus, "plugin:ears")
            assert (status["status"], status["lag"]) == ("waiting", 3)
            assert status["lagSeconds"] >= 0
            await serve_plugins(nimbus, plugin("hello"), ears)
            assert len(await sink.until(3)) == 3

    async def test_a_permission_that_is_taken_back_counts_for_what_waits(self, nimbus: Nimbus):
        async with open_sink() as sink:
            away = listener("ears", sink, "io.nimbus.**", "plugin.**").model_copy(update={"upstream": None})
            await serve_plugins(nimbus, away, plugin("hello", grants=PUBLISHER))
            await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            await publish(nimbus.plugin("hello"), {"type": "plugin.hello.told"})
            assert (await subscription(nimbus, "plugin:ears"))["lag"] == 2
            back = listener("ears", sink, "io.nimbus.**", "plugin.**", grants=())
            await serve_plugins(nimbus, back, plugin("hello", grants=PUBLISHER))
            (event,) = await sink.until(1)
            assert event["type"] == "plugin.hello.told"

            async def none_left() -> bool:
                return (await subscription(nimbus, "plugin:ears"))["lag"] == 0

            await eventually(none_left)
            assert len(sink.events) == 1

    async def test_what_was_queued_before_its_audience_was_noted_still_arrives(self, nimbus: Nimbus):
        async with open_sink() as sink:
            provider = listener("getter", sink, grants=())
            await serve_plugins(nimbus, provider.model_copy(update={"upstream": None}))
            async with nimbus.state.database.write() as session:
                for kind in (*sorted(ADDRESSED), "io.nimbus.media.created.v1"):
                    await emit_all(session, [NewEvent(kind, "sweep", to=("plugin:getter",))])
                await session.exec(sa.update(EventRow).values(addressed=sa.null()))
            assert (await subscription(nimbus, "plugin:getter"))["lag"] == len(ADDRESSED) + 1
            await serve_plugins(nimbus, provider)
            await sink.until(len(ADDRESSED))

            async def none_left() -> bool:
                return (await subscription(nimbus, "plugin:getter"))["lag"] == 0

            await eventually(none_left)
            assert [event["type"] for event in sink.events] == sorted(ADDRESSED)

    async def test_a_reason_with_a_nul_byte_is_kept(self, nimbus: Nimbus):
        async with nimbus.state.database.write() as session:
            session.add(SubscriberRow(name="webhook:x", patterns=["**"]))
            await emit_all(session, [NewEvent("plugin.a.b")])
        async with nimbus.state.database.write() as session:
            (pending,) = await queue.oldest(session, "webhook:x")
            await queue.failed(session, "webhook:x", pending, "bad \x00 \ud800 line", 0.5)
        assert (await subscription(nimbus, "webhook:x"))["lastError"] == "bad \u2400 ? line"

    async def test_several_workers_share_the_work_and_keep_the_order(self, database_url: str, tmp_path):
        async with (
            open_sink() as sink,
            running_nimbus(tmp_path, database_url) as one,
            running_nimbus(tmp_path, database_url) as two,
        ):
            for worker in (one, two):
                await serve_plugins(worker, listener("hello", sink, "io.nimbus.media.**"))
            for number in range(30):
                worker = (one, two)[number % 2]
                body = {**MEDIA, "title": str(number)}
                assert (await worker.plugin("hello").post("/core/v1/media", json=body)).status_code == 201
            events = await sink.until(30)
            assert [event["data"]["title"] for event in events] == [str(number) for number in range(30)]

    async def test_a_killed_workers_subscriber_is_taken_over(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        async with open_sink() as sink:
            await serve_plugins(nimbus, listener("hello", sink, "io.nimbus.media.**"))
            async with nimbus.state.database.write() as session:
                assert await queue.lease(session, "plugin:hello", "a worker that is dead")
                assert not await queue.lease(session, "plugin:hello", "another")
            await nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            monkeypatch.setattr(queue, "now", lambda: now() + timedelta(seconds=queue.LEASE_SECONDS + 1))
            assert len(await sink.until(1)) == 1


class TestReplay:
    async def test_one_a_range_or_all(self, nimbus: Nimbus):
        async with open_sink() as sink:
            await serve_plugins(nimbus, listener("hello", sink, "io.nimbus.media.**"))
            for number in range(3):
                await nimbus.plugin("hello").post("/core/v1/media", json={**MEDIA, "title": str(number)})
            first = [event["id"] for event in await sink.until(3)]
            admin = await nimbus.admin()
            path = "/api/admin/events/subscriptions/plugin:hello/replay"
            assert (await admin.post(path, json={"eventId": first[1]})).json() == {"queued": 1}
            assert (await admin.post(path, json={})).json() == {"queued": 3}
            before = {"until": "2020-01-01T00:00:00Z"}
            assert (await admin.post(path, json=before)).json() == {"queued": 0}
            recent = {"since": (now() - timedelta(minutes=1)).isoformat()}
            assert (await admin.post(path, json=recent)).json() == {"queued": 3}
            await sink.until(10)
            assert sink.ids == [*first, first[1], *first, *first]
            problem(await admin.post(path, json={"eventId": "nope"}), 404, "not-found")
            nobody = "/api/admin/events/subscriptions/plugin:nobody/replay"
            problem(await admin.post(nobody, json={}), 404, "not-found")
            audit = (await admin.get("/api/admin/audit", params={"action": "events.replay"})).json()["items"]
            assert len(audit) == 4

    async def test_what_was_addressed_to_another_stays_its_own(self, nimbus: Nimbus):
        async with open_sink() as sink, open_sink() as own:
            nosy = listener("nosy", sink, "**", grants=("downloads:*", "media:read"))
            provider = listener("getter", own, capabilities=["downloader"], grants=("downloads:*",))
            await serve_plugins(nimbus, nosy, provider)
            asked = await nimbus.plugin("nosy").post("/core/v1/downloads", json={"url": "https://files.test/a"})
            assert asked.status_code == 201
            await own.until(1)
            (created,) = await sink.until(1)
            assert created["type"] == "io.nimbus.download.created.v1"
            admin = await nimbus.admin()
            path = "/api/admin/events/subscriptions/plugin:{}/replay"
            assert (await admin.post(path.format("nosy"), json={})).json() == {"queued": 1}
            assert (await admin.post(path.format("nosy"), json={"eventId": own.ids[0]})).json() == {"queued": 0}
            assert (await admin.post(path.format("getter"), json={})).json() == {"queued": 1}
            await own.until(2)
            await sink.until(2)
            assert {event["type"] for event in sink.events} == {"io.nimbus.download.created.v1"}

    async def test_is_for_administrators(self, nimbus: Nimbus):
        user = await nimbus.user()
        for path in ("/api/admin/events", "/api/admin/events/subscriptions", "/api/admin/events/dead-letters"):
            problem(await user.get(path), 403, "forbidden")


class TestList:
    async def test_pages_and_types(self, nimbus: Nimbus):
        for number in range(3):
            await nimbus.plugin("hello").post("/core/v1/media", json={**MEDIA, "title": str(number)})
        admin = await nimbus.admin()
        wanted = {"type": "io.nimbus.media.", "limit": 2}
        first = (await admin.get("/api/admin/events", params=wanted)).json()
        rest = (await admin.get("/api/admin/events", params={**wanted, "cursor": first["next"]})).json()
        assert [item["data"]["title"] for item in first["items"] + rest["items"]] == ["2", "1", "0"]
        assert rest.get("next") is None
        assert (await admin.get("/api/admin/events", params={"type": "plugin."})).json()["items"] == []

    async def test_filters(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        begun = now()
        for title in ("Caf\u00e9 100%", 'The "Third" Man'):
            answer = await nimbus.plugin("hello").post("/core/v1/media", json={**MEDIA, "title": title})
            assert answer.status_code == 201
        async with nimbus.state.database.write() as session:
            await emit_all(
                session,
                [NewEvent("plugin.hello.greeted", source="/plugins/hello", subject="Ada Lovelace", data={"n": 1})],
            )

        async def found(**wanted: str) -> list[str]:
            answer = await admin.get("/api/admin/events", params=wanted)
            assert answer.status_code == 200, answer.text
            return [(item["data"] or {}).get("title") or item["subject"] for item in answer.json()["items"]]

        assert await found(source="/plugins/hello") == ["Ada Lovelace"]
        assert await found(source="/plugins/hell") == []
        assert await found(text="lovelace") == ["Ada Lovelace"]
        assert await found(text="caf\u00e9 100%") == ["Caf\u00e9 100%"]
        assert await found(text='"third"') == ['The "Third" Man']
        assert await found(text="100_") == []
        assert await found(text="GREETED", type="io.nimbus.") == []
        assert await found(since=begun.isoformat(), type="io.nimbus.media.") == ['The "Third" Man', "Caf\u00e9 100%"]
        assert await found(until=begun.isoformat(), type="io.nimbus.media.") == []
        problem(await admin.get("/api/admin/events", params={"since": "2026-11-27"}), 422, "validation")


class TestHousekeeping:
    async def test_old_events_and_forgotten_subscribers_go(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        async with nimbus.state.database.write() as session:
            session.add(SubscriberRow(name="plugin:removed", gone_since=now(), patterns=["**"]))
        async with nimbus.state.database.write() as session:
            await emit_all(session, [NewEvent("a.b"), NewEvent("a.c", to=("plugin:hello",))])
        monkeypatch.setattr(subscribers, "now", lambda: now() + timedelta(days=8))
        async with nimbus.state.database.write() as session:
            await cut_events(session, ["hello", "other", "asleep"])
        async with nimbus.state.database.read() as session:
            assert (await session.exec(select(EventRow))).all() == []
            assert (await session.exec(select(DeliveryRow))).all() == []
            names = [row.name for row in (await session.exec(select(SubscriberRow))).all()]
        assert "plugin:removed" not in names

    async def test_dead_letters_keep_their_event_for_longer(self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch):
        async with nimbus.state.database.write() as session:
            await emit_all(session, [NewEvent("a.b", to=("plugin:asleep",))])
        async with nimbus.state.database.write() as session:
            row = (await session.exec(select(DeliveryRow))).one()
            row.dead, row.failed_at = True, now()
            session.add(row)
        for days, left in ((8, 1), (31, 0)):
            monkeypatch.setattr(subscribers, "now", lambda days=days: now() + timedelta(days=days))
            async with nimbus.state.database.write() as session:
                await cut_events(session, None)
            async with nimbus.state.database.read() as session:
                assert len((await session.exec(select(EventRow).where(EventRow.type == "a.b"))).all()) == left
