"""Matchers: which raw events are meant, as values that combine with ``&``, ``|``, ``~`` and print as they are written.

Pure. A matcher looks at one `RawEvent` and says yes or no; none can fail, and none takes longer than the event is long
(`custom` ones excepted, which are yours). ``text`` is the event as it is written in JSON: ``["name",payload]``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec

from potrio.errors import ConfigError, LimitExceeded
from potrio.protocol.json_guard import JSON_ERRORS, check_depth
from potrio.protocol.linear_regex import LinearRegex

__all__ = [
    "ANYTHING",
    "NOTHING",
    "Custom",
    "Matcher",
    "Part",
    "RawEvent",
    "all_of",
    "any_of",
    "contains",
    "custom",
    "ends_with",
    "equals",
    "event",
    "fits",
    "json_at",
    "regex",
    "starts_with",
]

T = TypeVar("T")
Part = Literal["text", "name", "payload"]
MISSING: Final = object()


class RawEvent(msgspec.Struct, frozen=True):
    """One event as it came: its name, the JSON of its first argument (empty for none), and when (trio's clock).

    Your session token is never in it: where the venue repeats it, ``***`` stands.
    """

    name: str
    payload: bytes = b""
    at: float = 0.0

    @property
    def text(self) -> str:
        """The event as JSON: ``["name",payload]``; bytes that are no UTF-8 are replaced."""
        name = msgspec.json.encode(self.name).decode()
        return f"[{name},{self.payload_text}]" if self.payload else f"[{name}]"

    @property
    def payload_text(self) -> str:
        """The payload as text; bytes that are no UTF-8 are replaced."""
        return self.payload.decode("utf-8", "replace")

    def json(self, type: type[T] | Any = Any) -> T | Any:
        """Decode the payload.

        Raises:
            ValueError: it is no JSON, nests too deep, or does not fit ``type``.
        """
        try:
            check_depth(self.payload)
            return msgspec.json.decode(self.payload, type=type)
        except (*JSON_ERRORS, LimitExceeded) as error:
            raise ValueError(f"the payload of {self.name!r} does not fit: {error}") from None

    def without(self, prefix: str = "", suffix: str = "") -> str:
        """The payload's text without these, where it has them."""
        return self.payload_text.removeprefix(prefix).removesuffix(suffix)

    def part(self, part: Part) -> str:
        """One of its texts."""
        if part == "name":
            return self.name
        return self.text if part == "text" else self.payload_text


class Matcher:
    """Says of an event whether it is meant. Combine: ``a & b``, ``a | b``, ``~a``."""

    __slots__ = ()

    def __call__(self, event: RawEvent) -> bool:
        raise NotImplementedError

    def __and__(self, other: Matcher) -> Matcher:
        return all_of(self, other)

    def __or__(self, other: Matcher) -> Matcher:
        return any_of(self, other)

    def __invert__(self) -> Matcher:
        return self.inner if isinstance(self, _Not) else _Not(self)

    @property
    def errors(self) -> int:
        """How often the custom functions in here have raised; each time counted as "no"."""
        return sum(one.raised for one in self.customs())

    def customs(self) -> frozenset[Custom]:
        """The custom functions in here."""
        return frozenset()


class _Test(Matcher):
    """One look at one part of an event."""

    __slots__ = ("_show", "_test")

    def __init__(self, show: str, test: Callable[[RawEvent], bool]) -> None:
        self._show = show
        self._test = test

    def __call__(self, event: RawEvent) -> bool:
        return self._test(event)

    def __repr__(self) -> str:
        return self._show


class Custom(Matcher):
    """A function of yours; where it raises, the answer is no."""

    __slots__ = ("_function", "_show", "raised")

    def __init__(self, show: str, function: Callable[[RawEvent], object]) -> None:
        self._function = function
        self._show = show
        self.raised = 0

    def __call__(self, event: RawEvent) -> bool:
        try:
            return bool(self._function(event))
        except Exception:  # noqa: BLE001 - somebody else's function must not end the router; counted in `errors`
            self.raised += 1
            return False

    def customs(self) -> frozenset[Custom]:
        return frozenset((self,))

    def __repr__(self) -> str:
        return self._show


class _Not(Matcher):
    __slots__ = ("inner",)

    def __init__(self, inner: Matcher) -> None:
        self.inner = inner

    def __call__(self, event: RawEvent) -> bool:
        return not self.inner(event)

    def customs(self) -> frozenset[Custom]:
        return self.inner.customs()

    def __repr__(self) -> str:
        return f"~{_shown(self.inner)}"


class _Many(Matcher):
    """All of several, or any of them, asked in order until one decides."""

    __slots__ = ("members", "wants_all")

    def __init__(self, wants_all: bool, members: tuple[Matcher, ...]) -> None:
        self.wants_all = wants_all
        self.members = members

    def __call__(self, event: RawEvent) -> bool:
        wants_all = self.wants_all
        for member in self.members:
            if member(event) is not wants_all:
                return not wants_all
        return wants_all

    def customs(self) -> frozenset[Custom]:
        return frozenset[Custom]().union(*(member.customs() for member in self.members))

    def __repr__(self) -> str:
        if not self.members:
            return "ANYTHING" if self.wants_all else "NOTHING"
        return (" & " if self.wants_all else " | ").join(map(_shown, self.members))


def _shown(matcher: Matcher) -> str:
    return f"({matcher!r})" if isinstance(matcher, _Many) and len(matcher.members) > 1 else repr(matcher)


# --- making them -----------------------------------------------------------------------------------------------------


def all_of(*matchers: Matcher) -> Matcher:
    """All of these; of none: anything."""
    return _Many(True, tuple(map(_checked, matchers)))


def any_of(*matchers: Matcher) -> Matcher:
    """Any of these; of none: nothing."""
    return _Many(False, tuple(map(_checked, matchers)))


def event(*names: str) -> Matcher:
    """Events of these names."""
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError("event", "name at least one event")
    wanted = frozenset(names)
    return _Test(f"event({', '.join(map(repr, names))})", lambda event: event.name in wanted)


def starts_with(prefix: str, of: Part = "text") -> Matcher:
    """The text (or the name, or the payload) begins with this."""
    return _on("starts_with", prefix, of, lambda text: text.startswith(prefix))


def ends_with(suffix: str, of: Part = "text") -> Matcher:
    """It ends with this."""
    return _on("ends_with", suffix, of, lambda text: text.endswith(suffix))


def contains(needle: str, of: Part = "text") -> Matcher:
    """It has this in it."""
    return _on("contains", needle, of, lambda text: needle in text)


def equals(text: str, of: Part = "text") -> Matcher:
    """It is this."""
    return _on("equals", text, of, lambda found: found == text)


def regex(pattern: str, of: Part = "text") -> Matcher:
    """A match of this pattern is in it: the syntax of `re` that can be matched in linear time (`LinearRegex`).

    Raises:
        ConfigError: it is no such pattern.
    """
    return _on("regex", pattern, of, LinearRegex(pattern).search)


def json_at(path: str, wanted: object = MISSING) -> Matcher:
    """The payload has something at a path (``"deals.0.asset"``): anything, this value, or what this function accepts.

    A function that raises means no, and is counted.
    """
    keys = path.split(".") if path else []
    function: Callable[[Any], object] | None = wanted if callable(wanted) else None

    def look(event: RawEvent) -> object:
        try:
            value = event.json()
            for key in keys:
                value = value[int(key)] if isinstance(value, list) else value[key]
        except (ValueError, LookupError, TypeError):
            return False
        return wanted is MISSING or (function(value) if function is not None else value == wanted)

    shown = "" if wanted is MISSING else f", {getattr(wanted, '__name__', None) or repr(wanted)}"
    return Custom(f"json_at({path!r}{shown})", look)


def fits(type: Any) -> Matcher:
    """The payload can be decoded as this type: a schema."""

    def look(event: RawEvent) -> bool:
        try:
            event.json(type)
        except ValueError:
            return False
        return True

    return _Test(f"fits({getattr(type, '__name__', repr(type))})", look)


def custom(function: Callable[[RawEvent], object], name: str = "") -> Matcher:
    """What your function says; where it raises that is a no, and is counted in `Matcher.errors`. It must not wait."""
    if not callable(function):
        raise ConfigError("custom", "must be a function of one event")
    return Custom(f"custom({name or getattr(function, '__name__', 'function')})", function)


def _checked(matcher: Matcher) -> Matcher:
    if not isinstance(matcher, Matcher):
        raise ConfigError(
            "matcher", f"must be a Matcher, not {type(matcher).__name__}; wrap functions in custom()"
        )
    return matcher


def _on(kind: str, text: str, of: Part, look: Callable[[str], bool]) -> Matcher:
    if not isinstance(text, str):
        raise ConfigError(kind, f"must be text, not {type(text).__name__}")
    if of not in get_args(Part):
        raise ConfigError("of", f"must be one of {', '.join(get_args(Part))}, not {of!r}")
    shown = f"{kind}({text!r})" if of == "text" else f"{kind}({text!r}, of={of!r})"
    return _Test(shown, lambda event: look(event.part(of)))


ANYTHING: Final = all_of()
NOTHING: Final = any_of()
