"""What can be done with documents alone: merge several, judge one by other thresholds, compare two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadsim.metrics.merged import Merged
from loadsim.metrics.series import Series
from loadsim.metrics.thresholds import Verdict, evaluate, parse_threshold
from loadsim.report.document import SCHEMA, errors_of, merged_of, metrics_of, plain
from loadsim.report.exits import Exit
from potrio.errors import ConfigError

__all__ = ["check", "diff", "merge"]

SUMMED = ("planned", "started", "omitted")
CLIENTS = ("planned", "ready", "restarts", "gave_up")
VERDICTS = ("valid", "degraded", "invalid")


def merge(documents: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """One document of several runs of the same plan that were parts of one experiment.

    Sums and histograms are exact; each run's timeline stands side by side under its name; thresholds are judged anew.

    Raises:
        ConfigError: there is none, or their plans differ.
    """
    if not documents:
        raise ConfigError("merge", "name two reports at least")
    if len({document["run"]["plan_digest"] for document in documents}) > 1:
        raise ConfigError("merge", "the reports are of different plans")
    total = Merged()
    for document, name in zip(documents, names, strict=True):
        add(total, merged_of(document, name))
    histograms: dict[str, Any] = {}
    first = documents[0]
    run = dict(first["run"])
    run["id"] = "+".join(document["run"]["id"] for document in documents)
    run["duration_s"] = max(document["run"]["duration_s"] for document in documents)
    shards = [
        shard | {"run": document["run"]["id"]}
        for document in documents
        for shard in document["engine"]["shards"]
    ]
    together = {
        "schema": SCHEMA,
        "run": run,
        "env": first["env"],
        "target": first["target"],
        "engine": {"name": "merged", "version": "", "shards": shards},
        "validity": validity_of(documents, names),
        "clients": {key: sum(document["clients"][key] for document in documents) for key in CLIENTS}
        | {"by_lane": {}},
        "metrics": metrics_of(total.series, histograms),
        "counters": dict(sorted(total.counters.items())),
        "histograms": histograms,
        "timeline": first["timeline"] | {"rows": []},
        "timelines": {name: document["timeline"] for document, name in zip(documents, names, strict=True)},
        "faults": [fault for document in documents for fault in document["faults"]],
        "errors": errors_of(total),
        "oracle": [row for document in documents for row in document["oracle"]],
    }
    return check(together, [row["expr"] for row in first["thresholds"]], where="merge")


def add(total: Merged, part: Merged) -> None:
    """Add one run's sums to those of all."""
    for key, series in part.series.items():
        total.series.setdefault(key, Series()).merge(series)
    total.counters.update(part.counters)
    for place, error in part.errors.items():
        known = total.errors.get(place)
        total.errors[place] = error if known is None else known.merged(error)


def validity_of(documents: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """The worst verdict, everybody's reasons, the sums."""
    found = [document["validity"] for document in documents]
    return {
        "verdict": max((each["verdict"] for each in found), key=VERDICTS.index),
        "coverage": min(each["coverage"] for each in found),
        "reasons": [
            f"{name}: {reason}" for name, each in zip(names, found, strict=True) for reason in each["reasons"]
        ],
        "late_p99_ms": max(each["late_p99_ms"] for each in found),
        **{key: sum(each[key] for each in found) for key in SUMMED},
    }


def check(document: Mapping[str, Any], thresholds: Sequence[str], *, where: str = "report") -> dict[str, Any]:
    """The document with its thresholds replaced by these, judged, and the exit code that follows.

    Raises:
        ConfigError: a threshold cannot be used, or asks for a window, which a document has not.
    """
    merged = merged_of(document, where)
    gauges = {"coverage": float(document["validity"]["coverage"])}
    verdicts: list[Verdict] = []
    for text in thresholds:
        threshold = parse_threshold(text)
        if threshold.over_s is not None:
            raise ConfigError("threshold", f"{text!r} looks at a window, and a report has only the whole run")
        verdict = evaluate(threshold, merged, gauges)
        if verdict is None:  # the run was too short for it to begin
            verdict = Verdict(threshold.expr, "not reached", threshold.soft, threshold.soft, False, 0.0)
        verdicts.append(verdict)
    failed = any(not each.ok and not each.soft for each in verdicts)
    code = Exit.THRESHOLD if failed else Exit.OK
    if document["validity"]["verdict"] == "invalid":
        code = Exit.INVALID
    if any(not row["ok"] for row in document["oracle"]):
        code = Exit.ORACLE
    return dict(document) | {
        "thresholds": [plain(each) for each in verdicts],
        "exit": {"code": int(code), "name": code.word},
    }


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two runs: a row for each series they share, and for each counter.

    Rows have ``what``, ``old``, ``new`` and ``ratio`` (None where there is nothing to divide by).
    """
    before, after = merged_of(old, "old"), merged_of(new, "new")
    rows: list[dict[str, Any]] = []
    for key in sorted(before.series.keys() & after.series.keys()):
        metric, tags = key
        label = metric + ("{" + ",".join(f"{name}={value}" for name, value in tags) + "}" if tags else "")
        for part in sorted(before.series[key].histograms.keys() & after.series[key].histograms.keys()):
            first, second = before.series[key].histograms[part], after.series[key].histograms[part]
            rows += [
                row_of(f"{label} {part} p{percent} us", first.percentile(percent), second.percentile(percent))
                for percent in (50, 99)
            ]
    names = sorted(before.counters.keys() | after.counters.keys())
    return rows + [row_of(name, before.counters[name], after.counters[name]) for name in names]


def row_of(what: str, old: float, new: float) -> dict[str, Any]:
    return {"what": what, "old": old, "new": new, "ratio": new / old if old else None}
