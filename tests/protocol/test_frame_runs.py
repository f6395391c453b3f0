"""The fast path takes exactly the frames it may take, and stops without judging before any other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from potrio.protocol.frame_runs import FAST_LENGTH_MAX, decode_masked, decode_unmasked
from potrio.protocol.frames import BINARY, PING, TEXT, Message, apply_mask, encode_frame, encode_messages

HEADER = '451-["updateStream",{"_placeholder":true,"num":0}]'
TICK = b'[["EURUSD_otc",1770856131.3,1.19537]]'
KEY = b"\x37\xfa\x21\x3d"

Decode = Callable[[bytes, int, Callable[[Message], None]], int]


def decode(data: bytes, offset: int = 0, *, masked: bool = False) -> tuple[list[Message], int]:
    """Run the fast path; what it took, and where it stopped."""
    messages: list[Message] = []
    stopped = (decode_masked if masked else decode_unmasked)(data, offset, messages)
    return messages, stopped


def expected(data: bytes, offset: int, *, masked: bool) -> tuple[list[Message], int]:
    """What the fast path must do, written for clearness: one frame at a time, every field checked."""
    messages: list[Message] = []
    mask_bit, key_size = (0x80, 4) if masked else (0, 0)
    while True:
        head = data[offset : offset + 4]
        if len(head) < 2 or head[0] not in (0x81, 0x82) or head[1] & 0x80 != mask_bit:
            break
        length, start = head[1] & 0x7F, offset + 2
        if length == 126 and len(head) == 4:
            length, start = int.from_bytes(head[2:4]), offset + 4
            if length < 126:
                break
        elif length > 125:
            break
        key = data[start : start + key_size]
        payload = data[start + key_size : start + key_size + length]
        if len(payload) < length or len(key) < key_size:
            break
        if masked:
            payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
        try:
            messages.append(payload.decode() if head[0] == 0x81 else payload)
        except UnicodeDecodeError:
            break
        offset = start + key_size + length
    return messages, offset


def encode(messages: list[Message], *, masked: bool = False) -> bytes:
    return encode_messages(messages, (lambda count: (KEY * count)[:count]) if masked else None)[0]


# --- what is taken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "messages",
    [
        [],
        [HEADER, TICK],
        [HEADER, TICK] * 2,
        [HEADER, TICK] * 50,
        [HEADER, HEADER, HEADER, TICK],
        [HEADER, TICK, TICK] * 5,
        [HEADER, TICK] * 3 + ["2", "other", b"x" * 300] + [HEADER, TICK] * 3,
        [HEADER, b""] * 5,
        ["", b""] * 5,
        ["", ""] * 5,
        [b"", b""],
        [HEADER, b"x" * 126] * 3 + [HEADER, TICK] * 3,
        [HEADER, b"x" * FAST_LENGTH_MAX] * 3,
        ["é" * 100] * 3,
        ["x" * 126, TICK] * 4,
    ],
    ids=range(15),
)
def test_whole_frames_are_taken_to_the_end(messages: list[Message], masked: bool) -> None:
    data = encode(messages, masked=masked)

    assert decode(data, masked=masked) == (messages, len(data))


@pytest.mark.parametrize("masked", [False, True])
def test_decoding_starts_at_the_offset(masked: bool) -> None:
    data = encode([HEADER, TICK] * 3, masked=masked)

    assert decode(b"\x00garbage" + data, 8, masked=masked) == ([HEADER, TICK] * 3, len(data) + 8)


@pytest.mark.parametrize("masked", [False, True])
def test_a_read_cut_anywhere_gives_the_frames_before_the_cut(masked: bool) -> None:
    messages = [HEADER, TICK, HEADER, TICK, HEADER, b"x" * 200, HEADER, TICK]
    data = encode(messages, masked=masked)

    for end in range(len(data) + 1):
        taken, stopped = decode(data[:end], masked=masked)
        assert taken == messages[: len(taken)]
        assert stopped == len(encode(taken, masked=masked))
        assert len(taken) == len(messages) or end - stopped < len(
            encode(messages[len(taken) :][:1], masked=masked)
        )


def test_a_payload_that_contains_the_header_of_the_run() -> None:
    header_frame = encode([HEADER])
    messages: list[Message] = [HEADER, TICK] * 3
    messages += (
        [HEADER, header_frame + b"\x82"] * 3 + [HEADER, b"\x82\x25" + header_frame] + [HEADER, TICK] * 3
    )
    data = encode(messages)

    assert decode(data) == (messages, len(data))


def test_payloads_are_bytes_of_their_own() -> None:
    messages, _ = decode(encode([HEADER, TICK] * 3))

    assert [type(message) for message in messages] == [str, bytes] * 3


# --- where it stops --------------------------------------------------------------------------------------------------


STOPPERS = {
    "fragment": encode_frame(TEXT, b"x", final=False),
    "binary fragment": encode_frame(BINARY, b"x", final=False),
    "binary with a reserved bit": b"\xc2\x01x",
    "masked binary": encode_frame(BINARY, b"x", KEY),
    "continuation": encode_frame(0, b"x"),
    "ping": encode_frame(PING, b""),
    "close": encode_frame(8, b"\x03\xe8"),
    "masked": encode_frame(TEXT, b"x", KEY),
    "reserved bit": b"\xc1\x01x",
    "reserved opcode": b"\x83\x01x",
    "64-bit length": encode_frame(BINARY, bytes(65_536)),
    "64-bit length, not shortest": b"\x82\x7f" + (3).to_bytes(8) + b"abc",
    "16-bit length, not shortest": b"\x82\x7e\x00\x7d" + bytes(125),
    "half a length": b"\x82\x7e\x01",
    "one byte": b"\x82",
    "not UTF-8": b"\x81\x02\xc3\x28",
    "surrogate": b"\x81\x03\xed\xa0\x80",
    "cut character": b"\x81\x01\xc3",
    "cut payload": b"\x82\x05abcd",
    "empty": b"",
}


@pytest.mark.parametrize("before", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("stopper", STOPPERS.values(), ids=STOPPERS)
def test_stops_before_what_is_not_for_it(stopper: bytes, before: int) -> None:
    messages: list[Message] = [HEADER, TICK] * before
    data = encode(messages)

    assert decode(data + stopper) == (messages, len(data))
    # In the middle of a pair, too.
    assert decode(data + encode([HEADER]) + stopper) == ([*messages, HEADER], len(data + encode([HEADER])))


@pytest.mark.parametrize(
    "stopper", ["fragment", "ping", "reserved bit", "16-bit length, not shortest", "not UTF-8"]
)
def test_masked_frames_stop_alike(stopper: str) -> None:
    plain = STOPPERS[stopper]
    head = plain[:4] if plain[1] == 0x7E else plain[:2]
    frame = head[:1] + bytes((head[1] | 0x80,)) + head[2:] + KEY + apply_mask(plain[len(head) :], KEY)
    data = encode([HEADER, TICK], masked=True)

    assert decode(data + frame, masked=True) == ([HEADER, TICK], len(data))
    assert decode(data + plain, masked=True) == ([HEADER, TICK], len(data))


# --- properties ------------------------------------------------------------------------------------------------------

texts = st.sampled_from(["", "2", HEADER, HEADER.replace("Stream", "Assets"), "é", "x" * 125, "x" * 126])
payloads = st.sampled_from(
    [b"", TICK, TICK[1:], encode([HEADER]) + b"\x82", b"\x82", b"y" * 125, b"y" * 126, b"\xff"]
)
pieces = st.one_of(
    texts.map(lambda text: encode([text])),
    payloads.map(lambda payload: encode([payload])),
    st.tuples(texts, payloads, st.integers(1, 5)).map(lambda pair: encode([pair[0], pair[1]] * pair[2])),
    st.sampled_from(sorted(STOPPERS.values())).filter(lambda stopper: len(stopper) < 1000),
    st.binary(max_size=4),
)


@settings(max_examples=500)
@given(st.lists(pieces, max_size=12).map(b"".join), st.integers(0, 3), st.integers(0, 20))
def test_unmasked_takes_exactly_what_it_should(data: bytes, offset: int, cut: int) -> None:
    data = data[: max(len(data) - cut, offset)]

    assert decode(data, offset) == expected(data, offset, masked=False)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(texts, payloads).map(lambda pair: encode([*pair], masked=True)) | st.binary(max_size=9),
        max_size=8,
    ),
    st.integers(0, 20),
)
def test_masked_takes_exactly_what_it_should(parts: list[bytes], cut: int) -> None:
    data = b"".join(parts)
    data = data[: max(len(data) - cut, 0)]

    assert decode(data, masked=True) == expected(data, 0, masked=True)


@settings(max_examples=200)
@given(st.binary(max_size=300), st.booleans())
@example(b"\x81\xfe\x00", True)
@example(b"\x82\xfe\x01\x00" + KEY[:3], True)
def test_any_bytes_are_taken_or_left(data: bytes, masked: bool) -> None:
    assert decode(data, masked=masked) == expected(data, 0, masked=masked)
