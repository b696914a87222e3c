"""Where WebSocket frames end, in whatever pieces they come."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_gateway.proxy.frames import FrameFollower, close_frame
from websockets.frames import Close, Frame, Opcode

OPCODES = st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.PONG])
SIZES = st.one_of(st.integers(0, 130), st.sampled_from([65_535, 65_536, 70_000]))


def wire(opcode, size, *, mask):
    size = min(size, 125) if opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE) else size
    return Frame(opcode, b"x" * size).serialize(mask=mask)


def pieces(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.tuples(OPCODES, SIZES), min_size=1, max_size=5), st.booleans(), st.lists(st.integers(0, 10**6)))
def test_boundaries_are_found_in_any_pieces(frames, mask, cuts):
    serialized = [wire(opcode, size, mask=mask) for opcode, size in frames]
    ends = {sum(len(one) for one in serialized[: count + 1]) for count in range(len(serialized))} | {0}
    follower = FrameFollower()
    position = 0
    for piece in pieces(b"".join(serialized), cuts):
        follower.feed(piece)
        position += len(piece)
        assert follower.at_boundary == (position in ends)
        assert not follower.close_seen


@given(OPCODES, SIZES, st.booleans(), st.integers(1, 10**6))
def test_what_is_missing_to_the_boundary(opcode, size, mask, cut):
    frame = wire(opcode, size, mask=mask)
    cut = 1 + cut % max(len(frame) - 1, 1)
    follower = FrameFollower()
    follower.feed(frame[:cut])
    assert follower.until_boundary(frame[cut:] + wire(Opcode.TEXT, 3, mask=mask)) == frame[cut:]


@pytest.mark.parametrize("mask", [True, False])
@given(cuts=st.lists(st.integers(0, 10**6)))
def test_a_close_is_seen(mask, cuts):
    follower = FrameFollower()
    for piece in pieces(wire(Opcode.TEXT, 10, mask=mask) + wire(Opcode.CLOSE, 2, mask=mask), cuts):
        follower.feed(piece)
    assert follower.close_seen
    assert follower.at_boundary


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("reason", ["", "the gateway is stopping", "ü" * 100])
def test_a_close_frame_reads_as_one(masked, reason):
    reader = iter_bytes(close_frame(1001, reason, masked=masked))
    frame = drive(Frame.parse(reader, mask=masked))
    assert frame.opcode is Opcode.CLOSE
    close = Close.parse(frame.data)
    assert close.code == 1001
    assert reason.startswith(close.reason)
    assert len(frame.data) <= 125


def iter_bytes(data):
    """What websockets' frame parser reads from."""
    position = 0

    def read_exact(count):
        nonlocal position
        piece = data[position : position + count]
        position += count
        return piece
        yield

    return read_exact


def drive(parser):
    """The value of a generator that needs no more input."""
    with pytest.raises(StopIteration) as done:
        next(parser)
    return done.value.value
