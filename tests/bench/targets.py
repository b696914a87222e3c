"""What is measured: something that answers on a port, and the check that it does what it should."""

from dataclasses import dataclass, field

import httpx

from tests.bench.configs import KEY_HEADER
from tests.bench.errors import BenchError
from tests.bench.processes import Process


@dataclass(frozen=True, slots=True)
class Target:
    """One proxy, or the upstream itself.

    Attributes:
        name: as figures and tables call it.
        port: where it listens, on `host`.
        key: the API key it wants; empty for the upstream itself.
        running: its process; None where its CPU time and memory are of no interest.
        direct: the upstream itself, without the prefix.
    """

    name: str
    port: int
    key: str
    running: Process | None = field(default=None, compare=False)
    direct: bool = False
    host: str = "127.0.0.1"

    def url(self, plugin: str, path: str) -> str:
        """The address of a plugin's path through this target."""
        prefix = "" if self.direct else f"/api/plugins/{plugin}"
        return f"http://{self.host}:{self.port}{prefix}{path}"

    def headers(self) -> dict[str, str]:
        """What a client sends."""
        return {KEY_HEADER: self.key} if self.key else {}


def check(target: Target, plugin: str, path: str, expected: bytes | None = None) -> None:
    """Ask once with the key and once without.

    Raises:
        BenchError: the answer is not what the upstream holds, or a stranger gets in.
    """
    url = target.url(plugin, path)
    with httpx.Client(timeout=20, trust_env=False) as client:
        answer = client.get(url, headers=target.headers())
        if answer.status_code != 200 or (expected is not None and answer.content != expected):
            raise BenchError(f"{target.name}: {url} answered {answer.status_code}, {len(answer.content)} bytes")
        if target.key:
            stranger = client.get(url)
            if stranger.status_code != 401:
                raise BenchError(f"{target.name}: {url} answered {stranger.status_code} to a caller without a key")
