"""One price path per asset, read at any scale: a tick, a minute and a day of it always agree.

The path is laid out from the coarse to the fine. A day has a first, last, highest and lowest price; it is split into
parts whose own four prices fit it exactly, those into smaller ones, down to five seconds, which are ten ticks. So a
candle of a day costs one look and not 172 800, and a tick of any day costs nine. Nothing is stored: each split is
drawn from (seed, asset, level, index) and can be drawn again.

Laws, checked by property tests:
* the first price of the first part is the first of the whole, the last of the last part the last of the whole;
* the highest of the parts is the highest of the whole, the lowest the lowest;
* prices are whole *points* (the last decimal of the asset), so that all of this is exact.

Times are venue stamps (`protocol.md` 6.0), not Unix time: candles of a venue lie on its own clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from loadsim.venue.noise import Noise, mix

__all__ = ["LEAF_S", "LEAF_TICKS", "LEVELS_S", "Path", "Span", "Walk", "leaf_ticks", "split"]

LEVELS_S: Final = (86_400, 14_400, 3_600, 1_800, 900, 300, 60, 15, 5)
"""Seconds of a span at each level; each divides the one before, and together they make up every chart period."""

LEAF_S: Final = 5
LEAF_TICKS: Final = 10
TICK_SLOT_MS: Final = 500
TICK_JITTER_MS: Final = 450
"""Two ticks a second (`protocol.md` 5.4), each somewhere in the first nine tenths of its half second."""

OCTAVES: Final = 9
RANGE_OF_SIGMA: Final = 1.6
"""A random walk's range is about 1.6 standard deviations of its end (Feller 1951)."""

ROUGHNESS: Final = 0.7
"""How far, in standard deviations of a part, the parts' ends stray from the straight course."""

CACHE_SPANS: Final = 8_192
"""Splits kept in memory, for all assets together: about 15 MB when full."""


class Span(NamedTuple):
    """The four prices of a stretch of time, in points."""

    first: int
    last: int
    high: int
    low: int


class Walk(NamedTuple):
    """What tells one asset's path from another's."""

    key: int
    base: int
    volatility: float


def split(span: Span, parts: int, noise: Noise, tick_points: float) -> tuple[Span, ...]:
    """Cut a span into ``parts`` equal ones that together are exactly it."""
    first, last, high, low = span
    turns = _turns(span, noise)
    course = _course(span, turns)
    tops = {min(int(at * parts), parts - 1) for at, value in turns if value == high}
    bottoms = {min(int(at * parts), parts - 1) for at, value in turns if value == low}
    sigma = (high - low) / (RANGE_OF_SIGMA * math.sqrt(parts))
    found: list[Span] = []
    start = first
    for index in range(parts):
        if index == parts - 1:
            end = last
        else:
            end = _within(round(course((index + 1) / parts) + ROUGHNESS * sigma * noise.normal()), low, high)
        reach = noise.bits()
        above = max(start, end) + int(sigma * (reach & 0xFFFF) / 0x10000)
        below = min(start, end) - int(sigma * (reach >> 16 & 0xFFFF) / 0x10000)
        top = high if index in tops else min(above, high)
        bottom = low if index in bottoms else max(below, low)
        found.append(Span(start, end, top, bottom))
        start = _within(end + round(tick_points * noise.normal()), low, high)
    return tuple(found)


def leaf_ticks(span: Span, noise: Noise) -> tuple[tuple[int, int], ...]:
    """Return the ten ticks of a five-second span as ``(milliseconds from its start, points)``."""
    first, last, high, low = span
    turns = _turns(span, noise)
    course = _course(span, turns)
    fixed = {0: first, LEAF_TICKS - 1: last}
    for at, value in turns:
        place = min(max(1, round(at * (LEAF_TICKS - 1))), LEAF_TICKS - 2)
        while place in fixed:
            place = 1 + place % (LEAF_TICKS - 2)
        fixed[place] = value
    sigma = (high - low) / (RANGE_OF_SIGMA * math.sqrt(LEAF_TICKS))
    found = []
    for index in range(LEAF_TICKS):
        points = fixed.get(index)
        if points is None:
            drawn = course(index / (LEAF_TICKS - 1)) + ROUGHNESS * sigma * noise.normal()
            points = _within(round(drawn), low, high)
        found.append((index * TICK_SLOT_MS + noise.below(TICK_JITTER_MS), points))
    return tuple(found)


def _turns(span: Span, noise: Noise) -> list[tuple[float, int]]:
    """Decide when the path turns at its extremes: ``(place in (0, 1), points)``, in order of time.

    A random walk covers a distance in a time that grows with its square, so the legs first - extreme - extreme - last
    get their shares by that; anything else would show as spikes of a single tick. An extreme that is the first or the
    last price is no turn.
    """
    first, last, high, low = span
    up, down = high > max(first, last), low < min(first, last)
    order: tuple[int, ...] = ()
    if up and down:
        rising = (high - first) ** 2 + (last - low) ** 2
        falling = (first - low) ** 2 + (high - last) ** 2
        # The shorter way round is the likelier one.
        order = (high, low) if noise.unit() * (rising + falling) < falling else (low, high)
    elif up or down:
        order = (high,) if up else (low,)
    else:
        return []
    stops = (first, *order, last)
    legs = [(b - a) ** 2 for a, b in pairwise(stops)]
    total = sum(legs)
    found: list[tuple[float, int]] = []
    place = 0.0
    for leg, value in zip(legs, order, strict=False):
        place += leg / total
        found.append((min(max(0.02, place + 0.1 * (noise.unit() - 0.5)), 0.98), value))
    return found


def _course(span: Span, turns: list[tuple[float, int]]) -> Callable[[float], float]:
    """Return the straight lines from first over the turns to last, as a function of the place in [0, 1]."""
    knots = [(0.0, span.first), *sorted(turns), (1.0, span.last)]

    def at(place: float) -> float:
        for (left, left_value), (right, right_value) in pairwise(knots):
            if place <= right and left < right:
                return left_value + (right_value - left_value) * (place - left) / (right - left)
        return float(span.last)

    return at


def _within(value: int, low: int, high: int) -> int:
    """Mirror a value that left [low, high] back into it: cutting it off would make prices stick to the extremes."""
    if value > high:
        value = 2 * high - value
    elif value < low:
        value = 2 * low - value
    return low if value < low else high if value > high else value


class Path:
    """The paths of all assets of one seed, with a bounded cache of the splits looked at last."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._day = lru_cache(CACHE_SPANS)(self._draw_day)
        self._parts = lru_cache(CACHE_SPANS)(self._draw_parts)
        self._leaf = lru_cache(CACHE_SPANS)(self._draw_leaf)

    def span(self, walk: Walk, level: int, index: int) -> Span:
        """Return the span number ``index`` (stamp // seconds) of a level."""
        if level == 0:
            return self._day(walk, index)
        parts = LEVELS_S[level - 1] // LEVELS_S[level]
        above, place = divmod(index, parts)
        return self._parts(walk, level - 1, above)[place]

    def leaf(self, walk: Walk, index: int) -> tuple[tuple[int, int], ...]:
        """Return the ticks of one five-second span: ``(stamp in milliseconds, points)``, ascending."""
        return self._leaf(walk, index)

    # --- drawn, never stored ---

    def _draw_parts(self, walk: Walk, level: int, index: int) -> tuple[Span, ...]:
        span = self.span(walk, level, index)
        noise = Noise(self._seed, walk.key, level, index)
        return split(span, LEVELS_S[level] // LEVELS_S[level + 1], noise, self._tick_points(walk))

    def _draw_leaf(self, walk: Walk, index: int) -> tuple[tuple[int, int], ...]:
        span = self.span(walk, len(LEVELS_S) - 1, index)
        start_ms = index * LEAF_S * 1000
        noise = Noise(self._seed, walk.key, len(LEVELS_S), index)
        return tuple((start_ms + after_ms, points) for after_ms, points in leaf_ticks(span, noise))

    def _draw_day(self, walk: Walk, index: int) -> Span:
        first = self._day_start(walk, index)
        noise = Noise(self._seed, walk.key, 0, index, 1)
        last = max(1, self._day_start(walk, index + 1) + round(self._tick_points(walk) * noise.normal()))
        reach = walk.base * walk.volatility
        high = max(first, last) + int(reach * noise.unit())
        low = max(1, min(first, last) - int(reach * noise.unit()))
        return Span(first, last, high, low)

    def _day_start(self, walk: Walk, day: int) -> int:
        """Return the price at midnight: noise in octaves, which looks like a random walk and never runs away."""
        total = 0.0
        for octave in range(OCTAVES):
            size = 1 << octave
            cell, place = divmod(day, size)
            left = self._lattice(walk, octave, cell)
            right = self._lattice(walk, octave, cell + 1)
            total += 0.5 * math.sqrt(size) * (left + (right - left) * place / size)
        return max(1, round(walk.base * math.exp(walk.volatility * total)))

    def _lattice(self, walk: Walk, octave: int, cell: int) -> float:
        return Noise(mix(self._seed, walk.key), octave, cell, 2).normal()

    def _tick_points(self, walk: Walk) -> float:
        return walk.base * walk.volatility / math.sqrt(86_400 * LEAF_TICKS / LEAF_S)
