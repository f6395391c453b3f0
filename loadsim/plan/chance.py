"""Chance by counting: an independent stream of numbers for every (seed, purpose, client), in one integer of state.

SplitMix64 (Steele, Lea, Flood, 2014): what a client draws depends on nothing but its own key and how often it has
drawn, so that neither the number of shards nor what other clients do changes anything (`random.Random` for each
client would cost 2.5 KB).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Chance"]

T = TypeVar("T")

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


class Chance:
    """A stream of numbers.

    Args:
        seed: of the run.
        purpose: what the numbers are for: different purposes of one client are independent.
        index: of the client, or 0.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int, purpose: str, index: int = 0) -> None:
        key = f"{seed}/{purpose}/{index}".encode()
        self._state = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")

    def bits(self) -> int:
        """64 of them."""
        self._state = (self._state + GOLDEN) & MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        return mixed ^ (mixed >> 31)

    def uniform(self) -> float:
        """From 0 to below 1."""
        return (self.bits() >> 11) / (1 << 53)

    def exponential(self) -> float:
        """With mean 1."""
        return -math.log(1.0 - self.uniform())

    def normal(self) -> float:
        """With mean 0 and deviation 1 (Box-Muller; the second of each pair is not used)."""
        return math.sqrt(2 * self.exponential()) * math.cos(2 * math.pi * self.uniform())

    def below(self, limit: int) -> int:
        """A whole number from 0 to below ``limit``."""
        return self.bits() * limit >> 64

    def choice(self, options: Sequence[T]) -> T:
        """One of several."""
        return options[self.below(len(options))]
