"""Timeframes: the lengths of candles, as names, texts and seconds, and where a bucket of a length begins. Pure.

The venue has the fifteen lengths of `PERIODS_S`. Any other length is built from shorter candles or from ticks, as far
as that can be done exactly: every whole second up to half an hour, whole minutes up to a day, whole hours up to a
week. A month is refused: it has no fixed length.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from potrio.errors import ConfigError

__all__ = [
    "PERIODS_S",
    "PERIOD_MAX_S",
    "TimeFrame",
    "bucket_start",
    "format_timeframe",
    "parse_period",
    "parse_timeframe",
]

PERIODS_S: Final = (1, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 14400, 86400)
"""The candle lengths the venue has, in seconds."""

WEEK_S: Final = 604_800
MONDAY_S: Final = 4 * 86_400
"""From the beginning of Unix time, a Thursday, to the first Monday."""

PERIOD_MAX_S: Final = WEEK_S

_STEPS_S: Final = ((1800, 1), (86_400, 60), (WEEK_S, 3600))
"""Up to this length a candle may be any multiple of that many seconds."""

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": WEEK_S}
_TIMEFRAME: Final = re.compile(r"([1-9][0-9]{0,6})([smhdw])", re.ASCII)


class TimeFrame(StrEnum):
    """The usual lengths by name; the value is the text that means the same.

    Example:
        >>> TimeFrame.M5.seconds, TimeFrame("4h").name
        (300, 'H4')
    """

    S1 = "1s"
    S5 = "5s"
    S10 = "10s"
    S15 = "15s"
    S30 = "30s"
    M1 = "1m"
    M2 = "2m"
    M3 = "3m"
    M5 = "5m"
    M10 = "10m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1w"
    MN1 = "1mo"

    @property
    def seconds(self) -> int:
        """The length.

        Raises:
            ConfigError: of ``MN1``, which has no fixed one.
        """
        return parse_period(self)


def parse_timeframe(timeframe: str | int, periods_s: Sequence[int] = PERIODS_S) -> int:
    """Read a candle length of a fixed list: a `TimeFrame`, ``"5s"``, ``"1m"``, ``"4h"``, ``"1d"``, or whole seconds.

    Args:
        timeframe: the length.
        periods_s: what is to be had.

    Returns:
        seconds.

    Raises:
        ConfigError: it is no length, or none that is to be had; the text lists those.
    """
    seconds = _seconds(timeframe)
    if seconds is None or seconds not in periods_s:
        known = ", ".join(map(format_timeframe, periods_s))
        raise ConfigError("timeframe", f"must be one of {known}, or its seconds as a whole number")
    return seconds


def parse_period(timeframe: str | int) -> int:
    """Read any candle length that can be built exactly: a `TimeFrame`, ``"Ns"`` to ``"Nw"``, or whole seconds.

    Returns:
        seconds.

    Raises:
        ConfigError: it is no length, or it is longer than half an hour and no whole minutes, longer than a day and no
            whole hours, or longer than a week.
    """
    if timeframe == TimeFrame.MN1:
        raise ConfigError("timeframe", "a month has no fixed length; build it from days")
    seconds = _seconds(timeframe)
    if seconds is None or seconds < 1:
        raise ConfigError(
            "timeframe", 'must be a TimeFrame, a text like "5s", "90s", "2m", "4h", "1d", or whole seconds'
        )
    for longest, step in _STEPS_S:
        if seconds <= longest:
            if seconds % step:
                raise ConfigError(
                    "timeframe",
                    f"of {seconds} s must be a multiple of {format_timeframe(step)} at that length",
                )
            return seconds
    raise ConfigError("timeframe", f"must be at most {format_timeframe(PERIOD_MAX_S)}")


def format_timeframe(seconds: int) -> str:
    """Write a candle length in its largest whole unit: 14400 is ``"4h"``.

    Raises:
        ConfigError: it is no length.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
        raise ConfigError("seconds", "must be a whole number >= 1")
    unit, length = max(
        ((unit, length) for unit, length in _UNITS_S.items() if seconds % length == 0), key=lambda it: it[1]
    )
    return f"{seconds // length}{unit}"


def bucket_start(timestamp: float, period_s: int, zone_s: int = 0) -> int:
    """Give the start of the bucket a moment (UTC) lies in.

    In the venue's zone it is a multiple of the period; whole weeks begin on a Monday there.
    """
    shift_s = zone_s - (MONDAY_S if period_s % WEEK_S == 0 else 0)
    # The floor first: adding the zone to a fraction may round it up to the next border.
    return (math.floor(timestamp) + shift_s) // period_s * period_s - shift_s


def _seconds(timeframe: object) -> int | None:
    if isinstance(timeframe, str):
        match = _TIMEFRAME.fullmatch(timeframe.strip())
        return int(match[1]) * _UNITS_S[match[2]] if match else None
    if isinstance(timeframe, int) and not isinstance(timeframe, bool):
        return int(timeframe)
    return None
