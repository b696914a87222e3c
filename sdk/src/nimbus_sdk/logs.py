"""Logging: one JSON line per event on standard output, and the same in batches to the core.

`log` parameters of handlers are structlog loggers; what libraries write with the standard `logging` module ends
in the same place. The queue to the core is bounded: when the core does not keep up, lines are dropped and
counted, and the plugin never waits.
"""

import asyncio
import json
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol, cast, get_args

from nimbus_sdk.contracts.core_api import LogEntry, LogLevel
from nimbus_sdk.errors import CoreError

QUEUE_LINES = 5000
BATCH_LINES = 200
FLUSH_SECONDS = 1.0
_LEVELS = frozenset(get_args(LogLevel))
_MESSAGE_LIMIT = 8192
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_OWN = frozenset({"at", "level", "message"})
"""What a printed line has besides its fields; a field of that name gets a `_` behind it."""

Send = Callable[[Sequence[LogEntry]], Awaitable[None]]


class Logger(Protocol):
    """Writes structured lines: `log.info("scan finished", items=12)`. In truth a structlog logger.

    Every method takes a message and any JSON values by name.
    """

    def bind(self, **fields: Any) -> "Logger":  # noqa: ANN401 - any JSON
        """A logger that adds `fields` to every line."""

    def debug(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """For whoever looks for a fault."""

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """Something happened as it should."""

    def warning(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """Something is odd; the plugin goes on."""

    def error(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """Something failed."""

    def exception(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """Something failed with the exception being handled; adds its traceback."""


@lru_cache(maxsize=1)
def logger() -> Logger:
    """The plugin's logger."""
    import structlog  # noqa: PLC0415 - a plugin that does not log does not pay for it

    made = structlog.wrap_logger(
        logging.getLogger("plugin"),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, structlog.contextvars.merge_contextvars, _to_standard],
    )
    return cast("Logger", made.bind())


def _to_standard(_logger: object, _method: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """Hand a structlog event to the standard library: its fields travel together, so none hides a record's own."""
    message = str(event.pop("event", ""))
    exc_info = event.pop("exc_info", None)
    return (message,), {"exc_info": exc_info, "extra": {"nimbus_fields": dict(event)}}


def entry_of(record: logging.LogRecord) -> LogEntry:
    """A record of the standard library as a log line of the contract."""
    fields = dict(getattr(record, "nimbus_fields", {}))
    fields.update({k: v for k, v in vars(record).items() if k not in _STANDARD and k != "nimbus_fields"})
    if record.name != "plugin":
        fields["logger"] = record.name
    if record.exc_info:
        fields["exception"] = logging.Formatter().formatException(record.exc_info)[-_MESSAGE_LIMIT:]
    for name in _OWN & fields.keys():
        fields[f"{name}_"] = fields.pop(name)
    level = record.levelname.lower()
    return LogEntry(
        level=cast("LogLevel", level) if level in _LEVELS else "info",
        message=record.getMessage()[:_MESSAGE_LIMIT],
        at=datetime.fromtimestamp(record.created, UTC),
        fields=json.loads(json.dumps(fields, default=str)),
    )


class PluginLogHandler(logging.Handler):
    """Prints each record as one JSON line and queues it for the core."""

    def __init__(self, stream: Any = None) -> None:  # noqa: ANN401 - any text stream
        super().__init__()
        self._stream = stream
        self._queue: deque[LogEntry] = deque()
        self._dropped = 0
        self._ships = False

    def emit(self, record: logging.LogRecord) -> None:
        """Print and queue one record. Never raises and never waits."""
        try:
            entry = entry_of(record)
            line = {"at": entry.at.isoformat() if entry.at else None, "level": entry.level, "message": entry.message}
            print(
                json.dumps({**line, **entry.fields}, ensure_ascii=False), file=self._stream or sys.stdout, flush=True
            )
        except (OSError, ValueError, TypeError):
            self.handleError(record)
            return
        if not self._ships or record.name.startswith(("httpx", "httpcore")):
            return
        if len(self._queue) >= QUEUE_LINES:
            self._dropped += 1
        else:
            self._queue.append(entry)

    async def ship(self, send: Send) -> None:
        """Send queued lines until cancelled, then once more."""
        self._ships = True
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self._flush(send)
        finally:
            self._ships = False
            async with asyncio.timeout(2):
                await self._flush(send)

    async def _flush(self, send: Send) -> None:
        while self._queue or self._dropped:
            batch = [self._queue[i] for i in range(min(BATCH_LINES, len(self._queue)))]
            lost = self._dropped
            if lost:
                batch.append(
                    LogEntry(level="warning", message=f"{lost} log lines were dropped: the core was too slow")
                )
            try:
                await send(batch)
            except CoreError:
                return  # the lines stay queued; standard output has them anyway
            self._dropped -= lost
            for _ in range(len(batch) - bool(lost)):
                self._queue.popleft()


def install(level: str) -> PluginLogHandler:
    """Make every logger of the process end in one new handler, and return it."""
    handler = PluginLogHandler()
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level if level in logging.getLevelNamesMapping() else "INFO")
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler
