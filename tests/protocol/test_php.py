"""PHP's serialisation: values come back, lengths are bytes, and a fault is told by its byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.protocol.php import PhpError, read_php
from potrio.testing.ssids import php_values, write_php


@settings(deadline=None)
@given(php_values())
def test_what_is_written_is_read(value: Any) -> None:
    back = read_php(write_php(value).encode())

    assert back == value
    assert type(back) is type(value)


@settings(deadline=None)
@given(st.binary(max_size=60) | php_values().map(lambda value: write_php(value).encode()[:-1]))
def test_anything_else_ends_in_one_error(data: bytes) -> None:
    try:
        read_php(data)
    except PhpError as error:
        where, why = error.byte, str(error)
    else:
        return
    assert 0 <= where <= len(data)
    assert why.endswith(f"at byte {where}")


@settings(deadline=None)
@given(php_values(), st.data())
def test_every_truncation_is_found(value: Any, data: st.DataObject) -> None:
    whole = write_php(value).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(PhpError):
        read_php(whole[:cut])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "the text ends at byte 0"),
        (b"i:5;i:6;", "something follows the end of the value at byte 4"),
        (b"i:five;", "an integer is malformed at byte 0"),
        (b"i:99999999999999999999;", "an integer is malformed at byte 0"),
        (b"b:2;", "a boolean is malformed at byte 0"),
        (b"d:1.2.3;", "a float is malformed at byte 0"),
        (b's:3:"ab";', "a string is cut off at byte 0"),
        (b's:1:"ab";', "a string is not as long as it says at byte 0"),
        (b's:3:"ab";i:1;', "a string is not as long as it says at byte 0"),
        ('s:1:"é";'.encode(), "a string is not as long as it says at byte 0"),
        (b's:9999999:"ab";', "a string is cut off at byte 0"),
        (b"s:x", "a string is malformed at byte 0"),
        (b'a:1:{s:1:"k";s:2:"a";}', "a string is not as long as it says at byte 13"),
        (b"a:1:{N;i:1;}", "a key is neither an integer nor a string at byte 5"),
        (b"a:1:{b:1;i:1;}", "a key is neither an integer nor a string at byte 5"),
        (b"a:1:{i:0;i:1;i:2;}", "an array does not end after the items it announces at byte 13"),
        (b"a:2:{i:0;i:1;}", "the text ends at byte 13"),
        (b"a:2:{i:0;i:1;}}", "no value of a known type begins at byte 13"),
        (b"a:1001:{", "an array has more than 1000 items at byte 0"),
        (b"a:x", "an array is malformed at byte 0"),
        (b'O:8:"stdClass":0:{}', "no value of a known type begins at byte 0"),
        (b"a:1:{i:0;" * 9 + b"N;" + b"}" * 9, "arrays are nested deeper than 8 at byte 77"),
    ],
)
def test_faults(data: bytes, fault: str) -> None:
    with pytest.raises(PhpError) as caught:
        read_php(data)

    assert str(caught.value) == fault


def test_lengths_are_bytes_and_strings_may_hold_quotes() -> None:
    assert read_php('s:8:"é";"日";'.encode()) == 'é";"日'


def test_deep_enough() -> None:
    assert read_php(b"a:1:{i:0;" * 8 + b"N;" + b"}" * 8)


def test_special_floats() -> None:
    assert read_php(b"d:-INF;") == float("-inf")
    assert read_php(b"d:1.0E+25;") == 1e25
