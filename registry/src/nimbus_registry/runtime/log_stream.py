"""Putting a plugin's log together: the lines of its last build, then what it prints."""

from pathlib import Path

from nimbus_sdk.contracts.control import LogLine

from nimbus_registry.runtime.build_log import read_build_log

FOLLOW_SECONDS = 0.15
"""How often a followed log is looked at."""

MAX_TAIL = 10_000


class BuildLogFollower:
    """New lines of a build log since the last look, also when another build starts it anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._last: LogLine | None = None

    def fresh(self) -> list[LogLine]:
        """Lines that were not there at the last call; all of them at the first."""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return []
        now = (facts.st_mtime_ns, facts.st_size)
        if now == self._seen:
            return []
        self._seen = now
        lines = read_build_log(self._path)
        fresh = lines
        if self._last is not None:
            position = next((index for index, line in enumerate(lines) if line == self._last), None)
            fresh = lines if position is None else lines[position + 1 :]
        if lines:
            self._last = lines[-1]
        return fresh
