"""A seam whose wall clock runs faster or slower: for a recording played at another speed, whose stamps do the same."""

from __future__ import annotations

from typing import Any

from potrio.seam import Seam

__all__ = ["AtSpeed"]


class AtSpeed(Seam):
    """Another seam in all but its wall clock, which runs ``speed`` times as fast from its first look on."""

    def __init__(self, seam: Seam, speed: float) -> None:
        self._seam = seam
        self._speed = speed
        self._from: float | None = None

    def wall(self) -> float:
        """The wall clock, faster or slower."""
        now = self._seam.wall()
        if self._from is None:
            self._from = now
        return self._from + (now - self._from) * self._speed

    def __getattribute__(self, name: str) -> Any:
        if name in ("wall", "_seam", "_speed", "_from") or name.startswith("__"):
            return super().__getattribute__(name)
        return getattr(self._seam, name)
