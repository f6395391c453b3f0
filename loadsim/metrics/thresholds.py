"""Thresholds: ``rtt.response{event=openOrder}: p99 < 250ms over 60s after 10s abort soft`` (``loadsim.md`` 5.2)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from loadsim.metrics.merged import ACTION, Merged
from loadsim.metrics.series import PARTS
from loadsim.plan.units import parse_duration
from potrio.errors import ConfigError

__all__ = ["Threshold", "Verdict", "evaluate", "parse_threshold"]

DISTRIBUTIONS: Final = ("rtt", "connect", "tick_gap", "tick_age", "recover", "settle", "generator.lag")
COUNTERS: Final = (
    "errors",
    "omitted",
    "orders",
    "settled",
    "ticks",
    "ticks_lost",
    "restarts",
    "gave_up",
    "bytes_in",
    "bytes_out",
    "started",
    "disconnects",
)
GAUGES: Final = ("coverage", "clients", "cpu")
METRICS: Final = (*DISTRIBUTIONS, *COUNTERS, *GAUGES)

FORM = re.compile(
    r"(?P<metric>[a-z_]+(?:\.[a-z_]+)*)"
    r"(?:\{(?P<tags>[^{}]*)\})?"
    r"\s*:\s*(?P<agg>p\d{1,2}(?:\.\d+)?|p\(\d{1,3}(?:\.\d+)?\)|min|max|avg|med|stddev|count|rate|value)"
    r"\s*(?P<op><=|>=|==|!=|<|>)\s*(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>us|ms|s|m|%|/s|/min|KB|MB)?"
    r"(?P<rest>(?:\s+(?:over\s+\S+|after\s+\S+|abort|soft))*)\s*"
)
OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
SCALE: Final = {
    "us": 1.0,
    "ms": 1e3,
    "s": 1e6,
    "m": 6e7,
    "%": 0.01,
    "/s": 1.0,
    "/min": 1 / 60,
    "KB": 1e3,
    "MB": 1e6,
}
TIME_UNITS = ("us", "ms", "s", "m")
OF_VALUES = ("min", "max", "avg", "med", "stddev")


class Threshold(msgspec.Struct, frozen=True):
    """What a run has to keep. ``limit`` is in microseconds, as a fraction, or a second, by the unit it was given in."""

    expr: str
    metric: str
    part: str
    tags: dict[str, str]
    agg: str
    percent: float | None
    op: str
    limit: float
    unit: str
    over_s: float | None = None
    after_s: float = 0.0
    abort: bool = False
    soft: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """What a threshold says of a run: ``observed`` in the threshold's own unit, or ``no data``."""

    expr: str
    observed: str
    ok: bool
    soft: bool
    abort: bool
    at_s: float


def parse_threshold(text: str) -> Threshold:
    """Read one.

    Raises:
        ConfigError: it is not a threshold, or names a metric that is not measured.
    """
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise ConfigError("threshold", f"is written like 'rtt.response: p99 < 250ms', not {text!r}")
    metric, part = split_part(found["metric"])
    if metric not in METRICS:
        raise ConfigError("threshold", f"{metric!r} is not measured; there are {', '.join(METRICS)}")
    agg, unit = found["agg"], found["unit"] or ""
    percent = float(agg[1:].strip("()")) if agg.startswith("p") else None
    check_kind(text, metric, agg, percent, unit)
    words = found["rest"].split()
    made = Threshold(
        text.strip(),
        metric,
        part,
        parse_tags(found["tags"] or ""),
        agg,
        percent,
        found["op"],
        float(found["value"]) * SCALE.get(unit, 1.0),
        unit,
        over_s=duration_after("over", words),
        after_s=duration_after("after", words) or 0.0,
        abort="abort" in words,
        soft="soft" in words,
    )
    if made.over_s == 0:
        raise ConfigError("threshold", f"a window of nothing in {text!r}")
    return made


def split_part(name: str) -> tuple[str, str]:
    """``rtt.service`` into metric and part; without one it is the honest part of the metric."""
    metric, dot, last = name.rpartition(".")
    if dot and last in PARTS:
        return metric, last
    return name, "response" if name in (ACTION, "connect") else "value"


def check_kind(text: str, metric: str, agg: str, percent: float | None, unit: str) -> None:
    """Refuse a question that the metric cannot answer."""
    if percent is not None and percent > 100:
        raise ConfigError("threshold", f"a percentile is 100 at most in {text!r}")
    if percent is not None or agg in OF_VALUES:
        if metric not in DISTRIBUTIONS:
            raise ConfigError("threshold", f"{metric} is only counted: ask for count or rate in {text!r}")
        if unit not in TIME_UNITS:
            raise ConfigError("threshold", f"{agg} is a time: give us, ms, s or m in {text!r}")
    elif agg == "rate" and unit not in ("%", "/s", "/min"):
        raise ConfigError("threshold", f"a rate is in %, /s or /min in {text!r}")
    elif agg == "value" and metric not in GAUGES:
        raise ConfigError("threshold", f"value is for {', '.join(GAUGES)} in {text!r}")
    elif agg in ("count", "value") and unit in (*TIME_UNITS, "/s", "/min"):
        raise ConfigError("threshold", f"{agg} has no unit of time in {text!r}")


def parse_tags(text: str) -> dict[str, str]:
    """``event=openOrder,lane=mux`` as a dict."""
    tags = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError("threshold", f"a tag is written name=value, not {part!r}")
        tags[name.strip()] = value.strip()
    return tags


def duration_after(word: str, words: list[str]) -> float | None:
    """The duration that follows a word."""
    if word not in words:
        return None
    try:
        return parse_duration(words[words.index(word) + 1])
    except ValueError as error:
        raise ConfigError("threshold", str(error)) from None


def evaluate(
    threshold: Threshold, merged: Merged, gauges: Mapping[str, float] | None = None
) -> Verdict | None:
    """Judge a run by what it has reported so far; None while ``after`` has not passed.

    Args:
        threshold: what to keep.
        merged: the run.
        gauges: what only the controller knows (``coverage`` as a fraction).
    """
    now_s = merged.elapsed_s
    if now_s < threshold.after_s:
        return None
    observed = observe(threshold, merged, gauges or {})
    if observed is None:
        ok, words = threshold.soft, "no data"
    else:
        ok = OPERATORS[threshold.op](observed, threshold.limit)
        words = f"{observed / SCALE.get(threshold.unit, 1.0):.6g}{threshold.unit}"
    return Verdict(threshold.expr, words, ok, threshold.soft, threshold.abort, now_s)


def observe(threshold: Threshold, merged: Merged, gauges: Mapping[str, float]) -> float | None:
    """The figure, in the unit of ``Threshold.limit``; None where there is none."""
    metric, window_s = threshold.metric, threshold.over_s
    elapsed_s = max(min(merged.elapsed_s, window_s or merged.elapsed_s), 1e-9)
    if metric in GAUGES:
        if metric in gauges:
            return gauges[metric]
        return {"clients": merged.gauge("clients"), "cpu": merged.gauge("cpu_pct") / 100}.get(metric)
    if metric in COUNTERS:
        actions = merged.select(ACTION, threshold.tags, window_s=window_s)
        if metric == "errors":
            if actions is None:
                return None
            times = actions.count - actions.outcomes["ok"]
        elif threshold.tags:
            return None  # counters have no tags: nothing matches
        else:
            times = merged.counted(metric, window_s=window_s)
        if threshold.agg == "count":
            return float(times)
        if threshold.unit == "%":
            return times / actions.count if actions is not None and actions.count else None
        return times / elapsed_s
    series = merged.select(metric, threshold.tags, window_s=window_s)
    histogram = None if series is None else series.histograms.get(threshold.part)
    if histogram is None or not histogram.n:
        return None
    match threshold.agg:
        case "count":
            return float(histogram.n)
        case "rate":
            return histogram.n / elapsed_s
        case "avg":
            return histogram.mean
        case "stddev":
            return histogram.stddev
        case "min":
            return float(histogram.min)
        case "max":
            return float(histogram.max)
        case _:  # med, or a percentile
            return float(histogram.percentile(50.0 if threshold.percent is None else threshold.percent))
