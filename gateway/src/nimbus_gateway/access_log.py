"""The access log: one line a request, written in batches so that a request does not wait for its line.

The lines have the fields and the form of the other log lines. A batch is written when it is `FLUSH_BYTES` long and
at the latest after `FLUSH_SECONDS`; what a killed process had not written yet is lost.
"""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted

import structlog

from nimbus_gateway.observability import on_console
from nimbus_gateway.settings import Settings

NAME = "nimbus.access"

FLUSH_SECONDS = 0.2
FLUSH_BYTES = 32 * 1024
MAX_PATH = 512


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody to tell; requests go on
        sys.stderr.write(text)
        sys.stderr.flush()


@dataclass(slots=True, eq=False)
class AccessSubject:
    """What was asked for, and by whom; the same for many requests.

    Attributes:
        path: without its query, which may hold secrets.
        client: address.
        route: template of the plugin's route.
        fields: the beginning of a line of JSON that says all this.
    """

    listener: str
    method: str
    path: str
    client: str
    plugin: str | None = None
    route: str | None = None
    fields: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Render what can be rendered once."""
        fields = (
            f'{{"listener": "{self.listener}", "method": {quoted(self.method)}, '
            f'"path": {quoted(self.path[:MAX_PATH])}, "client": {quoted(self.client)}'
        )
        if self.plugin is not None:
            fields += f', "plugin": "{self.plugin}"'
        if self.route is not None:
            fields += f', "route": {quoted(self.route)}'
        self.fields = fields


class AccessLog:
    """Collects lines. Used on one event loop.

    Args:
        settings: the log's format.
        write: takes a batch of whole lines.
    """

    def __init__(self, settings: Settings, write: Callable[[str], object] = _to_stderr) -> None:
        self._write = write
        self._logger = logging.getLogger(NAME)
        self._console = structlog.get_logger(NAME) if on_console(settings) else None
        self._lines: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._second = 0
        self._stamp = ""

    def record(
        self,
        subject: AccessSubject,
        *,
        request_id: str | None,
        status: int,
        sent: int,
        seconds: float,
        user: str | None = None,
        upstream_seconds: float | None = None,
        outcome: str | None = None,
    ) -> None:
        """Write one request down."""
        if self._console is not None:
            fields = {
                "listener": subject.listener,
                "request_id": request_id,
                "method": subject.method,
                "path": subject.path[:MAX_PATH],
                "status": status,
                "bytes": sent,
                "ms": round(seconds * 1000, 1),
                "client": subject.client,
                "user": user,
                "plugin": subject.plugin,
                "route": subject.route,
                "outcome": outcome,
                "upstream_ms": None if upstream_seconds is None else round(upstream_seconds * 1000, 1),
            }
            self._console.info("request", **{name: value for name, value in fields.items() if value is not None})
            return
        line = (
            f'{subject.fields}, "request_id": "{request_id}", "status": {status}, "bytes": {sent}, '
            f'"ms": {seconds * 1000:.1f}'
        )
        if user is not None:
            line += f', "user": {quoted(user)}'
        if outcome is not None:
            line += f', "outcome": {quoted(outcome)}'
        if upstream_seconds is not None:
            line += f', "upstream_ms": {upstream_seconds * 1000:.1f}'
        line += f', "event": "request", "level": "info", "logger": "{NAME}", "timestamp": "{self._now()}"}}\n'
        self._add(line)

    def wanted(self, level: int = logging.INFO) -> bool:
        """Whether lines of this level are written at all."""
        return self._logger.isEnabledFor(level)

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def _now(self) -> str:
        """The time in UTC, RFC 3339; the part above the second is made once a second."""
        moment = time.time()
        second = int(moment)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._stamp}.{int((moment - second) * 1e6):06d}Z"

    def flush(self) -> None:
        """Write what has been collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._size = self._lines, [], 0
        if lines:
            self._write("".join(lines))
