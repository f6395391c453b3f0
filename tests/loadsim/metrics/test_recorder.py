"""The recorder measures with both clocks, and each report has what came since the last one."""

from __future__ import annotations

from loadsim.metrics.recorder import ERROR_KINDS_MAX, Recorder
from loadsim.metrics.series import Series


def test_both_clocks() -> None:
    recorder = Recorder("r", 0)
    recorder.action("rtt", {"event": "x"}, intended_s=1.0, started_s=3.0, ended_s=3.5)
    (encoded,) = recorder.take_delta(4.0).series
    series = Series.decode(encoded)

    assert series.histograms["service"].max == 500_000
    assert series.histograms["response"].max == 2_500_000
    assert series.outcomes == {"ok": 1}


def test_each_report_has_what_is_new_and_gauges_as_they_are() -> None:
    recorder = Recorder("r", 2, incarnation=1)
    recorder.count("ticks", 5)
    recorder.gauge("clients", 7)
    first, second = recorder.take_delta(1.0), recorder.take_delta(2.0, last=True)

    assert (first.counters, second.counters) == ({"ticks": 5}, {})
    assert (first.gauges, second.gauges) == ({"clients": 7}, {"clients": 7})
    assert [(each.shard, each.incarnation, each.seq, each.last) for each in (first, second)] == [
        (2, 1, 0, False),
        (2, 1, 1, True),
    ]


def test_errors_are_counted_with_their_first_text() -> None:
    recorder = Recorder("r", 0)
    for second, text in ((5.0, "later"), (3.0, "earlier"), (9.0, "last")):
        recorder.action(
            "rtt", {"event": "x"}, intended_s=0, started_s=0, ended_s=second, error="timeout", text=text
        )
    (error,) = recorder.take_delta(9.0).errors

    assert (error.kind, error.where, error.count, error.first_t, error.last_t) == (
        "timeout",
        "x",
        3,
        3.0,
        9.0,
    )
    assert error.sample == "earlier"


def test_kinds_of_error_are_bounded_and_none_is_lost() -> None:
    recorder = Recorder("r", 0)
    for number in range(ERROR_KINDS_MAX + 50):
        recorder.error(f"kind{number}", "x", 1.0, "t" * 10_000)
    errors = recorder.take_delta(1.0).errors

    assert len(errors) == ERROR_KINDS_MAX + 1
    assert sum(error.count for error in errors) == ERROR_KINDS_MAX + 50
    assert max(len(error.sample) for error in errors) <= 300
