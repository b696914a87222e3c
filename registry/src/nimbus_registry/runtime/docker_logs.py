"""What containers print: the engine's log stream taken apart."""

import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

import docker
from nimbus_sdk.contracts.control import LogLine

from nimbus_registry.runtime.docker_engine import raise_for_status

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_MAX_LINE = 16 * 1024


class _Readable(Protocol):
    def read(self, amount: int, /) -> bytes: ...


def container_log(
    api: docker.APIClient, container: str, *, tail: int | None, follow: bool, since: str | None = None
) -> Iterator[LogLine]:
    """Lines of a container's log.

    Args:
        api: the client; with `follow` one of its own.
        container: id of the container.
        tail: how many old lines at most; None for all.
        follow: whether to go on with new lines until it ends.
        since: only lines after this time of the engine (as in `LogLine.at`).

    Raises:
        APIError: there is no such container.
    """
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/logs"
    params: dict[str, str | int] = {
        "stdout": 1,
        "stderr": 1,
        "timestamps": 1,
        "follow": int(follow),
        "tail": "all" if tail is None else tail,
    }
    if since is not None:
        params["since"] = int(datetime.fromisoformat(f"{since[:19]}+00:00").timestamp())
    with api.get(url, params=params, stream=True, timeout=None if follow else api.timeout) as response:
        raise_for_status(response)
        for line in read_lines(response.raw, container[:12]):
            if since is None or (line.at or "") > since:
                yield line


def read_lines(raw: _Readable, run: str) -> Iterator[LogLine]:
    """Lines of the engine's multiplexed stream: frames of a stream's number, a length and the text."""
    while len(header := _read(raw, _HEADER.size)) == _HEADER.size:
        stream, length = _HEADER.unpack(header)
        at, _, text = _read(raw, length).partition(b" ")
        when = at.decode("ascii", "replace")
        yield LogLine(
            cursor=f"{run}:{when}",
            at=when,
            stream="stderr" if stream == _STDERR else "stdout",
            text=text.rstrip(b"\r\n")[:_MAX_LINE].decode("utf-8", "replace"),
        )


def _read(raw: _Readable, amount: int) -> bytes:
    data = b""
    while len(data) < amount:
        more = raw.read(amount - len(data))
        if not more:
            break
        data += more
    return data
