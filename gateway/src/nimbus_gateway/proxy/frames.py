"""WebSocket frames as far as a splice needs them (RFC 6455, 5.2): where they end, and close frames to put in.

Pure: no I/O, and payloads are never looked at.
"""

import os
import struct

_CLOSE = 0x8
_FIN = 0x80
_MASKED = 0x80
_LENGTH = 0x7F
_TWO_BYTES = 126
_EIGHT_BYTES = 127
_MAX_REASON = 123
"""Bytes of a close frame's reason: control frames carry at most 125, two of which are the code."""


class FrameFollower:
    """Follows one direction of a WebSocket: feeds on its bytes and knows where frames end.

    Attributes:
        close_seen: a close frame has begun: nothing may be put in behind it.
    """

    __slots__ = ("_head", "_left", "close_seen")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self.close_seen = False

    @property
    def at_boundary(self) -> bool:
        """No frame is under way."""
        return self._left == 0 and not self._head

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the direction."""
        left = self._left
        size = len(data)
        if left >= size:
            self._left = left - size
            return
        position = left
        if self._head:
            data, position = self._head + data[left:], 0
            size = len(data)
            self._head = b""
        while position < size:
            end = self._frame_end(data, position, size)
            if end < 0:
                self._head = data[position:]
                self._left = 0
                return
            position = end
        self._left = position - size

    def _frame_end(self, data: bytes, start: int, size: int) -> int:
        """Where the frame that begins at `start` ends; -1 while its header is not whole."""
        if size - start < 2:  # noqa: PLR2004 - opcode and length
            return -1
        second = data[start + 1]
        length = second & _LENGTH
        position = start + 2
        if length == _TWO_BYTES:
            if size - position < 2:  # noqa: PLR2004 - as the name says
                return -1
            length = int.from_bytes(data[position : position + 2], "big")
            position += 2
        elif length == _EIGHT_BYTES:
            if size - position < 8:  # noqa: PLR2004 - as the name says
                return -1
            length = int.from_bytes(data[position : position + 8], "big")
            position += 8
        if second & _MASKED:
            position += 4
            if position > size:
                return -1
        if data[start] & 0x0F == _CLOSE:
            self.close_seen = True
        return position + length

    def until_boundary(self, data: bytes) -> bytes:
        """The bytes that are still missing to the end of the frame under way, out of the direction's next bytes."""
        if self._head:
            following = FrameFollower()
            start = len(self._head)
            end = following._frame_end(self._head + data, 0, start + len(data))
            return data if end < 0 else data[: end - start]
        return data[: self._left]


def close_frame(code: int, reason: str = "", *, masked: bool) -> bytes:
    """A close frame.

    Args:
        code: of RFC 6455, 7.4.
        reason: cut to what fits.
        masked: as a client sends it.
    """
    payload = struct.pack("!H", code) + reason.encode()[:_MAX_REASON].decode(errors="ignore").encode()
    head = bytes((_FIN | _CLOSE, len(payload) | (_MASKED if masked else 0)))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
