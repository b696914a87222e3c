"""A plugin's log as administrators read it: what it prints and what it sends, in one stream."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import structlog
from nimbus_sdk.contracts.control import MOST_LOG_LINES, LogLine

from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.core.logs.service import PluginLogs
from nimbus_gateway.errors import DatabaseUnavailableError, GatewayError
from nimbus_gateway.events.sse import PING, frame
from nimbus_gateway.plugins.log_lines import LogFilter, merged, position_after, printed_line, same_entry, sent_line
from nimbus_gateway.state import GatewayState

QUEUE_SIZE = 256
POLL_SECONDS = 1.0
PING_SECONDS = 15.0
RETRY_SECONDS = 2.0
BATCH = 500
REMEMBERED = 8192
OVERLAP = 1000
"""Lines that a following begins with again, so that none is lost in between; it is known which were shown."""

EVERYTHING = LogFilter()

log = structlog.get_logger(__name__)


class LogFollower:
    """One administrator's view of one plugin's log.

    Args:
        state: the worker's shared parts.
        plugin_id: whose log.
        tail: how many lines to begin with.
        seen: `Last-Event-ID` of a client that comes back: it gets what follows, however much, as far as it is kept.
        wanted: which lines are looked for.
    """

    def __init__(
        self, state: GatewayState, plugin_id: str, *, tail: int, seen: str | None, wanted: LogFilter = EVERYTHING
    ) -> None:
        self._state = state
        self._plugin_id = plugin_id
        self._tail = tail
        self._seen = seen
        self._wanted = wanted
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_SIZE)
        self._last_row = 0
        self._shown: dict[object, None] = {}

    async def beginning(self) -> list[LogLine]:
        """The newest lines.

        Raises:
            RegistryUnavailableError, DatabaseUnavailableError, PluginNotFoundError: they cannot be had.
        """
        # Who looks for something wants the newest lines of that, however many others came since.
        everything = self._seen is not None or not self._wanted.any
        looked_at = MOST_LOG_LINES if everything else min(max(self._tail, OVERLAP), MOST_LOG_LINES)
        async with self._state.registry.logs(self._plugin_id, tail=looked_at) as lines:
            printed = [printed_line(line) async for line in lines]
        async with self._state.database.read() as session:
            rows = await PluginLogs(session, self._plugin_id).tail(looked_at)
        self._last_row = rows[-1].id or 0 if rows else 0
        sent = [sent_line(row) for row in rows]
        for line in (*sent[-REMEMBERED // 4 :], *printed[-REMEMBERED // 4 :]):
            self._remember(line)
        found = merged(printed, sent, looked_at * 2)
        begin = position_after(self._seen, found, (*printed, *sent)) if self._seen is not None else None
        shown = [line for line in found[begin:] if self._wanted.passes(line)]
        return shown if begin is not None else shown[-self._tail :]

    def _remember(self, line: LogLine) -> bool:
        """Whether the line is new, and not the same entry on its other way."""
        keys = [line.cursor, same_entry(line)]
        known = any(key in self._shown for key in keys if key is not None)
        self._shown.update((key, None) for key in keys if key is not None)
        while len(self._shown) > REMEMBERED:
            del self._shown[next(iter(self._shown))]
        return not known

    async def _show(self, line: LogLine) -> None:
        if self._remember(line) and self._wanted.passes(line):
            await self._queue.put(_event(line))

    async def stream(
        self, first: Sequence[LogLine], principal: Principal, credentials: Credentials, *, follow: bool
    ) -> AsyncGenerator[bytes]:
        """The lines as server-sent events: `log` each, `end` after the last one unless it follows."""
        yield PING
        # Before the lines that are there: to take them may last longer than `OVERLAP` reaches back.
        feeds = self._feeds(principal, credentials) if follow else []
        try:
            for line in first:
                yield _event(line)
            if not follow:
                yield frame("end", {})
                return
            while (event := await self._queue.get()) is not None:
                yield event
        finally:
            for feed in feeds:
                feed.cancel()
            await asyncio.gather(*feeds, return_exceptions=True)

    def _feeds(self, principal: Principal, credentials: Credentials) -> list[asyncio.Task[None]]:
        return [
            asyncio.create_task(self._follow_printed(), name="log: printed lines"),
            asyncio.create_task(self._follow_sent(), name="log: sent lines"),
            asyncio.create_task(self._watch(principal, credentials), name="log: access"),
        ]

    async def _follow_printed(self) -> None:
        while True:
            try:
                async with self._state.registry.logs(self._plugin_id, tail=OVERLAP, follow=True) as lines:
                    async for line in lines:
                        await self._show(printed_line(line))
            except GatewayError as error:
                log.info("the log of a plugin cannot be followed", plugin=self._plugin_id, reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow_sent(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                async with self._state.database.read() as session:
                    rows = await PluginLogs(session, self._plugin_id).after(self._last_row, BATCH)
            except DatabaseUnavailableError:
                continue
            for row in rows:
                self._last_row = row.id or self._last_row
                await self._show(sent_line(row))

    async def _watch(self, principal: Principal, credentials: Credentials) -> None:
        with self._state.accounts.authenticator.watch(principal) as changed:
            while True:
                try:
                    async with asyncio.timeout(PING_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    await self._queue.put(PING)
                changed.clear()
                try:
                    known = await self._state.authenticator.authenticate(credentials)
                except DatabaseUnavailableError:
                    continue
                if known != principal:
                    await self._queue.put(None)
                    return


def _event(line: LogLine) -> bytes:
    return frame("log", line.wire(), line.cursor)
