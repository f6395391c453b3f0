"""The report of a load test as plain values, made of what happened and of nothing else."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

import msgspec

from loadsim.tester.config import Advice, LoadTestConfig
from loadsim.tester.samples import PhaseRecord, Sample, percentile

__all__ = ["GOOD", "build_report", "recommendations", "verification"]

HISTORY_S = 60
GOOD = "Everything is within its limits."


def build_report(
    config: LoadTestConfig,
    phases: Sequence[PhaseRecord],
    *,
    started_s: float,
    ended_s: float,
    started_wall: float,
    venue: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The report.

    Args:
        config: of the test.
        phases: as they were.
        started_s, ended_s: of the whole test, on the clock of the samples.
        started_wall: Unix seconds of its start.
        venue: what the venue counted meanwhile; None where it cannot be asked.
    """
    samples = [sample for phase in phases for sample in phase.samples]
    duration_s = ended_s - started_s
    good = sum(sample.error is None for sample in samples)
    seconds = by_second(samples, started_s, duration_s)
    analysis = {name: analysed(found) for name, found in sorted(grouped(samples).items())}
    summary = {
        "start_time": moment(started_wall),
        "end_time": moment(started_wall + duration_s),
        "total_duration": duration_s,
        "total_operations": len(samples),
        "successful_operations": good,
        "failed_operations": len(samples) - good,
        "success_rate": share(good, len(samples)),
        "avg_operations_per_second": rate(len(samples), duration_s),
        "peak_operations_per_second": float(max(seconds, default=0)),
        "planned_operations": sum(phase.planned for phase in phases),
        "omitted_operations": sum(phase.omitted for phase in phases),
    }
    found: dict[str, Any] = {
        "test_summary": summary,
        "operation_analysis": analysis,
        "error_summary": dict(errors_of(phases).most_common()),
        "performance_metrics": {
            "operations_per_second_history": seconds[-HISTORY_S:],
            "peak_throughput": summary["peak_operations_per_second"],
            "avg_throughput": summary["avg_operations_per_second"],
        },
        "connections": connections(phases),
        "phases": [phase_of(phase) for phase in phases],
        "verification": verification(phases, venue),
        "config": msgspec.to_builtins(config),
    }
    found["recommendations"] = recommendations(found, config.advice)
    return found


def grouped(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """The samples of each operation."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.name].append(sample)
    return found


def analysed(samples: Sequence[Sample]) -> dict[str, Any]:
    """One operation. Durations are of all attempts, failed ones too: they were waited for as well."""
    good = sum(sample.error is None for sample in samples)
    took = [sample.duration_s for sample in samples]
    waited = [sample.response_s for sample in samples]
    return {
        "count": len(samples),
        "success_count": good,
        "error_count": len(samples) - good,
        "success_rate": share(good, len(samples)),
        "avg_duration": fmean(took),
        "min_duration": min(took),
        "max_duration": max(took),
        "median_duration": median(took),
        "p95_duration": percentile(took, 95),
        "avg_response": fmean(waited),
        "median_response": median(waited),
        "p95_response": percentile(waited, 95),
        "max_response": max(waited),
    }


def errors_of(phases: Sequence[PhaseRecord]) -> Counter[str]:
    """Kinds of error and how often, those of connecting among them."""
    found: Counter[str] = Counter()
    for phase in phases:
        found.update(sample.error for sample in phase.samples if sample.error is not None)
        found.update({f"connect: {kind}": times for kind, times in phase.connect_errors.items()})
    return found


def by_second(samples: Sequence[Sample], started_s: float, duration_s: float) -> list[int]:
    """How many operations ended in each second of the test, the last of them maybe a part of one."""
    if duration_s <= 0:
        return []
    counts = [0] * (int(duration_s) + 1)
    for sample in samples:
        counts[min(max(int(sample.ended_s - started_s), 0), len(counts) - 1)] += 1
    return counts


def connections(phases: Sequence[PhaseRecord]) -> dict[str, Any]:
    """How connecting went; it is no operation."""
    took = [seconds for phase in phases for seconds in phase.connects_s]
    return {
        "opened": len(took),
        "failed": sum(sum(phase.connect_errors.values()) for phase in phases),
        "avg_duration": fmean(took) if took else 0.0,
        "p95_duration": percentile(took, 95),
    }


def phase_of(phase: PhaseRecord) -> dict[str, Any]:
    """The results of one phase."""
    good = sum(sample.error is None for sample in phase.samples)
    took = [sample.duration_s for sample in phase.samples]
    return {
        "name": phase.name,
        "clients": phase.clients,
        "operation_delay": phase.operation_delay,
        "duration": phase.duration_s,
        "planned_operations": phase.planned,
        "omitted_operations": phase.omitted,
        "total_operations": len(phase.samples),
        "successful_operations": good,
        "failed_operations": len(phase.samples) - good,
        "success_rate": share(good, len(phase.samples)),
        "operations_per_second": rate(len(phase.samples), phase.duration_s),
        "avg_duration": fmean(took) if took else 0.0,
        "p95_duration": percentile(took, 95),
        "p95_response": percentile((sample.response_s for sample in phase.samples), 95),
    }


def verification(phases: Sequence[PhaseRecord], venue: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Our books beside the venue's: each event by name, and orders; nothing where the venue cannot be asked.

    Events must be equal. Of orders that failed it is not known whether the venue has them: it has those that were
    answered at least, and those that were tried at most.
    """
    if venue is None:
        return []
    sent: Counter[str] = Counter()
    for phase in phases:
        sent.update(phase.events_sent)
    heard = venue["events_received"]
    rows = [
        {
            "what": f"event {name}",
            "ours": sent[name],
            "venue": heard.get(name, 0),
            "ok": sent[name] == heard.get(name, 0),
        }
        for name in sorted({*sent, *heard})
    ]
    tried = [sample for phase in phases for sample in phase.samples if sample.name == "place_order"]
    answered = sum(sample.error is None for sample in tried)
    opened = venue["deals"]["opened"]
    twice = sum(times > 1 for times in venue["orders"].values())
    rows.append(
        {"what": "orders accepted", "ours": answered, "venue": opened, "ok": answered <= opened <= len(tried)}
    )
    rows.append({"what": "orders sent twice", "ours": 0, "venue": twice, "ok": twice == 0})
    return rows


def recommendations(report: Mapping[str, Any], advice: Advice) -> list[str]:
    """What to look at, in words; `GOOD` alone where there is nothing."""
    summary, found = report["test_summary"], []
    if summary["success_rate"] < advice.success_rate_min:
        found.append(
            f"Only {summary['success_rate']:.1%} of the operations succeeded (below {advice.success_rate_min:.0%}): "
            "look at the errors first."
        )
    if summary["avg_operations_per_second"] < advice.throughput_min:
        found.append(
            f"{summary['avg_operations_per_second']:.2f} operations a second are below {advice.throughput_min:g}: "
            "more clients, or less delay."
        )
    for name, each in report["operation_analysis"].items():
        if each["avg_duration"] > advice.operation_avg_max_s:
            found.append(
                f"{name} takes {each['avg_duration']:.2f} s on average, above {advice.operation_avg_max_s:g} s."
            )
        if each["success_rate"] < advice.operation_success_min:
            found.append(
                f"{name} succeeds in {each['success_rate']:.1%} only, below {advice.operation_success_min:.0%}."
            )
    if report["connections"]["failed"]:
        found.append(f"{report['connections']['failed']} connections failed.")
    if summary["omitted_operations"]:
        found.append(
            f"{summary['omitted_operations']} of {summary['planned_operations']} planned operations were never begun: "
            "what was measured is not what was planned."
        )
    found += [
        f"The venue disagrees: {row['what']}: ours {row['ours']}, the venue's {row['venue']}."
        for row in report["verification"]
        if not row["ok"]
    ]
    return found or [GOOD]


def share(part: int, whole: int) -> float:
    """A fraction; nothing of nothing is no success."""
    return part / whole if whole else 0.0


def rate(count: int, seconds: float) -> float:
    """So many a second."""
    return count / seconds if seconds > 0 else 0.0


def moment(wall: float) -> str:
    """A moment in UTC."""
    return datetime.datetime.fromtimestamp(wall, datetime.UTC).isoformat()
