"""Guards in front of the JSON decoder: nesting depth, and the exceptions that hostile bytes can raise."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import Final

import msgspec

from potrio.errors import LimitExceeded
from potrio.limits import JSON_DEPTH_MAX

__all__ = ["JSON_ERRORS", "check_depth"]

JSON_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on bad input: bad UTF-8 and deep nesting are *not* `msgspec.DecodeError`."""

_TO_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_TO_STEPS: Final = bytes.maketrans(b"[]", b"\x01\xff")  # +1 and -1 as signed bytes
_PASSES: Final = (
    8  # as deep as honest texts go; more passes would cost a hostile text more than counting does
)


def check_depth(data: bytes, limit: int = JSON_DEPTH_MAX) -> None:
    """Refuse a JSON text whose arrays and objects are nested deeper than `limit`.

    A text with at most `limit` opening brackets cannot be deeper: a tick ends at its length, a packet header
    at two counts (0.2 µs). Only a text with more of them (the asset table, a page of history) is scanned
    exactly. You must call this before decoding: the decoder recurses in C, and a small thread stack
    overflows before it gives up.

    Args:
        data: the JSON text; it need not be valid.
        limit: the deepest nesting accepted.

    Raises:
        LimitExceeded: the nesting is deeper. For a valid text this is exact; for an invalid one it may also
            be raised where the decoder would have stopped early, and is always raised where the decoder would
            have gone deeper.
    """
    if len(data) <= limit or data.count(b"[") + data.count(b"{") <= limit:
        return
    depth = _depth(_brackets(data))
    if depth > limit:
        raise LimitExceeded("JSON nesting depth", limit)


def _brackets(data: bytes) -> bytes:
    """Return the brackets that lie outside strings, all as square ones."""
    if (
        b"\\" in data
    ):  # escaped backslashes first, or the quote after an even run of them would count as escaped
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if b'"' in data:
        data = b"".join(data.split(b'"')[::2])
    return data.translate(_TO_SQUARE, _NOT_BRACKETS)


def _depth(brackets: bytes) -> int:
    """Return the deepest nesting: each pass removes all innermost pairs; what is left is counted one by one.

    An opening bracket is removed by the pass that is its height, so n nested ones lose at most one a pass;
    what is left and the passes therefore add up to at least n also where the text is unbalanced.
    """
    for passes in range(_PASSES):
        if not brackets:
            return passes
        brackets = brackets.replace(b"[]", b"")
    steps = array("b", brackets.translate(_TO_STEPS))
    return _PASSES + max(0, max(accumulate(steps), default=0))
