"""A splice that is ended from outside: nothing of the client follows the close."""

import pytest
from nimbus_gateway.proxy.splice import Splice
from websockets.frames import Frame, Opcode

pytestmark = pytest.mark.anyio


class Transport:
    """Remembers what was written."""

    def __init__(self):
        self.written = b""
        self.closing = False

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    abort = close


class Client:
    """The server's side, as a splice uses it."""

    def __init__(self):
        self.transport = Transport()
        self.flow = None
        self.write = self.transport.write


async def spliced():
    client, plugin = Client(), Transport()
    return Splice(client, plugin), client.transport, plugin


async def test_frames_behind_the_close_are_dropped():
    splice, client, plugin = await spliced()
    splice.close(1008, "revoked")
    told = plugin.written
    splice.client_data(Frame(Opcode.TEXT, b"more").serialize(mask=True))
    assert plugin.written == told
    assert told[0] & 0x0F == Opcode.CLOSE
    assert client.written[0] & 0x0F == Opcode.CLOSE
    splice.cut()


async def test_the_frame_under_way_is_finished_and_then_closed():
    splice, _, plugin = await spliced()
    frame = Frame(Opcode.TEXT, b"half and half").serialize(mask=True)
    splice.client_data(frame[:9])
    splice.close(1008, "revoked")
    assert plugin.written == frame[:9]
    splice.client_data(frame[9:] + Frame(Opcode.TEXT, b"more").serialize(mask=True))
    assert plugin.written[: len(frame)] == frame
    behind = plugin.written[len(frame) :]
    assert behind[0] & 0x0F == Opcode.CLOSE
    assert len(behind) == 2 + 4 + 2
    splice.cut()
