"""Who has gone silent: a shard reports every second, and what does not is stalled, then lost (rule 7). Pure."""

from __future__ import annotations

from typing import Literal

__all__ = ["LOST_AFTER_S", "STALLED_AFTER_S", "Watchdog"]

STALLED_AFTER_S = 3.0
LOST_AFTER_S = 10.0


class Watchdog:
    """When each shard was heard of last, on one clock."""

    def __init__(self) -> None:
        self._heard: dict[int, float] = {}

    def heard(self, shard: int, now: float) -> None:
        """This shard has said something, or need not say anything before then: the later of the two counts."""
        self._heard[shard] = max(now, self._heard.get(shard, now))

    def forget(self, shard: int) -> None:
        """It has ended: nothing more is expected."""
        self._heard.pop(shard, None)

    def state(self, shard: int, now: float) -> Literal["alive", "stalled", "lost"]:
        """How it looks."""
        silent_s = now - self._heard.get(shard, now)
        if silent_s >= LOST_AFTER_S:
            return "lost"
        return "stalled" if silent_s >= STALLED_AFTER_S else "alive"

    def next_look(self, now: float) -> float:
        """When something may change: to look then is early enough."""
        limits = (STALLED_AFTER_S, LOST_AFTER_S)
        due = [heard + limit for heard in self._heard.values() for limit in limits if heard + limit > now]
        return min(due, default=now + STALLED_AFTER_S)
