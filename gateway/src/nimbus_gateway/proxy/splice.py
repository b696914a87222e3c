"""Two ends of a WebSocket joined: bytes go both ways as they come, and a close can be put in between two frames."""

import asyncio
from typing import Protocol

from nimbus_gateway.proxy.frames import FrameFollower, close_frame

CLOSE_SECONDS = 5.0
"""How long an end may take to close after the other one has, or after it was asked to."""

GOING_AWAY = 1001
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011


class Flow(Protocol):
    """Pauses and resumes a transport, and remembers which."""

    def pause_reading(self) -> None:
        """Take nothing more."""
        ...

    def resume_reading(self) -> None:
        """Read on."""
        ...


class SpliceClient(Protocol):
    """The server's protocol after an upgrade."""

    transport: asyncio.Transport
    flow: Flow

    def write(self, data: bytes) -> None:
        """Write to the client, unless it is closing."""
        ...


class Splice(asyncio.Protocol):
    """Both directions of one WebSocket; the protocol of the plugin's transport, called for the client's by its own.

    An end that goes without a close frame is reported to the other: 1011 to the client, 1001 to the plugin.
    """

    def __init__(self, client: SpliceClient, plugin: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client.transport
        self._write = client.write
        self._flow = client.flow
        self._plugin = plugin
        self._up = FrameFollower()
        self._down = FrameFollower()
        self._closing: tuple[int, str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.received = 0
        """Bytes from the client."""
        self.sent = 0
        """Bytes to the client."""
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done when both ends are closed."""

    # -- the plugin's end: asyncio.Protocol -------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Pass the plugin's bytes on."""
        down = self._down
        if self._closing is not None:
            if down.close_seen or down.at_boundary:
                return
            data = down.until_boundary(data)
        down.feed(data)
        self.sent += len(data)
        self._write(data)
        if self._closing is not None and down.at_boundary:
            self._say_goodbye()
        elif down.close_seen:
            self._hurry()

    def eof_received(self) -> bool:
        """The plugin sends nothing any more; its transport closes."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The plugin has gone."""
        if not self._client.is_closing():
            if self._down.at_boundary and not self._down.close_seen:
                self._write(close_frame(INTERNAL_ERROR, "the plugin went away", masked=False))
            self._client.close()
        self._settle()

    def pause_writing(self) -> None:
        """The plugin takes no more for now."""
        if not self._client.is_closing():
            self._flow.pause_reading()

    def resume_writing(self) -> None:
        """The plugin takes more again."""
        if not self._client.is_closing():
            self._flow.resume_reading()

    # -- the client's end: called by the server's protocol ----------------------------------------------------

    def client_data(self, data: bytes) -> None:
        """Pass the client's bytes on."""
        up = self._up
        if self._closing is not None:
            if up.close_seen or up.at_boundary:
                return
            data = up.until_boundary(data)
        up.feed(data)
        self.received += len(data)
        if not self._plugin.is_closing():
            self._plugin.write(data)
        if self._closing is not None and up.at_boundary:
            self._tell_plugin()
        elif up.close_seen:
            self._hurry()

    def client_lost(self) -> None:
        """The client has gone."""
        if not self._plugin.is_closing():
            if self._up.at_boundary and not self._up.close_seen:
                self._plugin.write(close_frame(GOING_AWAY, masked=True))
            self._plugin.close()
        self._settle()

    def client_takes_no_more(self) -> None:
        """Hold the plugin back."""
        _pause(self._plugin)

    def client_reads_on(self) -> None:
        """Let the plugin go on."""
        _resume(self._plugin)

    # -- from outside -----------------------------------------------------------------------------------------

    def close(self, code: int, reason: str) -> None:
        """Close both ends with a code, behind the frame that is under way."""
        if self._closing is not None or self._client.is_closing():
            return
        self._closing = (code, reason)
        if self._up.at_boundary:
            self._tell_plugin()
        if self._down.at_boundary:
            self._say_goodbye()
        else:
            self._hurry()

    def _tell_plugin(self) -> None:
        if not self._up.close_seen and not self._plugin.is_closing():
            self._plugin.write(close_frame(GOING_AWAY, masked=True))
            self._up.close_seen = True

    def _say_goodbye(self) -> None:
        if self._closing is not None and not self._down.close_seen and not self._client.is_closing():
            self._write(close_frame(*self._closing, masked=False))
            self._down.close_seen = True
        self._hurry()

    def _hurry(self) -> None:
        """From now on both ends have `CLOSE_SECONDS`."""
        if self._timer is None:
            self._timer = self._loop.call_later(CLOSE_SECONDS, self.cut)

    def cut(self) -> None:
        """Close both ends at once."""
        self._client.abort()
        self._plugin.abort()

    def _settle(self) -> None:
        if self._client.is_closing() and self._plugin.is_closing():
            if self._timer is not None:
                self._timer.cancel()
            if not self.ended.done():
                self.ended.set_result(None)
        else:
            self._hurry()


def _pause(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.pause_reading()


def _resume(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.resume_reading()
