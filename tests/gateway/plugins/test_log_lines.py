"""Lines of a plugin's log: their level, the same entry on two ways, what somebody looks for, the file."""

import re

import pytest
from nimbus_gateway.plugins.log_lines import LogFilter, merged, position_after, printed_line
from nimbus_sdk.contracts.control import LogLine

from tests.gateway.support import Nimbus, problem


def printed(text: str, *, stream: str = "stdout", at: str = "2026-01-01T00:00:00Z", cursor: str = "p") -> LogLine:
    return printed_line(LogLine(cursor=cursor, at=at, stream=stream, text=text))


ENTRY = '{"at": "2026-01-01T00:00:00.250000+00:00", "level": "warning", "message": "slow", "items": 3}'


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("INFO:     Uvicorn running on http://0.0.0.0:8000", "info"),
        ("2026-01-01 12:00:00,000 ERROR app: it broke", "error"),
        ("[warn] deprecated", "warning"),
        ("time=2026 level=error msg=broken", "error"),
        ('{"level":"fatal","msg":"gone"}', "critical"),
        ("error: no such file", "error"),
        ("the page about errors was shown", None),
        ("no info here", None),
        ("plain", None),
        (ENTRY, "warning"),
    ],
)
def test_the_level_of_a_line(text: str, level: str | None) -> None:
    assert printed(text).level == level


def test_an_entry_of_the_sdk_reads_as_it_does_from_the_core() -> None:
    line = printed(ENTRY)
    assert line.text == "WARNING slow items=3"
    assert line.at == "2026-01-01T00:00:00.250000Z"


def test_an_entry_whose_clock_is_wrong_is_told_by_when_it_was_printed() -> None:
    """Else what is printed after it would sort before it, and who comes back to it would not see that."""
    wrong = '{"at": "2100-01-01T00:00:00", "level": "info", "message": "later"}'
    lines = [
        printed(wrong, cursor="a", at="2026-01-01T00:00:00Z"),
        printed("x", cursor="b", at="2026-01-01T00:00:01Z"),
    ]
    assert lines[0].at == "2026-01-01T00:00:00Z"
    assert [line.cursor for line in merged(lines, [], 10)] == ["a", "b"]


def test_the_same_entry_on_both_ways_is_shown_once() -> None:
    sent = LogLine(
        cursor="core-1",
        at="2026-01-01T00:00:00.250Z",
        stream="platform",
        text="WARNING slow items=3",
        level="warning",
    )
    other = printed("INFO: plain", cursor="q", at="2026-01-01T00:00:01Z")
    assert [line.cursor for line in merged([printed(ENTRY), other], [sent], 10)] == ["core-1", "q"]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (LogFilter(), ["debug", "plain", "stderr", "error"]),
        (LogFilter(level="info"), ["plain", "stderr", "error"]),
        (LogFilter(level="warning"), ["stderr", "error"]),
        (LogFilter(level="critical"), []),
        (LogFilter(text="TRACE"), ["stderr"]),
        (LogFilter(level="error", text="broke"), ["error"]),
    ],
)
def test_what_passes_a_filter(wanted: LogFilter, shown: list[str]) -> None:
    lines = [
        printed("DEBUG details", cursor="debug"),
        printed("something happened", cursor="plain"),
        printed("Traceback of it", stream="stderr", cursor="stderr"),
        printed("ERROR it broke", cursor="error"),
    ]
    assert [line.cursor for line in lines if wanted.passes(line)] == shown


def test_where_what_follows_begins() -> None:
    entry = '{"at": "2026-01-01T00:00:01Z", "level": "info", "message": "hello"}'
    both_ways = [printed("first", cursor="a"), printed_line(printed(entry, cursor="b"))]
    shown = [both_ways[0], both_ways[1].model_copy(update={"cursor": "core-7"})]
    assert position_after("a", shown, both_ways) == 1
    assert position_after("b", shown, both_ways) == 2  # it is there by its other way
    assert position_after("c", shown, both_ways) is None


@pytest.mark.anyio
@pytest.mark.slow
class TestLogs:
    async def lines(self, nimbus: Nimbus, *, seen: str | None = None, **params: str) -> list[str]:
        headers = {} if seen is None else {"Last-Event-ID": seen}
        answer = await (await nimbus.admin()).get("/api/admin/plugins/hello/logs", params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        found = [part.removeprefix("id: ") for part in answer.text.split("\n") if part.startswith("id: ")]
        return [
            re.sub(r"^core-\d+$", "core-row", cursor) for cursor in found
        ]  # the row's id is the database's choice

    async def fill(self, nimbus: Nimbus) -> None:
        nimbus.registry.lines = [
            LogLine(cursor="a", at="2026-01-01T00:00:00Z", stream="stdout", text="DEBUG early"),
            LogLine(cursor="b", at="2026-01-01T00:00:01Z", stream="stderr", text="ERROR it broke"),
            *(LogLine(cursor=f"n{n}", at="2026-01-01T00:00:02Z", stream="stdout", text="noise") for n in range(20)),
        ]
        entries = [{"message": "it broke again", "at": "2026-01-01T00:00:03Z", "level": "error"}]
        await nimbus.plugin("hello").post("/core/v1/logs", json={"entries": entries})

    async def test_the_newest_that_match_however_many_others_came_since(self, nimbus: Nimbus) -> None:
        await self.fill(nimbus)
        assert (await self.lines(nimbus, level="error", tail="5")) == ["b", "core-row"]
        assert (await self.lines(nimbus, q="BROKE AGAIN")) == ["core-row"]
        assert len(await self.lines(nimbus, tail="5")) == 5

    async def test_an_unknown_level_is_refused(self, nimbus: Nimbus) -> None:
        answer = await (await nimbus.admin()).get("/api/admin/plugins/hello/logs", params={"level": "loud"})
        problem(answer, 422, "validation")

    async def test_as_a_file(self, nimbus: Nimbus) -> None:
        await self.fill(nimbus)
        answer = await (await nimbus.admin()).get("/api/admin/plugins/hello/logs/download", params={"level": "error"})
        assert answer.headers["content-disposition"] == 'attachment; filename="hello.log"'
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text.splitlines() == [
            "2026-01-01T00:00:01Z stderr ERROR it broke",
            "2026-01-01T00:00:03Z platform ERROR it broke again",
        ]

    async def test_all_of_it_as_a_file(self, nimbus: Nimbus) -> None:
        await self.fill(nimbus)
        answer = await (await nimbus.admin()).get("/api/admin/plugins/hello/logs/download")
        assert (answer.status_code, len(answer.text.splitlines())) == (200, 23)

    async def test_who_comes_back_gets_all_that_follows(self, nimbus: Nimbus) -> None:
        """A browser asks again by the same address; what came meanwhile may be more than it began with."""
        await self.fill(nimbus)
        resumed = await self.lines(nimbus, seen="b", tail="2")
        assert resumed == [*(f"n{n}" for n in range(20)), "core-row"]
        assert await self.lines(nimbus, seen="b", tail="2", q="again") == ["core-row"]
        assert await self.lines(nimbus, seen="forgotten", tail="2") == ["n19", "core-row"]

    async def test_who_comes_back_and_cannot_set_a_header(self, nimbus: Nimbus) -> None:
        await self.fill(nimbus)
        assert await self.lines(nimbus, after="b", tail="2") == [*(f"n{n}" for n in range(20)), "core-row"]
        assert await self.lines(nimbus, after="b", seen="n18") == ["n19", "core-row"]  # the browser's own is later
        assert await self.lines(nimbus, after="forgotten", tail="2") == ["n19", "core-row"]

    async def test_the_file_is_for_administrators(self, nimbus: Nimbus) -> None:
        problem(await (await nimbus.user()).get("/api/admin/plugins/hello/logs/download"), 403, "forbidden")
