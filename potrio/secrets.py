"""A value that must never be seen: `Secret` cannot be printed, logged, pickled or encoded by accident.

What others say may repeat it all the same: a server that quotes it, a traceback whose frames had it in their hands.
`redact` takes it out of a text, `redact_error` out of an error and all that hangs on it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final, NoReturn

__all__ = ["RUN_MIN", "Secret", "redact", "redact_error"]

RUN_MIN: Final = 12
"""Characters in a row that a text shares with a secret before they are taken for a part of it: fewer than any part of a
session that is of use, more than ``session_id`` and most addresses, which live sessions hold too."""


class Secret:
    """Holds a string that only `reveal` gives back.

    ``repr``, ``str``, ``format`` and ``%`` show ``***``; pickling and copying into another process raise ``TypeError``,
    and so does msgspec, which does not know the type. Two secrets compare in constant time; hashing uses the value,
    so that a secret may be a key. The value lies in a closure, not in an attribute: ``vars()``, debuggers that print
    attributes and tracebacks that capture locals do not reach it.
    """

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a Secret holds a str, not {type(value).__name__}")
        self._reveal: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """Return the value. Each call is a place to review: `grep reveal` finds them all."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __bool__(self) -> bool:
        return bool(self._reveal())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._reveal().encode(), other._reveal().encode())

    def __hash__(self) -> int:
        return hash((Secret, self._reveal()))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied; pass on reveal() where it must leave")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


def redact(text: str, *secrets: Secret) -> str:
    """Put ``***`` for each part of the secrets in a text: all runs of `RUN_MIN` or more characters that both have.

    So they are found cut off, escaped (runs between the escapes) and inside other text; several at once, so that where
    two overlap in the text nothing is left of either. A text without them, as nearly all are, is only searched.
    """
    if not any(_may_have(text, secret.reveal()) for secret in secrets):
        return text
    windows: dict[int, set[str]] = {}
    for secret in secrets:
        value = secret.reveal()
        size = min(RUN_MIN, len(value))
        if size:
            windows.setdefault(size, set()).update(value[i : i + size] for i in range(len(value) - size + 1))
    sizes = sorted(windows, reverse=True)
    shown: list[str] = []
    end = 0  # of what is a secret's
    for i, char in enumerate(text):
        size = next((size for size in sizes if text[i : i + size] in windows[size]), 0)
        if size:
            if i >= end:
                shown.append("***")
            end = max(end, i + size)
        if i >= end:
            shown.append(char)
    return "".join(shown)


def _may_have(text: str, value: str) -> bool:
    """Is one of the pieces there, of which every part of the value that is worth hiding has one as a whole?"""
    size = (min(RUN_MIN, len(value)) + 1) // 2
    return bool(size) and any(value[i : i + size] in text for i in range(0, len(value) - size + 1, size))


def redact_error(error: BaseException, *secrets: Secret) -> None:
    """Take secrets out of an error, its causes, its contexts and the members of groups, in place.

    Their texts are redacted; their tracebacks are dropped, as those lead to frames, and frames to local variables:
    of this side, which held what was being sent, and of whatever read what the peer had to say.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        if (args := _redacted(one.args, secrets)) != one.args:
            one.args = args
        values = vars(one)  # notes among them
        values.update({name: _redacted(value, secrets) for name, value in values.items()})
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _redacted(value: Any, secrets: tuple[Secret, ...]) -> Any:
    """Redact the texts in a plain value; anything else is given back as it is."""
    match value:
        case str():
            return redact(value, *secrets)
        case bytes() | bytearray():
            return redact(value.decode("latin-1"), *secrets).encode("latin-1")
        case list():
            return [_redacted(item, secrets) for item in value]
        case tuple():
            return tuple(_redacted(item, secrets) for item in value)
        case _:
            return value
