"""`Cache`: a bounded map that forgets what is old (TTL) and what nobody asks for (LRU), and counts what it does.

It reads no clock: every call takes ``now``, of any clock that does not run backwards (`Seam.now`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

__all__ = ["Cache", "CacheStatistics"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CacheStatistics(msgspec.Struct, frozen=True):
    """Counters of one cache. A ``put`` of a new key ends in evicted, expired or invalidated, or is in ``size``."""

    size: int
    hits: int
    misses: int
    evicted: int
    expired: int
    invalidated: int


class Cache(Generic[K, V]):
    """At most ``capacity`` values, none of them handed out once it is ``ttl_s`` old."""

    def __init__(self, capacity: int, ttl_s: float) -> None:
        if capacity < 1 or not ttl_s > 0:
            raise ValueError(f"a cache has room and time: not capacity {capacity}, ttl_s {ttl_s}")
        self.capacity = capacity
        self.ttl_s = ttl_s
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()  # least recently used first
        self._hits = self._misses = self._evicted = self._expired = self._invalidated = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, now: float) -> V | None:
        """Return the value, or None where there is none that is young enough; counted as hit or miss."""
        entry = self._entries.get(key)
        if entry is not None and now - entry[0] >= self.ttl_s:
            del self._entries[key]
            self._expired += 1
            entry = None
        if entry is None:
            self._misses += 1
            return None
        self._hits += 1
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: K, value: V, now: float) -> None:
        """Keep a value from now on; where there is no room, what is too old goes, else the least recently used."""
        if key not in self._entries and len(self._entries) >= self.capacity and not self._expire(now):
            self._entries.popitem(last=False)
            self._evicted += 1
        self._entries[key] = (now, value)
        self._entries.move_to_end(key)

    def invalidate(self, stale: Callable[[K], bool] | None = None) -> int:
        """Forget everything, or the keys that ``stale`` names; returns how many."""
        gone = [key for key in self._entries if stale is None or stale(key)]
        for key in gone:
            del self._entries[key]
        self._invalidated += len(gone)
        return len(gone)

    def statistics(self) -> CacheStatistics:
        """The counters now."""
        return CacheStatistics(
            len(self._entries), self._hits, self._misses, self._evicted, self._expired, self._invalidated
        )

    def _expire(self, now: float) -> bool:
        """Forget what is too old; returns whether there was anything."""
        gone = [key for key, (since, _) in self._entries.items() if now - since >= self.ttl_s]
        for key in gone:
            del self._entries[key]
        self._expired += len(gone)
        return bool(gone)
