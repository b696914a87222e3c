"""What is told of a failure: the plugin's own last lines, and each thing once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.failing import last_lines
from nimbus_sdk.contracts.control import LogLine

pytestmark = pytest.mark.anyio


class Logs:
    """A runtime of which only the log is asked for."""

    def __init__(self, *lines: tuple[str, str]) -> None:
        self._lines = lines

    async def logs(self, plugin_id: str, *, tail: int, follow: bool, slot: int | None) -> AsyncIterator[LogLine]:
        assert (plugin_id, tail, follow, slot) == ("hello", reasons.TAIL_LINES, False, None)
        for number, (stream, text) in enumerate(self._lines):
            yield LogLine.model_validate({"cursor": str(number), "stream": stream, "text": text})


async def test_lines_of_the_build_do_not_crowd_out_the_plugins_own() -> None:
    runtime: Any = Logs(("build", "Step 1/6"), ("build", "Successfully built"), ("stdout", "hm"), ("stderr", "no"))
    assert await last_lines(runtime, "hello") == ["hm", "no"]


async def test_before_it_printed_they_are_all_there_is() -> None:
    runtime: Any = Logs(("build", "Step 1/6"), ("build", "No such file"))
    assert await last_lines(runtime, "hello") == ["Step 1/6", "No such file"]


def test_what_a_hook_answered_is_said_once() -> None:
    answered = "POST /_nimbus/lifecycle answered 500"
    for detail, end in ((f"{answered}: ", "."), (f"{answered}: no key", ". no key"), ("no key", ". no key")):
        found = reasons.init_failed(500, detail)
        assert found.message == f"The plugin's hook for the event enabled failed: {answered}{end}"
