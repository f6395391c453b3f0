"""Placeholders used exactly once, collecting within bounds, and the old type byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import LimitExceeded
from potrio.protocol.attachments import (
    PLACEHOLDER,
    Attachments,
    PlaceholderError,
    check_placeholders,
    placeholder_number,
    strip_type_byte,
)


def placeholder(number: object) -> dict:
    return {"_placeholder": True, "num": number}


def texts(*values: object) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


@pytest.mark.parametrize(
    ("args", "count"),
    [
        ([], 0),
        ([1, "x", {"num": 0}, {"_placeholder": False, "num": 7}, {"_placeholder": 1}], 0),
        ([placeholder(0)], 1),
        ([placeholder(1), placeholder(0)], 2),
        ([{"a": [placeholder(2), {"b": placeholder(0)}]}, [[placeholder(1)]]], 3),
    ],
)
def test_each_used_once_is_fine(args: list, count: int) -> None:
    check_placeholders(texts(*args), count)


@pytest.mark.parametrize(
    ("args", "count"),
    [
        ([], 1),
        ([placeholder(0)], 0),
        ([placeholder(0)], 2),
        ([placeholder(0), placeholder(0)], 1),
        ([placeholder(0), placeholder(0)], 2),
        ([placeholder(1)], 1),
        ([placeholder(5)], 1),
        ([placeholder(-1)], 1),
        ([placeholder("0")], 1),
        ([placeholder(0.0)], 1),
        ([placeholder(False)], 1),
        ([placeholder(None)], 1),
        ([{"_placeholder": True}], 1),
        ([placeholder(1e300)], 1),
        ([[placeholder(0)] * 20_000], 1),
    ],
    ids=lambda value: str(value)[:40],
)
def test_all_else_is_refused(args: list, count: int) -> None:
    with pytest.raises(PlaceholderError):
        check_placeholders(texts(*args), count)


@given(st.permutations(range(5)), st.integers(0, 5))
def test_any_order_and_exactly_the_announced_count(numbers: list[int], count: int) -> None:
    args = texts(*[{"deep": [placeholder(number)]} for number in numbers])
    if count == 5:
        check_placeholders(args, count)
    else:
        with pytest.raises(PlaceholderError):
            check_placeholders(args, count)


def test_placeholder_number() -> None:
    assert placeholder_number(PLACEHOLDER) == 0
    assert placeholder_number(b' { "num": 3, "_placeholder": true } ') == 3
    assert placeholder_number(b'[{"_placeholder":true,"num":0}]') is None
    assert placeholder_number(b'{"_placeholder":false,"num":0}') is None


# --- collecting ------------------------------------------------------------------------------------------------------


def test_they_are_complete_with_the_last() -> None:
    attachments = Attachments(3, 10.0)
    assert attachments.add(b"a") is None
    assert attachments.add(b"") is None
    assert attachments.add(b"c") == (b"a", b"", b"c")


def test_the_bytes_are_bounded_together_exactly() -> None:
    attachments = Attachments(3, 0.0, bytes_max=10)
    assert attachments.add(b"12345") is None
    assert attachments.add(b"67890") is None
    with pytest.raises(LimitExceeded, match="limit of 10"):
        attachments.add(b"1")


def test_the_deadline_runs_from_the_header() -> None:
    assert Attachments(1, 10.0).deadline == 15.0
    assert Attachments(1, 10.0, timeout=0.25).deadline == 10.25


# --- the old type byte -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"[1]", b"{}", b' {"a": 1} ', b"null", b'"x"'])
def test_the_type_byte_is_stripped_before_json(text: bytes) -> None:
    assert strip_type_byte(b"\x04" + text) == text


@pytest.mark.parametrize(
    "data", [b"", b"[1]", b"\x04", b"\x04\x04[1]", b"\x04[1", b"\x04\xff", b"\x05[1]", b"\x01\x02"]
)
def test_all_else_stays(data: bytes) -> None:
    assert strip_type_byte(data) == data


def test_a_deep_text_behind_the_byte_is_not_decoded() -> None:
    data = b"\x04" + b"[" * 100_000
    assert strip_type_byte(data) is data


@given(st.binary())
def test_stripping_takes_the_byte_or_nothing(data: bytes) -> None:
    assert strip_type_byte(data) in (data, data[1:])
