"""What a soak found: breaches of promises, by promise, and the figures that were measured."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec

__all__ = ["BREACHES_KEPT", "Breach", "Part", "Verdict", "lines_of"]

BREACHES_KEPT: Final = 50


class Breach(msgspec.Struct, frozen=True):
    """Something that must not be: which promise (``P1`` ...), what, and when (seconds after the start)."""

    promise: str
    text: str
    at_s: float


class Part(msgspec.Struct):
    """The result of one part; what ``--json`` prints."""

    part: str
    seed: int
    seconds: float
    """How long clients and faults went on: virtual seconds in the one part, real ones in the other."""
    held: bool
    figures: dict[str, Any]
    breaches: list[Breach]
    breaches_total: int
    took_s: float = 0.0
    """Real seconds."""


class Verdict:
    """Collects breaches while a soak runs.

    Attributes:
        checked: how often each promise was looked at; one that never was is a breach itself (`require`).
    """

    def __init__(self) -> None:
        self.breaches: list[Breach] = []
        self.breaches_total = 0
        self.checked: Counter[str] = Counter()

    def check(self, promise: str, held: bool, text: str, at_s: float) -> bool:
        """Count a look at a promise; note a breach where it does not hold."""
        self.checked[promise] += 1
        if not held:
            self.breach(promise, text, at_s)
        return held

    def breach(self, promise: str, text: str, at_s: float) -> None:
        """Note a breach; the first ones are kept."""
        self.breaches_total += 1
        if len(self.breaches) < BREACHES_KEPT:
            self.breaches.append(Breach(promise, text, round(at_s, 3)))

    def require(self, promises: tuple[str, ...], at_s: float) -> None:
        """A promise that was never looked at has not held: the soak did not do its work."""
        for promise in promises:
            if not self.checked[promise]:
                self.breach(promise, "was never looked at", at_s)

    def part(self, name: str, seed: int, seconds: float, figures: dict[str, Any]) -> Part:
        """The result."""
        figures = {**figures, "checks": dict(sorted(self.checked.items()))}
        return Part(
            part=name,
            seed=seed,
            seconds=round(seconds, 1),
            held=not self.breaches_total,
            figures=figures,
            breaches=self.breaches,
            breaches_total=self.breaches_total,
        )


def lines_of(part: Part) -> list[str]:
    """A result for people."""
    verdict = "held" if part.held else f"{part.breaches_total} BREACHES"
    lines = [f"{part.part}: {verdict}, seed {part.seed}, {part.seconds:g} s in {part.took_s:.0f} s"]
    for name, value in part.figures.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {count}" for key, count in value.items())
        lines.append(f"  {name.replace('_', ' ')}: {value}")
    lines += [f"  {each.promise} at {each.at_s:g} s: {each.text}" for each in part.breaches]
    return lines
