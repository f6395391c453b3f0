"""Where queued messages lie: trio memory channels, used only by their ``*_nowait`` calls.

Nothing here waits, wakes or counts: that is `Mailbox`. A lane belongs to the actor, not to an incarnation, and holds
both ends of its channel, so that nothing is lost when an incarnation ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any, NoReturn, Protocol

import trio

from potrio.supervision.call import Call
from potrio.supervision.mailbox_spec import Bounded, Lanes, Latest, MailboxSpec, Overflow, Unbounded

__all__ = [
    "ChannelLane",
    "Lane",
    "Stamped",
    "content",
    "long_way",
    "make_lane",
    "pop_nothing",
]


class Stamped:
    """A queued message with the moment it was queued at; used only while somebody measures that."""

    __slots__ = ("message", "queued_at")

    def __init__(self, message: Any, queued_at: float) -> None:
        self.message = message
        self.queued_at = queued_at


def content(item: Any) -> Any:
    """What the user's key and lane functions are to see: the message, or the request inside a `Call`."""
    if item.__class__ is Stamped:
        item = item.message
    return item.msg if item.__class__ is Call else item


class Lane(Protocol):
    """A queue that never waits."""

    @property
    def put(self) -> Callable[[Any], tuple[Any] | None]:
        """Append an item. Returns the item it replaced as a tuple of one, or None; `trio.WouldBlock` when full."""

    @property
    def pop(self) -> Callable[[], Any]:
        """Take the next item. Raises `trio.WouldBlock` when empty."""

    def overflow(self, item: Any) -> Overflow:
        """What to do with an item for which there was no room."""

    def drop_oldest(self, item: Any) -> Any:
        """Take out the item that must make room for this one."""

    def __len__(self) -> int: ...


class ChannelLane:
    """First in, first out, over one memory channel."""

    __slots__ = ("_overflow", "_receive", "_send", "pop", "put")

    def __init__(self, capacity: float, overflow: Overflow) -> None:
        send, receive = trio.open_memory_channel[Any](capacity)
        self._send = send
        self._receive = receive
        self._overflow = overflow
        self.put: Callable[[Any], tuple[Any] | None] = send.send_nowait
        self.pop: Callable[[], Any] = receive.receive_nowait

    def overflow(self, item: Any) -> Overflow:
        return self._overflow

    def drop_oldest(self, item: Any) -> Any:
        return self._receive.receive_nowait()

    def __len__(self) -> int:
        return self._receive.statistics().current_buffer_used


class LatestLane:
    """The newest item of each key, in the order of the keys' first unread items."""

    __slots__ = ("_items", "_key")

    def __init__(self, key: Callable[[Any], Hashable]) -> None:
        self._key = key
        self._items: dict[Hashable, Any] = {}

    def put(self, item: Any) -> tuple[Any] | None:
        inner = item.message if item.__class__ is Stamped else item
        # Each request is a question of its own: replacing one would leave its asker without an answer.
        key: Hashable = ("call", id(inner)) if inner.__class__ is Call else ("key", self._key(inner))
        old = (self._items[key],) if key in self._items else None
        self._items[key] = item  # an existing key keeps its place in a dict
        return old

    def pop(self) -> Any:
        try:
            return self._items.pop(next(iter(self._items)))
        except StopIteration:
            raise trio.WouldBlock from None

    def overflow(self, item: Any) -> Overflow:
        raise AssertionError("a latest lane has room for every key")

    def drop_oldest(self, item: Any) -> Any:
        raise AssertionError("a latest lane has room for every key")

    def __len__(self) -> int:
        return len(self._items)


class PriorityLanes:
    """Several lanes; the first is emptied before the second is looked at."""

    __slots__ = ("_choose", "_lanes")

    def __init__(self, lanes: tuple[Lane, ...], choose: Callable[[Any], int]) -> None:
        self._lanes = lanes
        self._choose = choose

    def _lane(self, item: Any) -> Lane:
        return self._lanes[self._choose(content(item))]

    def put(self, item: Any) -> tuple[Any] | None:
        return self._lane(item).put(item)

    def pop(self) -> Any:
        for lane in self._lanes:
            try:
                return lane.pop()
            except trio.WouldBlock:
                continue
        raise trio.WouldBlock

    def overflow(self, item: Any) -> Overflow:
        return self._lane(item).overflow(item)

    def drop_oldest(self, item: Any) -> Any:
        return self._lane(item).drop_oldest(item)

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes)


def make_lane(spec: MailboxSpec[Any]) -> Lane:
    """Build the queue that a mailbox spec describes."""
    match spec:
        case Bounded(capacity=capacity, overflow=overflow):
            return ChannelLane(capacity, overflow)
        case Unbounded():
            return ChannelLane(UNBOUNDED, "reject")
        case Latest(key=key):
            return LatestLane(key)
        case Lanes(specs=specs, lane=choose):
            return PriorityLanes(tuple(make_lane(each) for each in specs), choose)
        case _:
            raise AssertionError(f"not a mailbox spec: {spec!r}")


UNBOUNDED = math.inf
"""The capacity of `unbounded()`, which somebody has asked for by name."""


def pop_nothing() -> Any:
    """Take from a queue that has not been made yet."""
    raise trio.WouldBlock


def long_way(item: Any) -> NoReturn:
    """Put where more has to be done than to append: as if there were no room."""
    raise trio.WouldBlock
