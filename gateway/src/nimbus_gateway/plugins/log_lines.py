"""A line of a plugin's log: its level, its readable text, and whether somebody looks for it. Pure.

The SDK prints each entry as one JSON line and sends the same entry to the core. A person sees it once.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, get_args

from nimbus_sdk.contracts.control import LogLine
from nimbus_sdk.contracts.core_api import LogLevel

from nimbus_gateway.core.logs.tables import PluginLogLine

LEVELS: Final[tuple[LogLevel, ...]] = get_args(LogLevel)
"""From the least to the most urgent."""

_NAMES: Final[dict[str, LogLevel]] = {
    **{level: level for level in LEVELS},
    "warn": "warning",
    "err": "error",
    "fatal": "critical",
    "trace": "debug",
}
_WORD: Final = r"(debug|trace|info|warn(?:ing)?|err(?:or)?|critical|fatal)"
_LEVEL_WORDS: Final = (
    re.compile(r"(?:^|[\s\[|])" + _WORD.upper() + r"(?=[\s\]|:,]|$)"),
    re.compile(r"\b(?:level|lvl|severity)\"?[=:]\s*\"?" + _WORD + r"\b", re.IGNORECASE),
    re.compile(r"^\W{0,3}" + _WORD + r"[\]:]", re.IGNORECASE),
)
"""How programs write a level: `ERROR` in capitals, `level=error`, `error:` or `[error]` at the beginning."""
_CLOCK_SECONDS: Final = 5.0
"""How far an entry's own time may be from when it was printed to be taken for it."""
_LOOKED_AT: Final = 80
"""Characters of a line in which its level is looked for: it stands near the beginning, or is none."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What somebody looks for. A line without a level counts as `info`, on standard error as `warning`."""

    level: LogLevel | None = None
    text: str = ""

    @property
    def any(self) -> bool:
        """Whether every line passes."""
        return self.level is None and not self.text

    def passes(self, line: LogLine) -> bool:
        """Whether a line is one of those."""
        if self.text and self.text.casefold() not in line.text.casefold():
            return False
        if self.level is None:
            return True
        level = line.level or ("warning" if line.stream == "stderr" else "info")
        return LEVELS.index(level) >= LEVELS.index(self.level)


def sent_line(row: PluginLogLine) -> LogLine:
    """An entry that came to the core, in the form of a printed line."""
    at = row.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    level = _NAMES.get(row.level)
    text = _text(row.level, row.message, row.fields)
    return LogLine(cursor=f"core-{row.id}", at=at, stream="platform", text=text, level=level)


def printed_line(line: LogLine) -> LogLine:
    """A printed line with its level; an entry of the SDK as readable as the same entry that came to the core."""
    entry = _entry(line.text)
    if entry is None:
        return line.model_copy(update={"level": _found_level(line.text)})
    level = _NAMES.get(str(entry["level"]).lower())
    fields = {key: value for key, value in entry.items() if key not in {"at", "level", "message"}}
    return line.model_copy(
        update={
            "level": level,
            "text": _text(str(entry["level"]), str(entry["message"]), fields),
            "at": _at(entry, line),
        }
    )


def _at(entry: dict[str, Any], line: LogLine) -> str | None:
    """When it says that it was, or when it was printed if that is too far away: lines come in the order of this."""
    moment, came = seconds(entry.get("at")), seconds(line.at)
    if moment is None or (came is not None and abs(moment - came) > _CLOCK_SECONDS):
        return line.at
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _entry(text: str) -> dict[str, Any] | None:
    """The SDK's entry behind a printed line, or None."""
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"at", "level", "message"} <= found.keys() else None


def _text(level: str, message: str, fields: dict[str, Any]) -> str:
    shown = " ".join(f"{key}={value!r}" for key, value in fields.items())
    return f"{level.upper()} {message}" + (f" {shown}" if shown else "")


def _found_level(text: str) -> LogLevel | None:
    for pattern in _LEVEL_WORDS:
        found = pattern.search(text[:_LOOKED_AT])
        if found:
            return _NAMES[found[1].lower()]
    return None


def same_entry(line: LogLine) -> tuple[int, str] | None:
    """What an entry of the SDK has in common with itself on the other way; None for anything else."""
    moment = seconds(line.at)
    if line.level is None or moment is None or not line.text.startswith(line.level.upper()):
        return None
    return round(moment * 1000), line.text


def merged(printed: Sequence[LogLine], sent: Sequence[LogLine], count: int) -> list[LogLine]:
    """The newest lines of both by time, each entry once; lines without a time stay behind the line before them."""
    keyed: list[tuple[float, int, LogLine]] = []
    known: set[tuple[int, str]] = set()
    for lines in (sent, printed):
        moment = 0.0
        for line in lines:
            moment = seconds(line.at) or moment
            same = same_entry(line)
            if lines is sent and same is not None:
                known.add(same)
            elif same is not None and same in known:
                continue
            keyed.append((moment, len(keyed), line))
    return [line for _, _, line in sorted(keyed, key=lambda item: item[:2])][-count:]


def position_after(cursor: str, shown: Sequence[LogLine], all_lines: Iterable[LogLine]) -> int | None:
    """Where, among the merged lines, those begin that follow a cursor; None when it is not kept any more.

    It may be that of an entry's other way, which is not among the merged ones.
    """
    seen = next((line for line in all_lines if line.cursor == cursor), None)
    if seen is None:
        return None
    same = same_entry(seen)
    for position, line in enumerate(shown):
        if line.cursor == cursor or (same is not None and same_entry(line) == same):
            return position + 1
    return None


def seconds(at: object) -> float | None:
    """A time of the wire as Unix seconds; None when there is none or it is nonsense."""
    try:
        return datetime.fromisoformat(at).timestamp() if isinstance(at, str) and at else None
    except ValueError:
        return None
