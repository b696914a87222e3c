"""The kept output of the last image build or environment set-up of a plugin: one bounded file."""

import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from nimbus_sdk.contracts.control import LogLine

MAX_BYTES = 512 * 1024
MAX_LINE = 4096


class BuildLog:
    """Lines of a build, written as they come so that they survive the registry.

    Past `MAX_BYTES` the older half is dropped: what matters of a failed build is its end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: deque[str] = deque()
        self._size = 0
        self._number = 0

    def begin(self) -> None:
        """Start a new log in place of the last one."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.write_text("", encoding="utf-8")
        self._lines.clear()
        self._size = 0
        self._number = 0

    def add(self, text: str) -> None:
        """Append one line."""
        self._number += 1
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        record = json.dumps({"n": self._number, "at": at, "text": text[:MAX_LINE]}) + "\n"
        self._lines.append(record)
        self._size += len(record)
        if self._size <= MAX_BYTES:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(record)
            return
        while self._size > MAX_BYTES // 2:
            self._size -= len(self._lines.popleft())
        self._path.write_text("".join(self._lines), encoding="utf-8")

    def tail(self, count: int) -> list[str]:
        """The last lines of the build that this object logs."""
        return [str(json.loads(record)["text"]) for record in list(self._lines)[-count:]]


def read_build_log(path: Path) -> list[LogLine]:
    """Every kept line of a build log, oldest first; empty when there was no build."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    lines: list[LogLine] = []
    for record in text.splitlines():
        try:
            entry = json.loads(record)
        except ValueError:  # a line cut by a kill
            continue
        lines.append(LogLine(cursor=f"build:{entry['n']}", at=entry["at"], stream="build", text=entry["text"]))
    return lines
