"""``report.json``: built from a result, written atomically, read back strictly (``loadsim.md`` 5.1).

Histograms are stored and percentiles derived, so that reports can be merged and judged again by other thresholds.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadsim.metrics.merged import Merged, ShardView
from loadsim.metrics.series import ErrorSample, Series, SeriesKey, key_of
from loadsim.plan.parse import encode_plan, plan_digest
from loadsim.report.result import RunResult, ShardResult
from potrio.errors import ConfigError
from potrio.histogram import Histogram
from potrio.seam import REAL, Seam

__all__ = ["SCHEMA", "build", "errors_of", "load", "merged_of", "metrics_of", "plain", "save"]

SCHEMA = "potrio.loadsim.report/1"
COLUMNS = ("t", "clients", "started", "ok", "errors", "omitted", "p50_us", "p99_us", "lag_p99_us", "cpu_pct")
DOCUMENT_MAX = 64 * 1024 * 1024


def build(result: RunResult) -> dict[str, Any]:
    """The document of a run; plain values only."""
    merged, plan = result.merged, result.plan
    histograms: dict[str, Any] = {}
    return {
        "schema": SCHEMA,
        "run": {
            "id": result.run_id,
            "started": moment(result.started_wall),
            "duration_s": result.duration_s,
            "clock": result.clock,
            "seed": plan.seed,
            "plan_digest": plan_digest(plan),
            "plan": encode_plan(plan),
            "argv": result.argv,
            "tags": plan.tags,
        },
        "env": result.env,
        "target": result.target,
        "engine": result.engine | {"shards": [shard_of(each, merged) for each in result.shards]},
        "validity": plain(result.validity),
        "clients": clients_of(result),
        "metrics": metrics_of(merged.series, histograms),
        "counters": dict(sorted(merged.counters.items())),
        "histograms": histograms,
        "timeline": {
            "step_s": 1.0,
            "columns": list(COLUMNS),
            "rows": [[getattr(row, column) for column in COLUMNS] for row in merged.timeline()],
        },
        "faults": [plain(each) for each in result.faults],
        "errors": errors_of(merged),
        "oracle": [plain(each) for each in result.checks],
        "thresholds": [plain(each) for each in result.verdicts],
        "exit": {"code": int(result.exit), "name": result.exit.word},
    }


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """A value as a JSON object."""
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found


def errors_of(merged: Merged) -> list[dict[str, Any]]:
    """Kinds of error, the most frequent first."""
    found = sorted(merged.errors.values(), key=lambda each: (-each.count, each.kind, each.where))
    return [plain(each) for each in found]


def moment(wall: float) -> str:
    """A moment in UTC, to the millisecond."""
    text = datetime.datetime.fromtimestamp(wall, datetime.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def shard_of(result: ShardResult, merged: Merged) -> dict[str, Any]:
    view = merged.shards.get(result.shard)
    return {
        "shard": result.shard,
        "host": result.host,
        "pid": result.pid,
        "state": result.state,
        "reason": result.reason,
        "deltas": 0 if view is None else view.reports,
        "gaps": 0 if view is None else view.gaps,
        "cpu_pct": 0.0 if view is None else view.gauges.get("cpu_pct", 0.0),
        "rss_mb": 0.0 if view is None else view.gauges.get("rss_mb", 0.0),
        "clock_offset_ms": result.clock_offset_ms,
    }


def clients_of(result: RunResult) -> dict[str, Any]:
    counters = result.merged.counters
    lanes = {
        name.removeprefix("ready."): times
        for name, times in sorted(counters.items())
        if name.startswith("ready.")
    }
    return {
        "planned": result.clients_planned,
        "ready": counters["ready"],
        "restarts": counters["restarts"],
        "gave_up": counters["gave_up"],
        "by_lane": lanes,
    }


def metrics_of(series: Mapping[SeriesKey, Series], histograms: dict[str, Any]) -> dict[str, Any]:
    """Metrics with their series; each histogram is put into ``histograms`` and named."""
    metrics: dict[str, Any] = {}
    for (metric, tags), each in sorted(series.items()):
        entry: dict[str, Any] = {"tags": dict(tags)}
        for part, histogram in sorted(each.histograms.items()):
            entry[part] = f"h{len(histograms)}"
            histograms[entry[part]] = histogram.encode()
        if each.outcomes:
            entry["count"] = each.count
            entry["ok"] = each.outcomes["ok"]
            entry["errors"] = {
                kind: times for kind, times in sorted(each.outcomes.items()) if kind != "ok" and times
            }
        found = metrics.setdefault(metric, {"tags": [], "series": []})
        found["tags"] = sorted({*found["tags"], *dict(tags)})
        found["series"].append(entry)
    return metrics


# --- files -----------------------------------------------------------------------------------------------------------


def save(document: Mapping[str, Any], path: Path, seam: Seam = REAL) -> None:
    """Write a document: a reader sees the whole of it or nothing. OSError where the disk will not have it."""
    seam.write_file(path, json.dumps(document, indent=1, allow_nan=False).encode() + b"\n", mode=0o644)


def load(path: Path, seam: Seam = REAL) -> dict[str, Any]:
    """Read a document.

    Raises:
        ConfigError: it is not there, or not one.
    """
    try:
        data = seam.read_file(path)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    if len(data) > DOCUMENT_MAX:
        raise ConfigError(str(path), f"is larger than {DOCUMENT_MAX} bytes")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), f"is not JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ConfigError(str(path), f"is not a report of schema {SCHEMA}")
    return found


def merged_of(document: Mapping[str, Any], where: str = "report") -> Merged:
    """The sums of a run from its document: to merge it, or to judge it by other thresholds.

    Windows over the last seconds are not in a document; the sums are.

    Raises:
        ConfigError: a part of it is missing or wrong.
    """
    merged = Merged()
    try:
        for metric, found in document["metrics"].items():
            for entry in found["series"]:
                series = Series()
                for part in ("service", "response", "value"):
                    if part in entry:
                        series.histograms[part] = Histogram.decode(document["histograms"][entry[part]])
                if "count" in entry:
                    series.outcomes.update({"ok": int(entry["ok"])} | entry["errors"])
                merged.series[key_of(metric, entry["tags"])] = series
        merged.counters.update({str(name): int(times) for name, times in document["counters"].items()})
        for error in document["errors"]:
            merged.errors[error["kind"], error["where"]] = ErrorSample(**error)
        merged.shards[0] = ShardView(0, last_t_s=float(document["run"]["duration_s"]), finished=True)
    except (KeyError, TypeError, AttributeError, ValueError) as fault:
        raise ConfigError(where, f"a part of the report is missing or wrong: {fault!r}") from None
    return merged
