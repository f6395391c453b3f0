"""Is memory flat? Every container that a client reaches is counted, by where it hangs; what only ever grows is a leak.

A bound that is thousands away would hide a leak for hours. So a container may only grow on and on where a bound is
known for it, and then never past that bound.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from potrio.actors.latencies import LONGEST_S
from potrio.histogram import bucket_of
from potrio.limits import (
    ANOMALIES_KEPT_MAX,
    CLOSED_DEALS_KEPT_MAX,
    ORDERS_KEPT_MAX,
    STREAM_CAPACITY,
)
from potrio.seam import Seam

__all__ = ["BOUNDS", "Census", "census", "objects", "resident_mb", "slope"]

BOUNDS: Final[Mapping[str, int]] = {
    "AccountState.closed": CLOSED_DEALS_KEPT_MAX,
    "Book.anomalies": ANOMALIES_KEPT_MAX,
    "Book.asked": ORDERS_KEPT_MAX,
    "Book.ended": ORDERS_KEPT_MAX,
    "Book.external": ORDERS_KEPT_MAX,
    "Book.handles": ORDERS_KEPT_MAX,
    "Book.orders": ORDERS_KEPT_MAX,
    "Book.owner": ORDERS_KEPT_MAX,
    "Histogram.counts": bucket_of(int(LONGEST_S * 1e6)) + 1,
    "JournalState.told": 2 * ORDERS_KEPT_MAX,
    "LinkState.counters": 64,
    "MonitorState.facts": 1000,
    "PendingBook.handles": ORDERS_KEPT_MAX,
    "PendingBook.orders": ORDERS_KEPT_MAX,
    "PendingBook.tickets": ORDERS_KEPT_MAX,
    "Stream._items": STREAM_CAPACITY,
}
"""``Class.attribute`` -> how many there may be. Others may not grow on and on."""

GROWTH_MAX: Final = 32
"""Entries by which a container without a known bound may have grown since the first look, if it grew in most looks."""

MEMBERS_MAX: Final = 64
"""Members of a container that are gone into: those of one container are of one kind."""

CONTAINERS: Final = (list, dict, set, deque, bytearray)


def census(roots: Iterable[object], packages: tuple[str, ...] = ("potrio.",)) -> dict[str, int]:
    """The largest length of each container that hangs on objects of these packages, by ``Class.attribute``."""
    found: dict[str, int] = {}
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or not type(thing).__module__.startswith(packages):
            continue
        seen.add(id(thing))
        for name, value in attributes(thing):
            if isinstance(value, CONTAINERS):
                label = f"{type(thing).__name__}.{name}"
                found[label] = max(found.get(label, 0), len(value))
            waiting.extend(members(value))
    return found


def attributes(thing: object) -> Iterator[tuple[str, Any]]:
    """What an instance holds, by name: in its dictionary, its slots, or the fields of a Struct."""
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.startswith("__"):
                yield name, getattr(thing, name, None)
    for name in getattr(thing, "__struct_fields__", ()):
        yield name, getattr(thing, name, None)


def members(value: Any) -> Iterator[Any]:
    """What to go into: a value, or the first of what is in it."""
    if isinstance(value, dict):
        for count, (key, each) in enumerate(value.items()):
            if count == MEMBERS_MAX:
                return
            yield key
            yield from members(each) if isinstance(each, (*CONTAINERS, tuple)) else (each,)
    elif isinstance(value, (list, set, deque, tuple)):
        for count, each in enumerate(value):
            if count == MEMBERS_MAX:
                return
            yield each
    else:
        yield value


class Census:
    """Looks at the same clients again and again.

    Args:
        bounds: of containers that may grow.
        growth_max: for those that are not among them.
    """

    def __init__(self, bounds: Mapping[str, int] = BOUNDS, growth_max: int = GROWTH_MAX) -> None:
        self.looks: list[dict[str, int]] = []
        self._bounds = bounds
        self._growth_max = growth_max

    def take(self, roots: Iterable[object]) -> None:
        """Look once."""
        self.looks.append(census(roots))

    def breaches(self) -> list[str]:
        """What is longer than its bound, or grows on and on."""
        if not self.looks:
            return ["nobody looked"]
        found = []
        last = self.looks[-1]
        for label, length in sorted(last.items()):
            bound = self._bounds.get(label)
            if bound is not None:
                if length > bound:
                    found.append(f"{label} has {length} entries, its bound is {bound}")
                continue
            lengths = [look.get(label, 0) for look in self.looks]
            steps = [after - before for before, after in pairwise(lengths)]
            grew = sum(step > 0 for step in steps)
            if lengths[-1] - lengths[0] > self._growth_max and 2 * grew > len(steps):
                found.append(
                    f"{label} grows on and on: {lengths[0]} ... {lengths[-1]} in {len(lengths)} looks"
                )
        return found

    def largest(self, count: int = 8) -> dict[str, int]:
        """The longest containers of the last look."""
        last = self.looks[-1] if self.looks else {}
        return dict(sorted(last.items(), key=lambda item: -item[1])[:count])


def objects() -> int:
    """How many objects the garbage collector follows, after it has run."""
    gc.collect()
    return len(gc.get_objects())


def resident_mb(seam: Seam) -> float:
    """The resident memory of this process in MB; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0.0
    pages = int(seam.read_file(Path("/proc/self/statm")).split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much the second value grows while the first grows by one: the straight line of least squares."""
    count = len(points)
    if count < 2:
        return 0.0
    middle_x = sum(x for x, _ in points) / count
    middle_y = sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0
