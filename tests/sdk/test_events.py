"""Events and schedules as a plugin sees them: patterns, handlers, what is answered to the platform."""

import asyncio
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_sdk import Event, Media, NotReady, PermissionMissing, Plugin, Settings, ValidationFailed
from nimbus_sdk.contracts.events import event_matches
from nimbus_sdk.contracts.manifest import EventsSection
from nimbus_sdk.errors import ManifestError, RoutesDisagree
from nimbus_sdk.events import check_pattern, withheld
from nimbus_sdk.testing import PluginTestClient
from pydantic import BaseModel

from tests.sdk.conftest import MakePlugin

SUBSCRIBED = {"events": {"subscribe": ["io.nimbus.media.**", "plugin.other.*"]}}


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "event_type", "fits"),
        [
            ("io.nimbus.media.created.v1", "io.nimbus.media.created.v1", True),
            ("io.nimbus.media.*.v1", "io.nimbus.media.created.v1", True),
            ("io.nimbus.media.*", "io.nimbus.media.created.v1", False),
            ("io.nimbus.media.**", "io.nimbus.media.created.v1", True),
            ("io.nimbus.media.**", "io.nimbus.media", True),
            ("io.**.v1", "io.nimbus.media.created.v1", True),
            ("io.**.v1", "io.v1", True),
            ("**.created.v1", "created.v1", True),
            ("**.created.**", "io.created.created.v1", True),
            ("**", "anything", True),
            ("*", "two.segments", False),
            ("io.nimbus.media.created.v1", "io.nimbus.media.createdXv1", False),
        ],
    )
    def test_star_is_one_segment_and_two_stars_any_number(self, pattern: str, event_type: str, fits: bool) -> None:
        assert event_matches(pattern, event_type) is fits

    @pytest.mark.parametrize("pattern", ["", ".", "io..x", "io.*x", "io.***", "io.x y"])
    def test_malformed_ones_are_refused(self, pattern: str) -> None:
        with pytest.raises(ValueError, match="segment"):
            check_pattern(pattern)


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=7),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=7),
)
def test_a_pattern_takes_what_it_stands_for(pattern: list[str], segments: list[str]):
    def stands_for(wanted: list[str], rest: list[str]) -> bool:
        if not wanted:
            return not rest
        if wanted[0] == "**":
            return any(stands_for(wanted[1:], rest[count:]) for count in range(len(rest) + 1))
        return bool(rest) and wanted[0] in {"*", rest[0]} and stands_for(wanted[1:], rest[1:])

    assert event_matches(".".join(pattern), ".".join(segments)) is stands_for(pattern, segments)


@pytest.mark.parametrize(
    ("pattern", "event_type"),
    [
        (["**", "a"] * 7 + ["**", "c"], ["plugin", *["a"] * 14, "b"]),
        (["**", *["a"] * 14, "c"], ["plugin", *["a"] * 14, "b"]),
        (["**", *["a"] * 7, "c"], ["plugin", *["a"] * 14, "b"]),
        (["**", "a"] * 40 + ["c"], ["plugin", *["a"] * 90, "b"]),
        (["**", *["a"] * 48], ["plugin", *["a"] * 95, "b"]),
    ],
)
def test_no_pattern_takes_long(pattern: list[str], event_type: list[str]):
    """One publisher with such a subscription would else hold up everybody."""
    kinds = [".".join([*event_type[:-1], f"b{number}"]) for number in range(1000)]
    begun = time.process_time()
    assert not any(event_matches(".".join(pattern), kind) for kind in kinds)
    assert time.process_time() - begun < 0.1


def test_nothing_with_too_many_segments_matches_or_is_taken_anew():
    most, more = ".".join(["a"] * 16), ".".join(["a"] * 17)
    assert event_matches(most, most)
    assert event_matches("**", most)
    for pattern, event_type in ((more, more), ("**", more), ("**." + most, most)):
        assert not event_matches(pattern, event_type)
    assert check_pattern(most) == most
    with pytest.raises(ValueError, match="at most 16 segments"):
        check_pattern(more)
    assert EventsSection(subscribe=[more]).subscribe == [more]  # as it may be installed


class Change(BaseModel):
    title: str


class TestHandlers:
    def test_a_handler_gets_the_event_and_what_it_asks_for(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin(**SUBSCRIBED)
        seen: list[object] = []

        class Mine(Settings):
            limit: int = 3

        @plugin.on("io.nimbus.media.created.v1")
        async def added(event: Event, data: Change, media: Media, settings: Mine, log) -> None:
            seen.append((event.subject, data.title, len([item async for item in media.iterate()]), settings.limit))

        @plugin.on("io.nimbus.media.*.v1")
        def any_change(event) -> None:
            seen.append(event.type)

        with PluginTestClient(plugin) as client:
            client.core.media.add("movie", "Metropolis")
            client.deliver("io.nimbus.media.created.v1", {"title": "Metropolis", "new": 1}, subject="m1")
            client.deliver("io.nimbus.media.deleted.v1", {"title": "Metropolis"})
        assert seen == [("m1", "Metropolis", 1, 3), "io.nimbus.media.created.v1", "io.nimbus.media.deleted.v1"]

    def test_an_event_that_no_handler_wants_is_done(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin(**SUBSCRIBED)
        seen: list[str] = []

        @plugin.on("plugin.other.*")
        def other(event) -> None:
            seen.append(event.type)

        with PluginTestClient(plugin) as client:
            client.deliver("io.nimbus.media.created.v1")
            client.deliver("plugin.other.done")
        assert seen == ["plugin.other.done"]

    def test_a_plugin_without_handlers_is_gone(self, make_plugin: MakePlugin) -> None:
        with PluginTestClient(make_plugin(**SUBSCRIBED)) as client, pytest.raises(AssertionError, match="410"):
            client.deliver("io.nimbus.media.created.v1")

    @pytest.mark.parametrize(
        ("error", "status"), [(NotReady("the disk is full"), 503), (RuntimeError("the disk is full"), 500)]
    )
    def test_what_fails_is_delivered_again_and_what_was_done_is_not_repeated(
        self, make_plugin: MakePlugin, error: Exception, status: int
    ) -> None:
        plugin = make_plugin(**SUBSCRIBED)
        seen: list[str] = []

        @plugin.on("io.nimbus.**")
        def first() -> None:
            seen.append("first")

        @plugin.on("io.nimbus.**")
        def second() -> None:
            seen.append("second")
            if len(seen) < 3:
                raise error

        plugin.manifest.events.subscribe.append("io.nimbus.**")
        with PluginTestClient(plugin) as client:
            with pytest.raises(AssertionError, match=rf"{status}.*the disk is full"):
                client.deliver("io.nimbus.media.created.v1", event_id="e1")
            client.deliver("io.nimbus.media.created.v1", event_id="e1")
            assert seen == ["first", "second", "second"]
            client.deliver("io.nimbus.media.created.v1", event_id="e1")  # replayed: everything runs again
        assert seen == ["first", "second", "second", "first", "second"]

    def test_data_that_does_not_fit_fails_with_its_place(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin(**SUBSCRIBED)

        @plugin.on("io.nimbus.media.**")
        def added(data: Change) -> None:
            raise AssertionError(data)

        with PluginTestClient(plugin) as client, pytest.raises(AssertionError, match="title"):
            client.deliver("io.nimbus.media.created.v1", {"name": "x"})

    def test_a_second_delivery_waits_for_the_first_run(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin(**SUBSCRIBED)
        runs: list[str] = []
        ended = asyncio.Event()

        @plugin.on("io.nimbus.media.**")
        async def slow(event: Event) -> None:
            runs.append(event.id)
            await ended.wait()

        async def both() -> None:
            event = Event(id="e1", source="/core", type="io.nimbus.media.created.v1", time=datetime.now(UTC))
            deliver = plugin.server.events.deliver
            first = asyncio.create_task(deliver(event))
            with pytest.raises(TimeoutError):  # the platform gives up; the run goes on
                await asyncio.wait_for(deliver(event), 0.02)
            ended.set()
            await asyncio.gather(first, deliver(event))

        with PluginTestClient(plugin) as client:
            client.call(both)
        assert runs == ["e1"]

    @pytest.mark.parametrize(
        ("content", "status"),
        [(b"", 422), (b"{}", 422), (b'{"id":"1","source":"/c","type":"a b"}', 422), (b"x" * 1_100_000, 413)],
    )
    def test_what_is_no_event_is_refused(self, make_plugin: MakePlugin, content: bytes, status: int) -> None:
        with PluginTestClient(make_plugin()) as client:
            assert client.as_platform().post("/_nimbus/events", content=content).status_code == status
            assert client.as_user(role="admin").post("/_nimbus/events", content=content).status_code == 403


class TestJobs:
    def test_a_job_runs_when_its_time_has_come(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin(schedules=[{"id": "nightly-sweep", "cron": "0 3 * * *"}])
        seen: list[object] = []

        @plugin.every("0 3 * * *")
        async def nightly_sweep(event: Event, log) -> None:
            seen.append(event.data["schedule"])

        with PluginTestClient(plugin) as client:
            client.fire("nightly-sweep")
            with pytest.raises(AssertionError, match="410"):
                client.fire("another")
        assert seen == ["nightly-sweep"]

    def test_one_function_for_each_schedule(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()
        plugin.every("0 3 * * *", schedule="sweep")(lambda: None)
        with pytest.raises(ManifestError, match="sweep"):
            plugin.every("0 4 * * *", schedule="sweep")(lambda: None)


class TestManifest:
    def start(self, plugin: Plugin) -> str:
        with pytest.raises(RoutesDisagree) as caught, PluginTestClient(plugin):
            pytest.fail("it started")
        return str(caught.value)

    def test_what_is_not_subscribed_to_is_said(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()

        @plugin.on("io.nimbus.media.*.v1")
        def added() -> None:
            """Never called."""

        assert 'add "io.nimbus.media.*.v1" to its events.subscribe' in self.start(plugin)

    def test_a_job_must_have_its_schedule(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin(schedules=[{"id": "other", "cron": "0 3 * * *"}])

        @plugin.every("0 3 * * *", timezone="Europe/Berlin")
        def sweep() -> None:
            """Never called."""

        @plugin.every("0 4 * * *")
        def other() -> None:
            """Never called."""

        said = self.start(plugin)
        assert '{ "id": "sweep", "cron": "0 3 * * *", "timezone": "Europe/Berlin" }' in said
        assert "'0 4 * * *' (UTC) in the code and '0 3 * * *' (UTC) in the manifest" in said

    def test_a_malformed_pattern_is_refused_at_once(self, make_plugin: MakePlugin) -> None:
        with pytest.raises(ValueError, match="segment"):
            make_plugin().on("io..media")

    def test_a_handler_that_wants_what_nobody_has_is_refused(self, make_plugin: MakePlugin) -> None:
        with pytest.raises(TypeError, match="'thing'"):

            @make_plugin().on("io.nimbus.**")
            def added(thing) -> None:
                """Never called."""


@pytest.mark.parametrize(
    ("pattern", "permissions", "lacks"),
    [
        ("io.nimbus.media.*.v1", [], "media:read"),
        ("io.nimbus.media.*.v1", ["media:read"], None),
        ("io.nimbus.download.**", ["downloads:*"], None),
        ("io.nimbus.download.**", ["media:read"], "downloads:read"),
        ("io.nimbus.plugin.state-changed.v1", ["plugins:read"], None),
        ("io.nimbus.plugin.state-changed.v1", [], "plugins:read"),
        ("io.nimbus.user.*.v1", ["media:read"], "users:read"),
        ("plugin.**", [], None),
    ],
)
def test_events_that_are_kept_back_are_named(pattern: str, permissions: list[str], lacks: str | None) -> None:
    said = withheld([pattern], permissions)
    assert (lacks in said[0]) if lacks else (said == [])


class TestPublishing:
    def test_what_a_plugin_publishes_is_there_once(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin(permissions=["events:publish"], events={"publish": ["plugin.sample.*"]})

        @plugin.get("/open")
        async def tell(events) -> list[str]:
            return [await events.publish("plugin.sample.done", {"n": n}, event_id="one") for n in range(2)]

        with PluginTestClient(plugin) as client:
            assert client.anonymous().get("/open").json() == ["one", "one"]
            [event] = client.core.events.of("plugin.sample.done")
            assert (event.data, event.id) == ({"n": 0}, "one")

    @pytest.mark.parametrize("event_type", ["io.nimbus.media.created.v1", "plugin.other.done", "plugin.sample.a.b"])
    def test_other_types_are_refused(self, make_plugin: MakePlugin, event_type: str) -> None:
        plugin = make_plugin(permissions=["events:publish"], events={"publish": ["plugin.sample.*"]})
        with PluginTestClient(plugin) as client, pytest.raises(ValidationFailed) as caught:
            client.call(lambda: plugin.core.events.publish(event_type))
        assert caught.value.errors[0].path == "/events/0/type"

    def test_it_needs_the_permission(self, make_plugin: MakePlugin) -> None:
        plugin = make_plugin()
        with PluginTestClient(plugin) as client, pytest.raises(PermissionMissing, match="events:publish"):
            client.call(lambda: plugin.core.events.publish("plugin.sample.done"))
