"""Frame headers, masks and close payloads, rule by rule of RFC 6455 section 5."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import LocalProtocolError, RemoteProtocolError
from potrio.protocol.frames import (
    BINARY,
    CONTINUATION,
    NO_CODE,
    PING,
    PONG,
    TEXT,
    TRANSLATE_MIN,
    FrameHeader,
    apply_mask,
    decode_close,
    decode_header,
    encode_close,
    encode_frame,
    encode_messages,
    is_close_code,
)

KEY = b"\x37\xfa\x21\x3d"
LENGTHS = (0, 1, 125, 126, 127, 65_535, 65_536, 100_000)


# --- headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "opcode", "payload", "key", "final"),
    [
        ("81 05 48 65 6c 6c 6f", TEXT, b"Hello", None, True),
        ("81 85 37 fa 21 3d 7f 9f 4d 51 58", TEXT, b"Hello", KEY, True),
        ("01 03 48 65 6c", TEXT, b"Hel", None, False),
        ("80 02 6c 6f", CONTINUATION, b"lo", None, True),
        ("89 05 48 65 6c 6c 6f", PING, b"Hello", None, True),
        ("8a 85 37 fa 21 3d 7f 9f 4d 51 58", PONG, b"Hello", KEY, True),
        ("82 7e 01 00" + "00" * 256, BINARY, bytes(256), None, True),
        ("82 7f 00 00 00 00 00 01 00 00" + "00" * 65_536, BINARY, bytes(65_536), None, True),
    ],
)
def test_the_examples_of_section_5_7(
    frame: str, opcode: int, payload: bytes, key: bytes | None, final: bool
) -> None:
    data = bytes.fromhex(frame)

    assert encode_frame(opcode, payload, key, final=final) == data
    header = decode_header(data, 0, masked=key is not None)
    assert header is not None
    assert (header.opcode, header.final, header.length, header.key) == (
        opcode,
        final,
        len(payload),
        key or b"",
    )
    taken = data[header.payload_at :]
    assert (apply_mask(taken, header.key) if header.key else taken) == payload


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_header_is_decoded_only_when_all_of_it_is_there(length: int, key: bytes | None) -> None:
    frame = b"before" + encode_frame(BINARY, bytes(length), key)
    expected_end = len(frame) - length

    for end in range(6, expected_end):
        assert decode_header(frame[:end], 6, masked=key is not None) is None

    assert decode_header(frame[:expected_end], 6, masked=key is not None) == FrameHeader(
        BINARY, True, length, key or b"", expected_end
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("c1 00", "reserved bit"),
        ("a1 00", "reserved bit"),
        ("91 00", "reserved bit"),
        ("83 00", "opcode 3"),
        ("87 00", "opcode 7"),
        ("8b 00", "opcode 11"),
        ("8f 00", "opcode 15"),
        ("09 00", "fragmented"),
        ("0a 00", "fragmented"),
        ("08 00", "fragmented"),
        ("89 7e", "longer than 125"),
        ("88 7f", "longer than 125"),
        ("81 80", "server must not mask"),
        ("81 7e 00 7d", "shortest form"),
        ("82 7e 00 00", "shortest form"),
        ("81 7f 00 00 00 00 00 00 ff ff", "shortest form"),
        ("81 7f 00 00 00 00 00 00 00 05", "shortest form"),
        ("81 7f 80 00 00 00 00 00 00 00", "top bit"),
        ("82 7f ff ff ff ff ff ff ff ff", "top bit"),
    ],
)
def test_a_malformed_header_is_1002(data: str, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason) as caught:
        decode_header(bytes.fromhex(data), 0, masked=False)

    assert caught.value.close_code == 1002


def test_a_client_frame_without_a_mask_is_1002() -> None:
    with pytest.raises(RemoteProtocolError, match="client must mask") as caught:
        decode_header(b"\x81\x00", 0, masked=True)

    assert caught.value.close_code == 1002


@given(st.binary(max_size=16), st.booleans())
def test_any_bytes_are_a_header_or_incomplete_or_a_typed_error(data: bytes, masked: bool) -> None:
    header: FrameHeader | None = None
    with suppress(RemoteProtocolError):
        header = decode_header(data, 0, masked=masked)
    assert header is None or header.payload_at <= len(data)


@given(
    st.sampled_from((CONTINUATION, TEXT, BINARY)),
    st.integers(0, 70_000),
    st.none() | st.binary(min_size=4, max_size=4),
    st.booleans(),
)
def test_header_round_trip(opcode: int, length: int, key: bytes | None, final: bool) -> None:
    frame = encode_frame(opcode, bytes(length), key, final=final)

    header = decode_header(frame, 0, masked=key is not None)

    assert header == FrameHeader(opcode, final, length, key or b"", len(frame) - length)


# --- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "length", [*range(10), 125, 126, TRANSLATE_MIN - 1, *range(TRANSLATE_MIN, TRANSLATE_MIN + 5), 70_001]
)
def test_mask_is_the_xor_of_section_5_3(length: int) -> None:
    payload = bytes(index * 7 % 256 for index in range(length))

    masked = apply_mask(payload, KEY)

    assert masked == bytes(byte ^ KEY[index % 4] for index, byte in enumerate(payload))
    assert apply_mask(masked, KEY) == payload


# --- close payloads --------------------------------------------------------------------------------------------------


VALID_CODES = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
INVALID_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)


@pytest.mark.parametrize("code", VALID_CODES)
def test_close_codes_that_may_be_on_the_wire(code: int) -> None:
    assert is_close_code(code)
    assert decode_close(encode_close(code, "gone ✓")) == (code, "gone ✓")


@pytest.mark.parametrize("code", INVALID_CODES)
def test_close_codes_that_may_not_be_on_the_wire(code: int) -> None:
    with pytest.raises(RemoteProtocolError, match=str(code)) as caught:
        decode_close(code.to_bytes(2) + b"reason")
    assert caught.value.close_code == 1002

    with pytest.raises(LocalProtocolError, match=str(code)):
        encode_close(code, "reason")


def test_an_empty_close_payload_is_1005() -> None:
    assert decode_close(b"") == (NO_CODE, "")
    assert encode_close(NO_CODE, "") == b""


def test_a_close_payload_of_one_byte_is_1002() -> None:
    with pytest.raises(RemoteProtocolError, match="one byte") as caught:
        decode_close(b"\x03")
    assert caught.value.close_code == 1002


def test_a_close_reason_that_is_not_utf_8_is_1007() -> None:
    with pytest.raises(RemoteProtocolError, match="UTF-8") as caught:
        decode_close(b"\x03\xe8\xff")
    assert caught.value.close_code == 1007
    assert caught.value.__context__ is None


def test_the_close_code_is_judged_before_the_reason() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_close(b"\x03\xf8\xff")
    assert caught.value.close_code == 1002


def test_a_close_reason_is_cut_at_a_character() -> None:
    payload = encode_close(1000, "é" * 100)

    assert payload == b"\x03\xe8" + "é".encode() * 61
    assert encode_close(1000, "x" * 200) == b"\x03\xe8" + b"x" * 123


def test_a_close_reason_never_fails_to_be_encoded() -> None:
    assert encode_close(1000, "a\ud800b") == b"\x03\xe8a?b"


# --- messages --------------------------------------------------------------------------------------------------------


def test_messages_become_one_buffer() -> None:
    assert encode_messages(["a", b"", b"bc"]) == (b"\x81\x01a\x82\x00\x82\x02bc", 3)
    assert encode_messages([]) == (b"", 0)
    assert encode_messages(iter(["x"] * 3))[1] == 3


def test_the_keys_of_all_frames_are_asked_for_at_once_and_used_once() -> None:
    asked: list[int] = []

    def mask_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    data, count = encode_messages(["a", b"b" * 200, ""], mask_bytes)

    assert asked == [12]
    assert count == 3
    key_a, key_b, key_c = b"\x00\x01\x02\x03", b"\x04\x05\x06\x07", b"\x08\x09\x0a\x0b"
    assert data == (
        encode_frame(TEXT, b"a", key_a)
        + encode_frame(BINARY, b"b" * 200, key_b)
        + encode_frame(TEXT, b"", key_c)
    )
    assert encode_messages([], mask_bytes) == (b"", 0)
    assert asked == [12]


def test_a_lone_surrogate_is_our_own_fault_and_is_not_repeated() -> None:
    with pytest.raises(LocalProtocolError, match="surrogate") as caught:
        encode_messages(["fine", "\ud800"])

    assert caught.value.__context__ is None


def test_only_str_and_bytes_are_messages() -> None:
    with pytest.raises(LocalProtocolError, match="not int"):
        encode_messages(["fine", 1])  # type: ignore[list-item]  # the fault under test


def test_a_short_supply_of_mask_bytes_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="mask_bytes"):
        encode_messages(["a"], lambda count: bytes(count - 1))
