"""A message from frames and pieces: the order of frames, the limits, and text checked as it comes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import LimitExceeded, RemoteProtocolError
from potrio.protocol.frames import BINARY, CONTINUATION, TEXT, FrameHeader, Message, apply_mask
from potrio.protocol.message_assembly import MessageAssembly

KEY = b"\x37\xfa\x21\x3d"


@pytest.fixture
def assembly() -> MessageAssembly:
    return make()


def make(*, message_max: int = 1000, fragments_max: int = 8, empty_fragments_max: int = 2) -> MessageAssembly:
    return MessageAssembly(
        message_max=message_max, fragments_max=fragments_max, empty_fragments_max=empty_fragments_max
    )


def begin(
    assembly: MessageAssembly, opcode: int, length: int, *, final: bool = True, key: bytes = b""
) -> None:
    assembly.begin(FrameHeader(opcode, final, length, key, 0))


def frame(assembly: MessageAssembly, opcode: int, payload: bytes, *, final: bool = True) -> Message | None:
    """A whole unmasked frame."""
    begin(assembly, opcode, len(payload), final=final)
    return assembly.take(payload)


def test_a_whole_frame_is_a_message(assembly: MessageAssembly) -> None:
    assert frame(assembly, TEXT, "é".encode()) == "é"
    assert frame(assembly, BINARY, b"\xff") == b"\xff"
    assert frame(assembly, BINARY, b"") == b""
    assert frame(assembly, TEXT, b"") == ""
    assert not assembly.under_way


def test_fragments_are_joined(assembly: MessageAssembly) -> None:
    assert frame(assembly, BINARY, b"a", final=False) is None
    assert assembly.under_way
    assert frame(assembly, CONTINUATION, b"b", final=False) is None
    assert frame(assembly, CONTINUATION, b"c") == b"abc"
    assert not assembly.under_way
    assert frame(assembly, BINARY, b"d") == b"d"


def test_messages_are_immutable_bytes(assembly: MessageAssembly) -> None:
    assert type(frame(assembly, BINARY, b"whole")) is bytes
    frame(assembly, BINARY, b"a", final=False)
    assert type(frame(assembly, CONTINUATION, b"b")) is bytes


def test_a_frame_may_come_in_pieces(assembly: MessageAssembly) -> None:
    begin(assembly, TEXT, 4)
    assert assembly.missing == 4
    assert assembly.take("é".encode()[:1]) is None
    assert assembly.take("é".encode()[1:]) is None
    assert assembly.missing == 2
    assert assembly.take(b"ab") == "éab"


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_a_masked_frame_in_any_pieces(payload: bytes, cuts: list[int]) -> None:
    assembly = make()
    masked = apply_mask(payload, KEY)
    begin(assembly, BINARY, len(payload), key=KEY)
    edges = [0, *sorted(min(cut, len(payload)) for cut in cuts), len(payload)]
    pieces = [masked[start:stop] for start, stop in pairwise(edges)]

    message: Message | None = None
    for piece in pieces:
        if message is None:
            message = assembly.take(piece)

    assert message == payload


# --- the order of frames (section 5.4) -------------------------------------------------------------------------------


def test_a_continuation_of_nothing_is_1002(assembly: MessageAssembly) -> None:
    with pytest.raises(RemoteProtocolError, match="continues nothing") as caught:
        begin(assembly, CONTINUATION, 0)
    assert caught.value.close_code == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_new_message_inside_another_is_1002(assembly: MessageAssembly, opcode: int) -> None:
    frame(assembly, TEXT, b"a", final=False)
    with pytest.raises(RemoteProtocolError, match="before the end") as caught:
        begin(assembly, opcode, 0)
    assert caught.value.close_code == 1002


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_size_limit_is_checked_on_the_header() -> None:
    assembly = make(message_max=10)
    assert frame(assembly, BINARY, b"x" * 10) == b"x" * 10
    with pytest.raises(LimitExceeded, match="limit of 10") as caught:
        begin(assembly, BINARY, 11)
    assert caught.value.close_code == 1009


def test_the_size_limit_counts_all_fragments() -> None:
    assembly = make(message_max=10)
    frame(assembly, BINARY, b"x" * 6, final=False)
    with pytest.raises(LimitExceeded) as caught:
        begin(assembly, CONTINUATION, 5)
    assert caught.value.close_code == 1009


def test_the_limit_of_fragments() -> None:
    assembly = make(fragments_max=3)
    for _ in range(2):  # The count starts anew with each message.
        frame(assembly, BINARY, b"1", final=False)
        frame(assembly, CONTINUATION, b"2", final=False)
        assert frame(assembly, CONTINUATION, b"3") == b"123"
    frame(assembly, BINARY, b"1", final=False)
    frame(assembly, CONTINUATION, b"2", final=False)
    frame(assembly, CONTINUATION, b"3", final=False)
    with pytest.raises(LimitExceeded, match="limit of 3") as caught:
        begin(assembly, CONTINUATION, 0)
    assert caught.value.close_code == 1009


def test_the_limit_of_empty_fragments() -> None:
    assembly = make(empty_fragments_max=2)
    for _ in range(2):
        frame(assembly, BINARY, b"", final=False)
        frame(assembly, CONTINUATION, b"", final=False)
        assert frame(assembly, CONTINUATION, b"") == b""
    frame(assembly, BINARY, b"", final=False)
    frame(assembly, CONTINUATION, b"", final=False)
    with pytest.raises(LimitExceeded, match="limit of 2") as caught:
        begin(assembly, CONTINUATION, 0, final=False)
    assert caught.value.close_code == 1009


# --- text ------------------------------------------------------------------------------------------------------------


def test_bad_text_is_1007_at_the_fragment_that_shows_it(assembly: MessageAssembly) -> None:
    begin(assembly, TEXT, 2, final=False)
    with pytest.raises(RemoteProtocolError, match="UTF-8") as caught:
        assembly.take(b"a\xff")
    assert caught.value.close_code == 1007
    assert caught.value.__context__ is None


def test_bad_text_is_1007_at_the_piece_that_shows_it(assembly: MessageAssembly) -> None:
    begin(assembly, TEXT, 100)
    assembly.take("a€".encode()[:3])
    with pytest.raises(RemoteProtocolError) as caught:
        assembly.take(b"a")
    assert caught.value.close_code == 1007


def test_text_that_ends_inside_a_character_is_1007(assembly: MessageAssembly) -> None:
    frame(assembly, TEXT, b"a", final=False)
    begin(assembly, CONTINUATION, 1)
    with pytest.raises(RemoteProtocolError) as caught:
        assembly.take(b"\xc3")
    assert caught.value.close_code == 1007


@pytest.mark.parametrize(
    "payload", [b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80"]
)
def test_surrogates_overlong_forms_and_what_is_past_the_last_character(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        frame(make(), TEXT, payload)
    assert caught.value.close_code == 1007

    shown_by = 3 if payload[0] == 0xED else 2  # Without waiting for the last byte, where there are more.
    with pytest.raises(RemoteProtocolError):
        frame(make(), TEXT, payload[:shown_by], final=False)


def test_binary_is_not_checked(assembly: MessageAssembly) -> None:
    frame(assembly, BINARY, b"\xff", final=False)
    assert frame(assembly, CONTINUATION, b"\xfe") == b"\xff\xfe"


@given(st.text(max_size=20), st.lists(st.integers(0, 80), max_size=5))
def test_text_cut_anywhere(text: str, cuts: list[int]) -> None:
    assembly = make()
    payload = text.encode()
    edges = [0, *sorted(min(cut, len(payload)) for cut in cuts)]
    opcode = TEXT
    for start, stop in pairwise(edges):
        if stop > start:
            assert frame(assembly, opcode, payload[start:stop], final=False) is None
            opcode = CONTINUATION

    assert frame(assembly, opcode, payload[edges[-1] :]) == text


# --- use -------------------------------------------------------------------------------------------------------------


def test_reset_forgets(assembly: MessageAssembly) -> None:
    frame(assembly, TEXT, b"a\xc3", final=False)
    assembly.reset()
    assert not assembly.under_way
    assert frame(assembly, BINARY, b"b") == b"b"


def test_misuse_is_a_bug(assembly: MessageAssembly) -> None:
    with pytest.raises(AssertionError):
        assembly.take(b"")
    begin(assembly, BINARY, 2)
    with pytest.raises(AssertionError):
        begin(assembly, BINARY, 2)
    with pytest.raises(AssertionError):
        assembly.take(b"abc")
