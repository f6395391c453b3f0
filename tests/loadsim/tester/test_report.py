"""The report says what happened: exact figures, failures listed, the dead never look good."""

from __future__ import annotations

import json

import pytest

from loadsim.tester.config import Advice, LoadTestConfig
from loadsim.tester.report import GOOD, build_report
from loadsim.tester.samples import PhaseRecord, Sample


def record(samples: list[Sample], *, planned: int | None = None, omitted: int = 0) -> PhaseRecord:
    return PhaseRecord(
        name="Standard",
        clients=2,
        operation_delay=1.0,
        planned=len(samples) if planned is None else planned,
        started_s=100.0,
        ended_s=110.0,
        omitted=omitted,
        samples=samples,
        connects_s=[0.1, 0.3],
    )


def reported(*phases: PhaseRecord, venue: dict | None = None, **options: object) -> dict:
    config = LoadTestConfig(**options)  # type: ignore[arg-type]
    return build_report(config, phases, started_s=100.0, ended_s=110.0, started_wall=0.0, venue=venue)


def took(name: str, at: float, seconds: float, error: str | None = None, late: float = 0.0) -> Sample:
    return Sample(name, at - late, at, at + seconds, error)


def test_the_summary() -> None:
    samples = [took("ping", 100 + each, 0.5, "Timeout" if each == 9 else None) for each in range(10)]
    summary = reported(record(samples))["test_summary"]

    assert summary == {
        "start_time": "1970-01-01T00:00:00+00:00",
        "end_time": "1970-01-01T00:00:10+00:00",
        "total_duration": 10.0,
        "total_operations": 10,
        "successful_operations": 9,
        "failed_operations": 1,
        "success_rate": 0.9,
        "avg_operations_per_second": 1.0,
        "peak_operations_per_second": 1.0,
        "planned_operations": 10,
        "omitted_operations": 0,
    }


def test_each_operation_exactly() -> None:
    samples = [took("candles", 100, seconds / 100, late=1.0) for seconds in range(1, 21)]
    found = reported(record(samples))["operation_analysis"]["candles"]

    assert (found["count"], found["min_duration"], found["max_duration"]) == (20, 0.01, 0.2) or found[
        "count"
    ] == 20
    assert found["min_duration"] == pytest.approx(0.01)
    assert found["max_duration"] == pytest.approx(0.20)
    assert found["avg_duration"] == pytest.approx(0.105)
    assert found["median_duration"] == pytest.approx(0.105)
    assert found["p95_duration"] == pytest.approx(0.19), "not the highest of twenty"
    assert found["p95_response"] == pytest.approx(1.19), "what a late start adds is seen"


def test_an_operation_that_only_failed_is_listed() -> None:
    report = reported(record([took("ping", 100, 0.1), took("place_order", 101, 0.4, "OrderRejected")]))

    found = report["operation_analysis"]["place_order"]
    assert (found["count"], found["success_count"], found["error_count"], found["success_rate"]) == (
        1,
        0,
        1,
        0.0,
    )
    assert found["avg_duration"] == pytest.approx(0.4)
    assert report["error_summary"] == {"OrderRejected": 1}


def test_the_seconds() -> None:
    samples = [took("ping", 100.0, 0.1), took("candles", 100.2, 0.1), took("ping", 105.5, 0.1)]
    metrics = reported(record(samples))["performance_metrics"]

    assert metrics["operations_per_second_history"] == [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert (metrics["peak_throughput"], metrics["avg_throughput"]) == (2.0, 0.3)


def test_the_last_sixty_seconds_only() -> None:
    report = build_report(
        LoadTestConfig(),
        [record([took("ping", 300, 0.1)])],
        started_s=100,
        ended_s=301,
        started_wall=0,
        venue=None,
    )

    assert len(report["performance_metrics"]["operations_per_second_history"]) == 60
    assert sum(report["performance_metrics"]["operations_per_second_history"]) == 1


def test_connecting_is_no_operation() -> None:
    phase = record([took("ping", 100, 0.1)])
    phase.connect_errors["ConnectRefused"] += 2
    report = reported(phase)

    assert report["connections"]["opened"] == 2
    assert report["connections"]["failed"] == 2
    assert report["connections"]["avg_duration"] == pytest.approx(0.2)
    assert list(report["operation_analysis"]) == ["ping"]
    assert report["error_summary"] == {"connect: ConnectRefused": 2}


def test_nothing_done_is_no_success() -> None:
    report = reported(record([], planned=40, omitted=40))

    assert report["test_summary"]["success_rate"] == 0.0
    assert report["operation_analysis"] == {}
    assert any("40 of 40" in each for each in report["recommendations"])


def test_good_is_said_alone() -> None:
    samples = [took("ping", 100 + each / 10, 0.05) for each in range(20)]

    assert reported(record(samples))["recommendations"] == [GOOD]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (
            [took("ping", 100, 0.1, "Timeout"), *[took("balance", 101 + n / 9, 0.1) for n in range(11)]],
            "Only 91.7%",
        ),
        ([took("ping", 100, 0.1)], "0.10 operations a second"),
        ([took("ping", 100 + n / 2, 2.5) for n in range(12)], "ping takes 2.50 s"),
        (
            [took("ping", 100, 0.1, "Timeout"), *[took("balance", 101 + n / 9, 0.1) for n in range(40)]],
            "ping succeeds in 0.0%",
        ),
    ],
)
def test_what_is_recommended(samples: list[Sample], words: str) -> None:
    assert any(words in each for each in reported(record(samples))["recommendations"])


def test_the_limits_are_configurable() -> None:
    samples = [took("ping", 100, 0.1)]

    assert reported(record(samples), advice=Advice(throughput_min=0.05))["recommendations"] == [GOOD]


VENUE = {"events_received": {"ps": 3, "openOrder": 2}, "deals": {"opened": 1}, "orders": {"a": 1, "b": 1}}


def test_the_books_are_compared() -> None:
    phase = record([took("place_order", 100, 0.1), took("place_order", 100, 0.1, "Timeout")])
    phase.events_sent.update({"ps": 3, "openOrder": 2})
    report = reported(phase, venue=VENUE, advice=Advice(0, 0, 10, 0))
    assert [row["ok"] for row in report["verification"]] == [True] * 4
    assert report["recommendations"] == [GOOD]

    phase.events_sent["ps"] = 4
    report = reported(phase, venue=VENUE | {"orders": {"a": 2}}, advice=Advice(0, 0, 10, 0))
    assert {row["what"] for row in report["verification"] if not row["ok"]} == {
        "event ps",
        "orders sent twice",
    }
    assert sum("The venue disagrees" in each for each in report["recommendations"]) == 2


def test_the_report_is_json() -> None:
    text = json.dumps(reported(record([took("ping", 100, 0.1)])), allow_nan=False)

    assert json.loads(text)["config"]["concurrent_clients"] == 5
