"""Binary attachments of a Socket.IO packet: the placeholders that stand for them, and their collecting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from potrio.errors import LimitExceeded
from potrio.limits import ATTACHMENTS_BYTES_MAX, ATTACHMENTS_TIMEOUT
from potrio.protocol.json_guard import JSON_ERRORS, check_depth

__all__ = [
    "ATTACHMENTS_BYTES",
    "PLACEHOLDER",
    "Attachments",
    "PlaceholderError",
    "check_placeholders",
    "placeholder_number",
    "strip_type_byte",
]

PLACEHOLDER: Final = b'{"_placeholder":true,"num":0}'
"""Stands for the first attachment. Compact: with a space after a colon some clients miss events."""

ATTACHMENTS_BYTES: Final = "bytes of the attachments of one packet"
"""What `LimitExceeded` says of them."""

_EIO3_TYPE_BYTE: Final = b"\x04"

_any_decoder: Final = msgspec.json.Decoder()
_raw_decoder: Final = msgspec.json.Decoder(msgspec.Raw)


class PlaceholderError(ValueError):
    """The placeholders and the attachments do not match. Whose fault that is, the caller knows."""


def check_placeholders(args: Iterable[bytes], count: int) -> None:
    """Check that each of `count` attachments is used exactly once, at any depth of the arguments.

    A number out of range reads what is not there, and one used twice lets a small packet grow into a large
    one when it is passed on; so both are refused, though the specification is silent on the second.

    Args:
        args: JSON texts whose nesting has been checked.
        count: the number of attachments that were announced.

    Raises:
        PlaceholderError: a number is no integer, out of range, missing, or used twice.
    """
    unused = set(range(count))
    waiting = [_any_decoder.decode(arg) for arg in args]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if value.get("_placeholder") is not True:
                waiting.extend(value.values())
                continue
            number = value.get("num")
            if type(number) is not int or number not in unused:
                raise PlaceholderError("a placeholder is out of range, used twice or not a number")
            unused.remove(number)
    if unused:
        raise PlaceholderError("an attachment has no placeholder")


def placeholder_number(arg: bytes) -> int | None:
    """Return the attachment number that a checked argument stands for, or None where it is no placeholder."""
    value = _any_decoder.decode(arg)
    if isinstance(value, dict) and value.get("_placeholder") is True:
        number: int = value["num"]
        return number
    return None


def strip_type_byte(data: bytes) -> bytes:
    """Drop the packet type byte 0x04 that Engine.IO 3 put in front of binary data, where JSON follows it.

    No JSON text begins with that byte, so that nothing else can be meant.
    """
    if data[:1] != _EIO3_TYPE_BYTE:
        return data
    rest = data[1:]
    try:
        check_depth(rest)
        _raw_decoder.decode(rest)
    except (*JSON_ERRORS, LimitExceeded):
        return data
    return rest


class Attachments:
    """The attachments of one packet while they arrive.

    Bounded three ways: by the announced count (the packet decoder has checked it), by their bytes together,
    and by the time until the last has come. `deadline` is that time; at it, they are late.
    """

    __slots__ = ("_bytes_left", "_bytes_max", "_count", "_parts", "deadline")

    def __init__(
        self,
        count: int,
        now: float,
        *,
        bytes_max: int = ATTACHMENTS_BYTES_MAX,
        timeout: float = ATTACHMENTS_TIMEOUT,
    ) -> None:
        assert count > 0, "a packet without attachments is complete at once"
        self.deadline = now + timeout
        self._count = count
        self._bytes_max = self._bytes_left = bytes_max
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> tuple[bytes, ...] | None:
        """Take the next one; return all of them once they are complete.

        Raises:
            LimitExceeded: together they are too large.
        """
        assert len(self._parts) < self._count
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise LimitExceeded(ATTACHMENTS_BYTES, self._bytes_max)
        self._parts.append(data)
        return tuple(self._parts) if len(self._parts) == self._count else None
