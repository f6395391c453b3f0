"""Thresholds: the grammar takes what it says and refuses the rest; what they observe is what was recorded."""

from __future__ import annotations

import pytest

from loadsim.metrics.merged import Merged
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.thresholds import evaluate, parse_threshold
from potrio.errors import ConfigError


def run_of(seconds: int = 20) -> Merged:
    """A run of 10 orders a second that take 100 ms from the intended instant, one in ten fails; 1 candles a second."""
    merged, recorder = Merged(), Recorder("r", 0)
    for second in range(1, seconds + 1):
        for number in range(10):
            at = second + number / 10
            recorder.action(
                "rtt",
                {"event": "openOrder"},
                intended_s=at,
                started_s=at + 0.09,
                ended_s=at + 0.1,
                error="timeout" if number == 0 else None,
            )
        recorder.action("rtt", {"event": "candles"}, intended_s=0, started_s=0, ended_s=second / 10)
        recorder.observe("tick_gap", 1e6 * (5 if second == 3 else 1))
        recorder.count("orders", 9)
        recorder.gauge("clients", 40)
        merged.add(recorder.take_delta(float(second)))
    return merged


@pytest.mark.parametrize(
    ("text", "observed", "ok"),
    [
        ("rtt{event=openOrder}: p99 < 250ms", "100ms", True),
        ("rtt.response{event=openOrder}: p(99.9) >= 0.2s", "0.1s", False),
        ("rtt.service{event=openOrder}: max <= 10ms", "10ms", True),
        ("rtt.service{event=openOrder}: min < 10ms", "10ms", False),
        ("rtt{event=candles}: med < 2s", "1.00147s", True),
        ("rtt{event=candles}: avg < 1s", "1.05s", False),
        ("rtt{event=openOrder}: stddev < 1ms", "0ms", True),
        ("rtt{event=openOrder}: count == 200", "200", True),
        ("rtt{event=openOrder}: rate >= 10/s", "10/s", True),
        ("tick_gap: max < 5s", "5s", False),
        ("tick_gap: max < 5s over 10s", "1s", True),
        ("errors: count <= 20", "20", True),
        ("errors: rate < 10%", "9.09091%", True),
        ("errors{event=openOrder}: rate < 10%", "10%", False),
        ("orders: rate > 500/min", "540/min", True),
        ("omitted: count == 0", "0", True),
        ("coverage: value >= 100%", "100%", True),
        ("clients: value == 40", "40", True),
        ("connect: p95 < 2s", "no data", False),
        ("connect: p95 < 2s soft", "no data", True),
        ("rtt{event=nonesuch}: p95 < 2s", "no data", False),
        ("orders{lane=mux}: count > 0", "no data", False),
    ],
)
def test_what_is_observed(text: str, observed: str, ok: bool) -> None:
    verdict = evaluate(parse_threshold(text), run_of(), {"coverage": 1.0})

    assert verdict is not None
    assert (verdict.observed, verdict.ok) == (observed, ok)


def test_nothing_is_said_before_its_time() -> None:
    threshold = parse_threshold("rtt: p99 < 1ms after 30s")

    assert evaluate(threshold, run_of(29)) is None
    assert evaluate(threshold, run_of(30)) is not None


def test_words_at_the_end() -> None:
    made = parse_threshold("generator.lag: p99 < 20ms over 1m after 5s abort soft")

    assert (made.metric, made.part, made.over_s, made.after_s) == ("generator.lag", "value", 60.0, 5.0)
    assert made.abort
    assert made.soft


def test_without_a_part_it_is_the_honest_one() -> None:
    assert parse_threshold("rtt: p99 < 1s").part == "response"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is written like"),
        ("rtt p99 < 1s", "is written like"),
        ("rtt: p99 < 1s and more", "is written like"),
        ("rtt: p99 = 1s", "is written like"),
        ("rttt: p99 < 1s", "is not measured"),
        ("rtt.total: p99 < 1s", "is not measured"),
        ("rtt: p(101) < 1s", "100 at most"),
        ("rtt: p99 < 1", "is a time"),
        ("rtt: rate > 5", "a rate is in"),
        ("rtt: value > 5", "value is for"),
        ("rtt: count > 5ms", "no unit of time"),
        ("omitted: p99 < 1s", "only counted"),
        ("rtt{event}: p99 < 1s", "name=value"),
        ("rtt: p99 < 1s over never", "a duration is"),
        ("rtt: p99 < 1s over 0s", "a window of nothing"),
    ],
)
def test_what_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        parse_threshold(text)
