"""Regular expressions that cannot run away: the syntax of `re` without what needs backtracking, in linear time.

A pattern becomes a small automaton (Thompson's), and a text is read once with the set of states it may be in: the time
is at most the text's length times the pattern's, whatever either of them is. Only *whether* it matches is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from re import _parser  # type: ignore[attr-defined]  # the library's own parser has no public name since 3.11
from typing import Any, Final

from potrio.errors import ConfigError
from potrio.limits import REGEX_STATES_MAX, REGEX_TEXT_CHARS_MAX

__all__ = ["LinearRegex"]

PATTERN_CHARS_MAX: Final = 256

Test = Callable[[str], bool]
CATEGORIES: Final[dict[str, Test]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda char: not char.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda char: not char.isspace(),
    "CATEGORY_WORD": lambda char: char.isalnum() or char == "_",
    "CATEGORY_NOT_WORD": lambda char: not (char.isalnum() or char == "_"),
}
STARTS: Final = ("AT_BEGINNING", "AT_BEGINNING_STRING")
ENDS: Final = ("AT_END", "AT_END_STRING")


class _State:
    """One state: reads a character that passes ``test``, or goes on at once, where its condition holds."""

    __slots__ = ("condition", "next", "test")

    def __init__(self, test: Test | None = None, condition: str = "") -> None:
        self.test = test
        self.condition = condition
        self.next: list[_State] = []


class LinearRegex:
    """A compiled pattern.

    Args:
        pattern: the syntax of `re`: literals, classes, ``.``, groups, ``|``, all repetitions, ``^ $ \\A \\Z``. No
            flags, back-references, look-arounds, possessive or atomic parts, and no ``\\b``.

    Raises:
        ConfigError: it is no such pattern, or too large.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        if len(pattern) > PATTERN_CHARS_MAX:
            raise ConfigError("pattern", f"must have at most {PATTERN_CHARS_MAX} characters")
        try:
            parsed = _parser.parse(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ConfigError("pattern", f"is no regular expression: {error}") from None
        if parsed.state.flags & ~re.UNICODE.value:
            raise ConfigError("pattern", "flags are not supported")
        self._states = 0
        self._final = _State()
        self._start = self._sequence(parsed, self._final)

    def search(self, text: str) -> bool:
        """Is there a match anywhere in the first `REGEX_TEXT_CHARS_MAX` characters? What is beyond is not looked at."""
        text = text[:REGEX_TEXT_CHARS_MAX]
        last = len(text)
        states: dict[_State, None] = {}
        for position, char in enumerate(text):
            near_end = position == last - 1 and char == "\n"
            self._follow((self._start,), states, position, position == last, near_end)
            if self._final in states:
                return True
            reached = [
                after
                for state in states
                if state.test is not None and state.test(char)
                for after in state.next
            ]
            states = {}
            here = position + 1
            self._follow(reached, states, here, here == last, here == last - 1 and text[here] == "\n")
        self._follow((self._start,), states, last, True, False)
        return self._final in states

    def _follow(
        self, reached: Iterable[_State], into: dict[_State, None], position: int, at_end: bool, near_end: bool
    ) -> None:
        """Add the states reached, and all that can be reached from them without reading."""
        waiting = [state for state in reached if state not in into]
        while waiting:
            state = waiting.pop()
            if state in into or not _holds(state.condition, position, at_end, near_end):
                continue
            into[state] = None
            if state.test is None:
                waiting += state.next

    # --- compiling: each method returns the first state of a part whose last one leads to ``after`` ---

    def _state(self, *after: _State, test: Test | None = None, condition: str = "") -> _State:
        self._states += 1
        if self._states > REGEX_STATES_MAX:
            raise ConfigError("pattern", f"needs more than {REGEX_STATES_MAX} states: repeat less")
        state = _State(test, condition)
        state.next += after
        return state

    def _sequence(self, parts: Any, after: _State) -> _State:
        for op, value in reversed(list(parts)):
            after = self._part(str(op), value, after)
        return after

    def _part(self, op: str, value: Any, after: _State) -> _State:
        match op:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self._state(after, test=_test(op, value))
            case "BRANCH":
                return self._state(*(self._sequence(way, after) for way in value[1]))
            case "SUBPATTERN" if not value[1] and not value[2]:
                return self._sequence(value[3], after)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, part = value
                return self._repeat(least, most, part, after)
            case "AT" if str(value) in STARTS + ENDS:
                return self._state(after, condition=str(value))
            case _:
                raise ConfigError("pattern", f"{op.lower().replace('_', ' ')} is not supported")

    def _repeat(self, least: int, most: Any, part: Any, after: _State) -> _State:
        if str(most) == "MAXREPEAT":
            loop = self._state(after)
            loop.next.append(self._sequence(part, loop))
            after = loop
        else:
            if most > REGEX_STATES_MAX:
                raise ConfigError("pattern", f"repeats more than {REGEX_STATES_MAX} times")
            end = after
            for _ in range(most - least):
                after = self._state(self._sequence(part, after), end)
        if least > REGEX_STATES_MAX:
            raise ConfigError("pattern", f"repeats more than {REGEX_STATES_MAX} times")
        for _ in range(least):
            after = self._sequence(part, after)
        return after


def _holds(condition: str, position: int, at_end: bool, near_end: bool) -> bool:
    if not condition:
        return True
    if condition in STARTS:
        return position == 0
    return at_end or (near_end and condition == "AT_END")


def _test(op: str, value: Any) -> Test:
    """The test of one character."""
    match op:
        case "LITERAL":
            return chr(value).__eq__
        case "NOT_LITERAL":
            return chr(value).__ne__
        case "ANY":
            return "\n".__ne__
        case "RANGE":
            low, high = chr(value[0]), chr(value[1])
            return lambda char: low <= char <= high
        case "CATEGORY":
            return CATEGORIES[str(value)]
        case _:
            negated = bool(value) and str(value[0][0]) == "NEGATE"
            tests = [_test(str(kind), item) for kind, item in value[negated:]]
            return lambda char: any(test(char) for test in tests) is not negated
