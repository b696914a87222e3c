"""`python -m tests.contract.wire.record` records the traffic of the SDK as it is, against the gateway as it is.

Done once for a release, when its version has been set: the file that it writes is named for the version and stays
for ever, since plugins with that SDK do. A file that is there is not written again, because what it holds has been
published. `tests/contract/test_recorded_traffic.py` replays every file.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
from nimbus_sdk import Core, __version__

from tests.contract.wire.scenario import everything
from tests.contract.wire.stage import BARE, FULL, Stage, staged
from tests.contract.wire.traffic import FOLDER, SENT, Exchange, known, referring, store
from tests.gateway.support import token_of


class Recorder(httpx.AsyncBaseTransport):
    """Passes requests on and keeps them with their answers."""

    def __init__(self, plugin: str, stage: Stage, kept: list[Exchange]) -> None:
        self._plugin, self._stage, self._kept = plugin, stage, kept

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        references = known(self._kept) | self._stage.issued
        body = await request.aread()
        answer = await self._stage.transport.handle_async_request(request)
        content = await answer.aread()
        segments = request.url.raw_path.decode("ascii").partition("?")[0].split("/")
        self._kept.append(
            Exchange(
                plugin=self._plugin,
                method=request.method,
                path=[references.get(unquote(segment), segment) for segment in segments],
                query=referring(dict(parse_qsl(request.url.query.decode("ascii"))), references),
                headers=referring({key: value for key, value in request.headers.items() if key in SENT}, references),
                body=referring(readable(request.headers.get("content-type"), body), references),
                status=answer.status_code,
                content_type=media_type(answer),
                etag=answer.headers.get("etag"),
                answer=readable(media_type(answer), content),
            )
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


def media_type(answer: httpx.Response) -> str | None:
    """The type of an answer, without parameters."""
    return answer.headers.get("content-type", "").partition(";")[0] or None


def readable(content_type: str | None, content: bytes) -> Any:
    """JSON parsed, anything else as text, and nothing as None."""
    if not content:
        return None
    kind = (content_type or "").partition(";")[0]
    return json.loads(content) if kind.endswith("json") and "ndjson" not in kind else content.decode()


async def recorded() -> list[Exchange]:
    """The traffic of the scenario."""
    kept: list[Exchange] = []
    with tempfile.TemporaryDirectory() as folder:
        async with staged(Path(folder)) as stage:
            full = Core("http://core", token_of(FULL), transport=Recorder(FULL, stage, kept))
            bare = Core("http://core", token_of(BARE), transport=Recorder(BARE, stage, kept))
            await everything(full, bare, stage.identity)
            await full.aclose()
            await bare.aclose()
    return kept


def main() -> None:
    """Record the release, unless that was done."""
    file = FOLDER / f"sdk-{__version__}.json"
    if file.exists():
        sys.exit(f"{file} is there: release {__version__} was recorded. Set the next version in sdk/ first.")
    exchanges = asyncio.run(recorded())
    store(file, __version__, exchanges)
    print(f"{file.name}: {len(exchanges)} exchanges")  # noqa: T201 - a script's result


if __name__ == "__main__":
    main()
