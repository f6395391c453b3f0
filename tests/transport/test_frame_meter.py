"""The meter counts what is there, lets everything within the limits pass, and stops at the frame that is too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import LimitExceeded
from potrio.limits import CLIENT_MESSAGE_MAX, EMPTY_FRAGMENTS_MAX, FRAGMENTS_MAX
from potrio.protocol.frames import encode_frame
from potrio.protocol.websocket import WebSocketCodec
from potrio.transport.frame_meter import FrameMeter

KEYS = st.none() | st.binary(min_size=4, max_size=4)
FRAMES = st.builds(
    encode_frame,
    st.sampled_from([0, 1, 2, 8, 9, 10]),
    st.binary(max_size=125) | st.just(b"x" * 126),
    KEYS,
    final=st.booleans(),
)


def fed(meter, data, size, now=0.0):
    """Feed data in pieces; return what was let through."""
    passed = b""
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        count = meter.receive_data(piece, now)
        passed += piece[:count]
        if meter.fault is not None:
            break
    return passed


@given(st.lists(FRAMES, max_size=100), st.integers(1, 300))
def test_every_frame_is_counted_at_any_split(frames, size):
    meter = FrameMeter(fragments_max=1000, empty_fragments_max=1000)
    data = b"".join(frames)

    assert fed(meter, data, size) == data
    assert meter.frames == len(frames)
    assert meter.fault is None


@given(st.binary(), st.integers(1, 20))
def test_any_bytes_are_let_through_or_a_limit_is_named(data, size):
    meter = FrameMeter(message_max=1000)
    passed = fed(meter, data, size)

    assert data.startswith(passed)
    assert (passed == data) or isinstance(meter.fault, LimitExceeded)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_comes_before_the_fault_is_let_through(size):
    good = encode_frame(1, b"hello") + encode_frame(2, b"")
    meter = FrameMeter(message_max=10)

    passed = fed(meter, good + encode_frame(1, b"x" * 11) + b"more", size)

    assert passed.startswith(good)
    assert len(passed) < len(good) + 2
    assert meter.receive_data(b"anything", 0.0) == 0


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        ([b"\x82\x7f" + (CLIENT_MESSAGE_MAX).to_bytes(8)], None),
        ([b"\x82\x7f" + (CLIENT_MESSAGE_MAX + 1).to_bytes(8)], 1009),
        ([b"\x81\x7f" + (2**62).to_bytes(8)], 1009),
        (
            [encode_frame(1, b"x", final=False)] + [encode_frame(0, b"x", final=False)] * (FRAGMENTS_MAX - 1),
            None,
        ),
        ([encode_frame(1, b"x", final=False)] + [encode_frame(0, b"x", final=False)] * FRAGMENTS_MAX, 1009),
        (
            [encode_frame(1, b"", final=False)]
            + [encode_frame(0, b"", final=False)] * (EMPTY_FRAGMENTS_MAX - 1),
            None,
        ),
        (
            [encode_frame(1, b"", final=False)] + [encode_frame(0, b"", final=False)] * EMPTY_FRAGMENTS_MAX,
            1009,
        ),
        ([encode_frame(1, b"")] * 1000, None),
        ([encode_frame(2, b"x" * CLIENT_MESSAGE_MAX), encode_frame(2, b"x")], None),
        ([encode_frame(2, b"x" * CLIENT_MESSAGE_MAX, final=False), encode_frame(0, b"x")], 1009),
    ],
)
def test_the_limits_are_those_of_our_own_codec(frames, fault):
    data = b"".join(frames)
    meter = FrameMeter()
    codec = WebSocketCodec("client", mask_bytes=bytes)
    meter.receive_data(data, 0.0)
    codec.receive_data(data, 0.0)

    assert (meter.fault.close_code if meter.fault else None) == fault
    assert (codec.close_exc.close_code if codec.close_exc else None) == fault


def test_control_frames_have_a_budget_that_fills_up_again():
    ping = encode_frame(9, b"")
    meter = FrameMeter(control_frames_per_second=10.0, control_frames_burst=20)

    assert meter.receive_data(ping * 20, 100.0) == 40
    assert meter.receive_data(ping * 10, 101.0) == 20
    assert meter.receive_data(ping * 20, 200.0) == 40
    assert meter.fault is None
    assert meter.receive_data(ping, 200.05) == 0
    assert meter.fault.close_code == 1008


def test_close_frames_are_not_of_the_budget():
    meter = FrameMeter(control_frames_burst=1)
    meter.receive_data(encode_frame(8, b"") * 5, 0.0)

    assert meter.fault is None
