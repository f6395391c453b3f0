"""A value that must never be seen: `Secret` cannot be printed, logged, pickled or encoded by accident."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["Secret"]


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
