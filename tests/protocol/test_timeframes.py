"""Timeframes: names, texts and seconds; what cannot be built exactly is refused; where buckets begin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConfigError
from potrio.protocol.timeframes import (
    PERIOD_MAX_S,
    PERIODS_S,
    TimeFrame,
    bucket_start,
    format_timeframe,
    parse_period,
    parse_timeframe,
)


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [("1s", 1), ("5s", 5), ("60s", 60), ("1m", 60), ("2m", 120), ("5m", 300), ("60m", 3600), ("1h", 3600),
     ("4h", 14400), ("24h", 86400), ("1d", 86400), (" 1m ", 60), (60, 60), (86400, 86400)],
)  # fmt: skip
def test_timeframes(timeframe: str | int, seconds: int) -> None:
    assert parse_timeframe(timeframe) == seconds


@pytest.mark.parametrize(
    "timeframe",
    ["", "m", "1", "60", "M1", "1M", "7m", "1w", "0s", "-1m", "1.5m", "1 m", "٥m", "1m1", 7, 0, -60, True, 60.0, None,
     "9" * 30 + "s", "1mo"],
)  # fmt: skip
def test_what_is_no_timeframe_is_refused_and_the_known_are_listed(timeframe: Any) -> None:
    with pytest.raises(
        ConfigError, match="must be one of 1s, 5s, 10s, 15s, 30s, 1m, 2m, 3m, 5m, 10m, 15m, 30m, 1h, 4h, 1d"
    ):
        parse_timeframe(timeframe)


def test_other_periods_may_be_had() -> None:
    assert parse_timeframe("7m", periods_s=(420,)) == 420
    assert all(parse_timeframe(period) == period for period in PERIODS_S)


# --- any period ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [("5s", 5), ("2m", 120), ("90s", 90), ("7s", 7), ("7m", 420), ("1799s", 1799), ("31m", 1860), ("90m", 5400),
     ("1441m", None), ("1d", 86400), ("36h", 129_600), ("1w", 604_800), ("8d", None), ("2w", None), ("1801s", None),
     (TimeFrame.M1, 60), (TimeFrame.W1, 604_800), (TimeFrame.MN1, None), ("1mo", None), (0, None), (-5, None),
     (7, 7), (90, 90), (60.0, None), (True, None), (None, None), ("", None), ("m", None)],
)  # fmt: skip
def test_any_period_that_can_be_built_exactly(timeframe: Any, seconds: int | None) -> None:
    if seconds is None:
        with pytest.raises(ConfigError) as caught:
            parse_period(timeframe)
        assert caught.value.path == "timeframe"
    else:
        assert parse_period(timeframe) == seconds


def test_the_enum_is_accepted_wherever_a_timeframe_is() -> None:
    of_fixed_length = [frame for frame in TimeFrame if frame is not TimeFrame.MN1]
    assert [frame.seconds for frame in of_fixed_length] == [*PERIODS_S, PERIOD_MAX_S]
    assert [parse_timeframe(frame) for frame in of_fixed_length[:-1]] == list(PERIODS_S)
    for refused in (TimeFrame.W1, TimeFrame.MN1):
        with pytest.raises(ConfigError):
            parse_timeframe(refused)
    with pytest.raises(ConfigError, match="no fixed length"):
        _ = TimeFrame.MN1.seconds


@given(st.integers(1, PERIOD_MAX_S))
def test_what_is_written_is_read_back(seconds: int) -> None:
    text = format_timeframe(seconds)
    assert parse_timeframe(text, periods_s=(seconds,)) == seconds


@pytest.mark.parametrize("seconds", [0, -60, True, 1.5, None])
def test_what_is_no_length_is_not_written(seconds: Any) -> None:
    with pytest.raises(ConfigError):
        format_timeframe(seconds)


# --- buckets ---------------------------------------------------------------------------------------------------------


@given(st.floats(0, 4e9), st.integers(1, 86_400), st.sampled_from([0, 7200, -18000]))
def test_a_bucket_holds_its_moment_and_is_aligned_in_the_venues_zone(
    moment: float, period: int, zone: int
) -> None:
    start = bucket_start(moment, period, zone)
    assert start <= moment < start + period
    assert (start + zone) % period == 0


@given(st.floats(0, 4e9), st.sampled_from([0, 7200]))
def test_a_week_begins_on_a_monday_of_the_venue(moment: float, zone: int) -> None:
    start = bucket_start(moment, PERIOD_MAX_S, zone)
    assert start <= moment < start + PERIOD_MAX_S
    there = datetime.fromtimestamp(start + zone, UTC)
    assert (there.weekday(), there.hour, there.minute, there.second) == (0, 0, 0, 0)
