"""A reader of PHP's serialisation, as far as sessions need it: it names the byte where a text goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

__all__ = ["PhpError", "PhpValue", "read_php"]

PhpValue: TypeAlias = "bool | int | float | str | dict[int | str, PhpValue] | None"

DEPTH_MAX: Final = 8
ITEMS_MAX: Final = 1000
"""A session is one flat array of four; anything beyond these is no session."""

_INTEGER: Final = re.compile(rb"i:(-?[0-9]{1,19});")
_BOOLEAN: Final = re.compile(rb"b:([01]);")
_FLOAT: Final = re.compile(rb"d:(-?[0-9.]{1,40}(?:[eE][+-]?[0-9]{1,4})?|-?INF|NAN);")
_STRING: Final = re.compile(rb's:([0-9]{1,9}):"')
_ARRAY: Final = re.compile(rb"a:([0-9]{1,9}):\{")


class PhpError(ValueError):
    """The text is not PHP's. ``byte`` says where; the text never repeats what stands there."""

    def __init__(self, byte: int, reason: str) -> None:
        super().__init__(byte, reason)
        self.byte = byte
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason} at byte {self.byte}"


def read_php(data: bytes) -> PhpValue:
    """Read one serialised value: null, bool, int, float, string, or array. Objects are refused.

    Raises:
        PhpError: it is something else, or does not end where it should.
    """
    value, position = _value(data, 0, 0)
    if position != len(data):
        raise PhpError(position, "something follows the end of the value")
    return value


def _value(data: bytes, position: int, depth: int) -> tuple[PhpValue, int]:
    if depth > DEPTH_MAX:
        raise PhpError(position, f"arrays are nested deeper than {DEPTH_MAX}")
    kind = data[position : position + 2]
    if kind == b"N;":
        return None, position + 2
    reader = _READERS.get(kind)
    if reader is None:
        raise PhpError(
            position, "the text ends" if len(data) - position < 2 else "no value of a known type begins"
        )
    return reader(data, position, depth)


def _integer(data: bytes, position: int, depth: int) -> tuple[PhpValue, int]:
    match = _matched(_INTEGER, data, position, "an integer is malformed")
    return int(match[1]), match.end()


def _boolean(data: bytes, position: int, depth: int) -> tuple[PhpValue, int]:
    match = _matched(_BOOLEAN, data, position, "a boolean is malformed")
    return match[1] == b"1", match.end()


def _float(data: bytes, position: int, depth: int) -> tuple[PhpValue, int]:
    match = _matched(_FLOAT, data, position, "a float is malformed")
    try:
        return float(match[1]), match.end()
    except ValueError:
        raise PhpError(position, "a float is malformed") from None


def _string(data: bytes, position: int, depth: int) -> tuple[PhpValue, int]:
    match = _matched(_STRING, data, position, "a string is malformed")
    end = match.end() + int(match[1])
    if data[end : end + 2] != b'";':
        if end + 2 > len(data):
            raise PhpError(position, "a string is cut off")
        raise PhpError(position, "a string is not as long as it says")
    try:
        return data[match.end() : end].decode(), end + 2
    except UnicodeDecodeError:
        raise PhpError(position, "a string is not as long as it says") from None  # it ends inside a character


def _array(data: bytes, position: int, depth: int) -> tuple[PhpValue, int]:
    match = _matched(_ARRAY, data, position, "an array is malformed")
    count, position = int(match[1]), match.end()
    if count > ITEMS_MAX:
        raise PhpError(match.start(), f"an array has more than {ITEMS_MAX} items")
    items: dict[int | str, PhpValue] = {}
    for _ in range(count):
        at = position
        key, position = _value(data, position, depth + 1)
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise PhpError(at, "a key is neither an integer nor a string")
        items[key], position = _value(data, position, depth + 1)
    if data[position : position + 1] != b"}":
        raise PhpError(position, "an array does not end after the items it announces")
    return items, position + 1


def _matched(pattern: re.Pattern[bytes], data: bytes, position: int, reason: str) -> re.Match[bytes]:
    match = pattern.match(data, position)
    if match is None:
        raise PhpError(position, reason)
    return match


_READERS: Final[dict[bytes, Callable[[bytes, int, int], tuple[PhpValue, int]]]] = {
    b"i:": _integer,
    b"b:": _boolean,
    b"d:": _float,
    b"s:": _string,
    b"a:": _array,
}
