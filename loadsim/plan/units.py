"""Durations, rates and distributions as a plan writes them: ``"250ms"``, ``"5/s"``, ``"lognormal(10m, 0.4)"``."""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from loadsim.plan.chance import Chance

__all__ = ["Distribution", "parse_distribution", "parse_duration", "parse_rate"]

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")
RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h)")
DISTRIBUTION = re.compile(r"(exp|uniform|lognormal)\(([^()]*)\)")

DurationKind = Literal["constant", "exp", "uniform", "lognormal"]


def parse_duration(text: str) -> float:
    """Seconds of ``"1m30s"``, ``"250ms"``, ``"2h"``; ValueError says what a duration is."""
    position, total = 0, 0.0
    for found in DURATION.finditer(text):
        if found.start() != position:
            break
        position = found.end()
        total += float(found[1]) * SECONDS[found[2]]
    if not text or position != len(text):
        raise ValueError(f"a duration is written like 250ms, 5s, 1m30s or 2h, not {text!r}")
    return total


def parse_rate(text: str) -> float:
    """Events a second of ``"5/s"``, ``"30/m"``; ValueError says what a rate is."""
    found = RATE.fullmatch(text.replace(" ", ""))
    if found is None:
        raise ValueError(f"a rate is written like 5/s, 0.5/s or 30/m, not {text!r}")
    return float(found[1]) / SECONDS[found[2]]


class Distribution(msgspec.Struct, frozen=True):
    """A duration that may be drawn by lot, in seconds.

    ``constant(a)``; ``exp(a)`` with mean a; ``uniform(a, b)``; ``lognormal(a, b)`` with median a and sigma b.
    """

    kind: DurationKind
    a: float
    b: float = 0.0

    def draw(self, chance: Chance) -> float:
        """One duration."""
        match self.kind:
            case "constant":
                return self.a
            case "exp":
                return self.a * chance.exponential()
            case "uniform":
                return self.a + (self.b - self.a) * chance.uniform()
            case "lognormal":
                return self.a * math.exp(self.b * chance.normal())


def parse_distribution(text: str) -> Distribution:
    """Read a duration, or one of the named distributions; ValueError says what is wrong."""
    found = DISTRIBUTION.fullmatch(text.replace(" ", ""))
    if found is None:
        if "(" in text:
            raise ValueError(f"a distribution is exp(5s), uniform(1s,2s) or lognormal(10m,0.4), not {text!r}")
        return Distribution("constant", parse_duration(text))
    name, arguments = found[1], found[2].split(",")
    wanted = 1 if name == "exp" else 2
    if len(arguments) != wanted:
        raise ValueError(f"{name} takes {wanted} argument{'s' * (wanted > 1)}, not {len(arguments)}")
    a = parse_duration(arguments[0])
    match name:
        case "exp":
            return Distribution("exp", a)
        case "uniform":
            b = parse_duration(arguments[1])
            if b < a:
                raise ValueError(f"the second argument of uniform is the larger one, not {arguments[1]}")
            return Distribution("uniform", a, b)
        case _:
            try:
                sigma = float(arguments[1])
            except ValueError:
                sigma = -1.0
            if not 0 <= sigma <= 10:
                raise ValueError(f"the sigma of lognormal is a number from 0 to 10, not {arguments[1]!r}")
            return Distribution("lognormal", a, sigma)
