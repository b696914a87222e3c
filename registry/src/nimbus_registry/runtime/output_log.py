"""Reading what a plugin printed: the files that the keeper writes."""

import os
from collections import deque
from pathlib import Path
from typing import IO

from nimbus_sdk.contracts.control import LogLine

_STREAMS = {b"o": "stdout", b"e": "stderr", b"p": "platform"}
_BLOCK = 64 * 1024


def parse_line(record: bytes, cursor: str) -> LogLine | None:
    """A line of the keeper's file, or None when it is cut."""
    at, _, rest = record.partition(b" ")
    stream, _, text = rest.partition(b" ")
    if stream not in _STREAMS:
        return None
    return LogLine.model_validate(
        {"cursor": cursor, "at": at.decode(), "stream": _STREAMS[stream], "text": text.decode("utf-8", "replace")}
    )


class OutputReader:
    """Reads a keeper's log: first its tail, then what is added, across rotations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._rest = b""

    def tail(self, count: int) -> list[LogLine]:
        """The last `count` lines, oldest first. What comes later is found by `fresh`."""
        lines: deque[LogLine] = deque(maxlen=count)
        older = self._path.with_name(self._path.name + ".1")
        if older.exists():
            with older.open("rb") as file:
                lines.extend(self._parse(file, file.read()))
                self._rest = b""
        lines.extend(self.fresh())
        return list(lines)

    def fresh(self) -> list[LogLine]:
        """Lines added since the last call; at most a bounded number at a time, the rest with the next call."""
        found: list[LogLine] = []
        if self._file is None and not self._open():
            return found
        while self._file is not None:
            data = self._file.read(_BLOCK)
            if data:
                found.extend(self._parse(self._file, data))
                if len(found) > 10_000:  # noqa: PLR2004 - a bound of memory, not a setting
                    break
            elif not self._was_rotated():
                break
        return found

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> bool:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            return False
        self._rest = b""
        return True

    def _was_rotated(self) -> bool:
        """Move on to the new file when the keeper started one and the old one is read to its end."""
        if self._file is None:
            return False
        try:
            same = os.fstat(self._file.fileno()).st_ino == self._path.stat().st_ino
        except FileNotFoundError:
            return False
        if same:
            return False
        remaining = self._file.read(_BLOCK)
        if remaining:
            self._file.seek(-len(remaining), os.SEEK_CUR)
            return True
        self._file.close()
        return self._open()

    def _parse(self, file: IO[bytes], data: bytes) -> list[LogLine]:
        position = file.tell() - len(data) - len(self._rest)
        inode = os.fstat(file.fileno()).st_ino
        *records, self._rest = (self._rest + data).split(b"\n")
        lines: list[LogLine] = []
        for record in records:
            position += len(record) + 1
            line = parse_line(record, f"{inode}:{position}")
            if line is not None:
                lines.append(line)
        return lines
