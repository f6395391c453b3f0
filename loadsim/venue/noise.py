"""Chance as a pure function: 64-bit noise from integers, the same on every machine, in any order of asking.

The market must give the price of any moment, also one far in the past, without walking there, and the same again
after a restart. So nothing here keeps state between questions: a number is drawn from *what it is for*
(seed, asset, level, index) by the finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
generators", 2014). It is for simulation, never for secrets.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Noise", "mix"]

MASK: Final = (1 << 64) - 1
GOLDEN: Final = 0x9E3779B97F4A7C15
NORMAL_SCALE: Final = 1.0 / 37_837.0
"""Four 16-bit uniforms have together a standard deviation of 65536 * sqrt(4 / 12): this makes it 1."""


def mix(*parts: int) -> int:
    """Return a 64-bit number that depends on every bit of every part, and on their order."""
    state = 0
    for part in parts:
        state = (state ^ (part & MASK)) * GOLDEN & MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & MASK
        state ^= state >> 31
    return state


class Noise:
    """A short stream of numbers from one key; made where it is used and thrown away."""

    __slots__ = ("_state",)

    def __init__(self, *key: int) -> None:
        self._state = mix(*key)

    def bits(self) -> int:
        """Return 64 random bits."""
        self._state = state = (self._state + GOLDEN) & MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & MASK
        return state ^ (state >> 31)

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        return (self.bits() >> 11) * 2.0**-53

    def below(self, count: int) -> int:
        """Return an integer in [0, count); the bias of the modulus is under one in 10**15 here."""
        return self.bits() % count

    def normal(self) -> float:
        """Return a number of mean 0 and standard deviation 1, within +-3.47: a bell without far tails."""
        bits = self.bits()
        total = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48)
        return (total - 131_070) * NORMAL_SCALE
