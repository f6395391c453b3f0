"""Kinds of events: rows that fail alone, texts made showable, numbers that stay exact and finite."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import LimitExceeded, LocalProtocolError
from potrio.limits import ROWS_COMMAS_MAX
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.wire import bare, decode_rows, opaque, rows, shown, single, structured, to_json


class Row(msgspec.Struct, frozen=True, array_like=True):
    number: int
    label: str = ""


class Table(Message, frozen=True):
    table: list[Row]
    rejected: int = 0


class Thing(Message, frozen=True):
    some_name: str = "default"
    inner: list[Row] = msgspec.field(default_factory=list)


class Value(Message, frozen=True):
    value: Any = None


class Nothing(Message, frozen=True):
    pass


DECODE_ALL = msgspec.json.Decoder(list[Row]).decode
DECODE_ROW = msgspec.json.Decoder(Row).decode


@given(st.lists(st.integers(-(2**60), 2**60) | st.none(), min_size=1).filter(any))
def test_one_bad_row_does_not_lose_the_others(numbers: list[int | None]) -> None:
    payload = msgspec.json.encode([[number] for number in numbers])

    good, rejected = decode_rows(DECODE_ALL, DECODE_ROW, payload)

    assert [row.number for row in good] == [number for number in numbers if number is not None]
    assert rejected == numbers.count(None)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b'{"a":1}', msgspec.ValidationError),
        (b"[[1],", msgspec.DecodeError),
        (b'[["x"],[null]]', msgspec.ValidationError),
        (b'[[1,"\xff"]]', UnicodeDecodeError),
    ],
)
def test_no_good_row_is_an_error_not_an_empty_list(payload: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_rows(DECODE_ALL, DECODE_ROW, payload)


def test_an_empty_list_is_empty() -> None:
    assert decode_rows(DECODE_ALL, DECODE_ROW, b"[]") == ([], 0)


def test_a_row_with_bad_utf_8_is_one_bad_row() -> None:
    assert decode_rows(DECODE_ALL, DECODE_ROW, b'[[1,"\xff"],[2]]') == ([Row(2)], 1)


def test_a_list_too_long_to_be_taken_apart() -> None:
    with pytest.raises(LimitExceeded, match="commas"):
        decode_rows(DECODE_ALL, DECODE_ROW, b"[" + b"1," * (ROWS_COMMAS_MAX + 1) + b"1]")


def test_rows() -> None:
    event = rows(Table, Row, "table", "tbl")

    assert event.names == ("table", "tbl")
    assert event.decode(b'[[1,"a"],["bad"],[2]]') == Table([Row(1, "a"), Row(2)], 1)
    assert event.encode(Table([Row(1, "a")], 7)) == b'[[1,"a"]]'


def test_structured() -> None:
    event = structured(Thing, "thing")

    assert event.decode(b'{"someName":"x","later":1}') == Thing("x")
    assert event.encode(Thing("x")) == b'{"someName":"x"}'
    with pytest.raises(msgspec.DecodeError):
        event.decode(b"")


def test_structured_with_an_argument_that_may_be_missing() -> None:
    event = structured(Thing, "thing", optional=True)

    assert event.decode(b"") == event.decode(b"null") == event.decode(b"{}") == Thing()


def test_single_opaque_and_bare() -> None:
    assert single(Value, str, "v").decode(b'"x"') == Value("x")
    assert single(Value, str, "v").encode(Value("x")) == b'"x"'
    assert opaque(Value, "v").decode(b'{"a":[1,2.5]}') == Value({"a": [1, 2.5]})
    assert opaque(Value, "v").decode(b"") == opaque(Value, "v").decode(b"null") == Value()
    assert opaque(Value, "v").encode(Value()) is None
    assert bare(Nothing, "n").decode(b'{"whatever"') == Nothing()
    assert bare(Nothing, "n").encode(Nothing()) is None


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("a\x1bb", "ab"),
        (["a\n", 1, None, 2.5, True], ["a ", 1, None, 2.5, True]),
        (("x\u202e",), ("x",)),
        ({"k\x00": {"\x07": ["\x9b"]}}, {"k": {"": [""]}}),
        (Thing("a\x1b", [Row(1, "b\x7f"), Row(2, "c")]), Thing("a", [Row(1, "b"), Row(2, "c")])),
        (msgspec.Raw(b'"\\u001b"'), msgspec.Raw(b'"\\u001b"')),
    ],
)
def test_shown_cleans_texts_wherever_they_are(value: Any, clean: Any) -> None:
    assert shown(value, b"\\u001b") == clean
    assert shown(value, "é".encode()) == clean


def test_shown_takes_no_look_where_nothing_can_be() -> None:
    value = Thing("a\x1b")

    assert shown(value, b'{"plain":"ascii"}') is value


def test_shown_returns_what_is_clean_unchanged() -> None:
    value = Thing("clean", [Row(1)])

    assert shown(value, b"\\n") is value


@given(st.text(st.characters(codec="utf-8")), st.sampled_from([True, False]))
def test_what_is_decoded_is_printable_however_it_was_written(text: str, escaped: bool) -> None:
    literal = msgspec.json.encode(text)
    if escaped:
        literal = b'"' + b"".join(b"\\u%04x" % unit for unit in utf_16(text)) + b'"'

    decoded = single(Value, str, "v").decode(literal)

    assert isinstance(decoded, Value)
    assert decoded.value.isprintable()


def utf_16(text: str) -> list[int]:
    data = text.encode("utf-16-be")
    return [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("5"), b"5"),
        (Decimal("4.6"), b"4.6"),
        (Decimal("0.1") + Decimal("0.2"), b"0.3"),
        (Decimal("1.14430"), b"1.14430"),
        ({"a": None, "b": [Decimal("1E+3")]}, b'{"a":null,"b":[1E+3]}'),
    ],
)
def test_numbers_are_written_with_all_their_digits(value: Any, written: bytes) -> None:
    assert to_json(value) == written


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_numbers_that_are_not_finite_are_refused(number: Any) -> None:
    for value in (number, [number], {"a": (number,)}, Value(number), Value([None, {"b": number}])):
        with pytest.raises(LocalProtocolError, match="not finite"):
            to_json(value)


def test_texts_that_look_like_such_numbers_are_fine() -> None:
    assert to_json({"asset": "NaN", "x": None, "y": "Infinity null"})
