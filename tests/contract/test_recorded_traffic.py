"""What released SDKs send is still understood, and answered as they expect: their recorded traffic, replayed.

`python -m tests.contract.wire.record` makes the recording of a release.
"""

import json
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from tests.contract.wire.record import media_type, readable
from tests.contract.wire.stage import Stage, staged
from tests.contract.wire.traffic import (
    FOLDER,
    PERSON,
    Exchange,
    differences,
    known,
    lacking,
    load,
    referring,
    resolved,
)
from tests.gateway.support import token_of

RECORDINGS = sorted(FOLDER.glob("sdk-*.json"))
AREAS = {"self", "config", "kv", "kv-usage", "media", "downloads", "logs", "events", "schedules", "plugins"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def replay(exchanges: list[Exchange], stage: Stage) -> list[str]:
    """Send what was recorded, in its order; returns where today's answers differ."""
    answers: list[tuple[Any, str | None]] = []
    found: list[str] = []
    async with httpx.AsyncClient(transport=stage.transport, base_url="http://core") as client:
        for number, exchange in enumerate(exchanges):
            path = "/".join(resolved(exchange.path, answers))
            body = resolved(exchange.body, answers)
            headers = resolved(exchange.headers, answers)
            answer = await client.request(
                exchange.method,
                path,
                params=resolved(exchange.query, answers) or None,
                headers={
                    **{name: stage.identity() if text == PERSON else text for name, text in headers.items()},
                    "Authorization": f"Bearer {token_of(exchange.plugin)}",
                },
                content=None if body is None else body if isinstance(body, str) else json.dumps(body),
            )
            today = readable(media_type(answer), answer.content)
            answers.append((today, answer.headers.get("etag")))
            wrong = differences(exchange, answer.status_code, media_type(answer), answers[-1][1], today)
            found += [f"{number}: {exchange.method} {path}: {one}" for one in wrong]
    return found


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda file: file.stem)
async def test_traffic_of_a_release_is_answered_as_it_was(recording: Path, tmp_path: Path) -> None:
    exchanges = load(recording)
    async with staged(tmp_path) as stage:
        assert await replay(exchanges, stage) == []


def test_there_is_a_recording_and_it_covers_every_area() -> None:
    assert RECORDINGS
    for file in RECORDINGS:
        exchanges = load(file)
        assert {exchange.path[3] for exchange in exchanges} == AREAS
        assert {exchange.status for exchange in exchanges} >= {200, 201, 202, 204, 403, 404, 409, 412, 422}
        assert not [text for text in file.read_text().split('"') if text.startswith(("token-of-", "Bearer", "eyJ"))]
        acting = {one.status for one in exchanges if one.headers.get("x-nimbus-on-behalf-of") == PERSON}
        assert acting == {201, 403}


class TestReplay:
    """What the comparison itself finds."""

    EXCHANGE: ClassVar = Exchange(
        "full", "GET", ["", "x"], {}, {}, None, 200, "application/json", '"1"', {"id": "0123456789abcdef", "n": 1}
    )

    def test_more_is_fine(self) -> None:
        today = {"id": "other", "n": 2.5, "new": True}
        assert differences(self.EXCHANGE, 200, "application/json", '"2"', today) == []

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            ((404, "application/json", '"1"', {"id": "", "n": 1}), "status 200 became 404"),
            ((200, "text/plain", '"1"', {"id": "", "n": 1}), "application/json became text/plain"),
            ((200, "application/json", None, {"id": "", "n": 1}), "ETag is gone"),
            ((200, "application/json", '"1"', {"id": ""}), "/n is gone"),
            ((200, "application/json", '"1"', {"id": 5, "n": 1}), "/id was a string and is a number"),
            ((200, "application/json", '"1"', []), "was an object and is a list"),
        ],
    )
    def test_less_or_other_is_not(self, answer: tuple[int, str, str | None, Any], words: str) -> None:
        assert any(words in one for one in differences(self.EXCHANGE, *answer))

    def test_problems_keep_their_type(self) -> None:
        said = {"type": "/problems/conflict", "status": 409}
        before = Exchange("full", "GET", [], {}, {}, None, 409, "application/problem+json", None, said)
        after = {"type": "/problems/other", "status": 409}
        (found,) = differences(before, 409, "application/problem+json", None, after)
        assert "became '/problems/other'" in found

    def test_lists(self) -> None:
        assert lacking([{"a": 1}], [{"a": 2}, {}]) == []
        assert lacking([{"a": 1}], []) == [" is empty"]
        assert lacking([], []) == []

    def test_references_follow_todays_ids(self) -> None:
        references = known([self.EXCHANGE])
        sent = referring({"of": "0123456789abcdef", "if": '"1"', "other": "x"}, references)
        assert sent == {"of": "{{0/id}}", "if": "{{0#etag}}", "other": "x"}
        today = resolved(sent, [({"id": "new"}, '"9"')])
        assert today == {"of": "new", "if": '"9"', "other": "x"}
        with pytest.raises(LookupError):
            resolved("{{0#etag}}", [({}, None)])
