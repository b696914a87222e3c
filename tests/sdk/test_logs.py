"""Log lines: what is printed, what is sent, what is dropped."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator, Sequence

import pytest
from nimbus_sdk import logs
from nimbus_sdk.contracts.core_api import LogEntry
from nimbus_sdk.errors import Unavailable
from nimbus_sdk.logs import PluginLogHandler, logger

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def handler(out: io.StringIO) -> Iterator[PluginLogHandler]:
    handler = PluginLogHandler(out)
    names = ("plugin", "library")
    for name in names:
        log = logging.getLogger(name)
        log.addHandler(handler)
        log.setLevel("INFO")
        log.propagate = False
    yield handler
    for name in names:
        log = logging.getLogger(name)
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
        log.propagate = True


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_fields_travel_with_the_line(handler: PluginLogHandler, out: io.StringIO) -> None:
    log = logger().bind(job=7)
    log.info("100% done", name="a", message_id=None, path=object)
    log.debug("not shown")
    [line] = lines(out)
    assert (line["level"], line["message"], line["job"], line["name"]) == ("info", "100% done", 7, "a")
    assert "object" in str(line["path"])


def test_a_field_hides_nothing_of_its_line(handler: PluginLogHandler, out: io.StringIO) -> None:
    """Printed and sent alike, or the platform would show them as two lines."""
    logger().info("done", at="noon", level=3, message="m", n=1)
    (line,) = lines(out)
    assert (line["level"], line["message"], str(line["at"])[:2]) == ("info", "done", "20")
    assert {name: line[name] for name in ("at_", "level_", "message_", "n")} == {
        "at_": "noon",
        "level_": 3,
        "message_": "m",
        "n": 1,
    }


def test_an_exception_brings_its_traceback(handler: PluginLogHandler, out: io.StringIO) -> None:
    try:
        {}["lost"]
    except KeyError:
        logger().exception("failed")
    [line] = lines(out)
    assert line["level"] == "error"
    assert "KeyError: 'lost'" in str(line["exception"])


def test_a_line_is_one_line(handler: PluginLogHandler, out: io.StringIO) -> None:
    logger().info("a\nb\r\x1b[31mc", more="d\ne")
    assert len(out.getvalue().splitlines()) == 1
    assert "\x1b" not in out.getvalue()


def test_libraries_end_in_the_same_place(handler: PluginLogHandler, out: io.StringIO) -> None:
    logging.getLogger("library").warning("took %s s", 3, extra={"host": "x"})
    [line] = lines(out)
    assert (line["message"], line["logger"], line["host"]) == ("took 3 s", "library", "x")


async def test_lines_are_sent_in_batches_and_at_the_end(
    handler: PluginLogHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(logs, "BATCH_LINES", 2)
    sent: list[list[str]] = []
    arrived = asyncio.Event()

    async def send(entries: Sequence[LogEntry]) -> None:
        sent.append([entry.message for entry in entries])
        arrived.set()

    logger().info("before there was a core")
    task = asyncio.create_task(handler.ship(send))
    await asyncio.sleep(0)
    for number in range(5):
        logger().info(f"{number}")
    async with asyncio.timeout(5):
        await arrived.wait()
    logger().info("last")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [message for batch in sent for message in batch] == ["0", "1", "2", "3", "4", "last"]
    assert max(map(len, sent)) == 2


async def test_a_slow_core_costs_lines_and_never_waits(
    handler: PluginLogHandler, out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "QUEUE_LINES", 3)
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0.01)
    failed = asyncio.Event()
    sent: list[str] = []
    state = {"down": True}

    async def send(entries: Sequence[LogEntry]) -> None:
        if state["down"]:
            failed.set()
            raise Unavailable("away")
        sent.extend(entry.message for entry in entries)

    task = asyncio.create_task(handler.ship(send))
    await asyncio.sleep(0)
    for number in range(5):
        logger().info(f"{number}")
    async with asyncio.timeout(5):
        await failed.wait()
    state["down"] = False
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sent == ["0", "1", "2", "2 log lines were dropped: the core was too slow"]
    assert len(lines(out)) == 5
