"""The recorder of a shard: takes what happens, and gives each second what has come since.

Every action is measured with both clocks: service time from its actual start, response time from the instant it was
intended for (P10: what a late generator adds is in the second, never hidden in the first).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from loadsim.metrics.delta import Delta
from loadsim.metrics.series import ErrorSample, Series, SeriesKey, key_of

__all__ = ["Recorder"]

NO_TAGS: Mapping[str, str] = {}
NO_ACCOUNTS: Mapping[str, int] = {}
ERROR_KINDS_MAX = 200
"""Kinds of error that are told apart in one report; further ones are counted as ``other``."""

SAMPLE_CHARS_MAX = 300


class Recorder:
    """What one shard has recorded since its last report.

    Args:
        run: the run's name.
        shard: the shard's number.
        incarnation: which start of the shard this is.
    """

    def __init__(self, run: str, shard: int, incarnation: int = 0) -> None:
        self._run = run
        self._shard = shard
        self._incarnation = incarnation
        self._seq = 0
        self._series: dict[SeriesKey, Series] = {}
        self._counters: Counter[str] = Counter()
        self._gauges: dict[str, float] = {}
        self._errors: dict[tuple[str, str], ErrorSample] = {}

    def action(
        self,
        name: str,
        tags: Mapping[str, str] = NO_TAGS,
        *,
        intended_s: float,
        started_s: float,
        ended_s: float,
        error: str | None = None,
        text: str = "",
    ) -> None:
        """Record an action that has ended.

        Args:
            name: of the metric, as ``rtt``.
            tags: what tells it apart, as ``event=openOrder``.
            intended_s: the instant the schedule wanted it at; with the next two, seconds of one clock.
            started_s: when it was really begun.
            ended_s: when its answer was there, or its deadline.
            error: the kind of error it ended in; None: it went well.
            text: of the error, already without secrets.
        """
        series = self._series_of(name, tags)
        series.record("service", microseconds(ended_s - started_s))
        series.record("response", microseconds(ended_s - intended_s))
        series.outcomes["ok" if error is None else error] += 1
        if error is not None:
            self.error(error, tags.get("event", name), ended_s, text)

    def observe(self, metric: str, value_us: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Record a value in microseconds that has no two clocks, as the gap between two ticks."""
        self._series_of(metric, tags).record("value", round(value_us))

    def observe_key(self, key: SeriesKey, value_us: float) -> None:
        """`observe` for what comes ten thousand times a second: the key was made beforehand (`key_of`)."""
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Series()
        found.record("value", round(value_us))

    def count(self, name: str, times: int = 1) -> None:
        """Count something."""
        self._counters[name] += times

    def gauge(self, name: str, value: float) -> None:
        """Say how something is now."""
        self._gauges[name] = value

    def error(self, kind: str, where: str, at_s: float, text: str = "") -> None:
        """Count an error that belongs to no action, or the kind of one that does."""
        key = (kind, where)
        if key not in self._errors and len(self._errors) >= ERROR_KINDS_MAX:
            key = ("other", "")
        fresh = ErrorSample(*key, 1, at_s, at_s, text[:SAMPLE_CHARS_MAX])
        known = self._errors.get(key)
        self._errors[key] = fresh if known is None else known.merged(fresh)

    def take_delta(
        self, t_s: float, *, last: bool = False, accounts: Mapping[str, int] = NO_ACCOUNTS
    ) -> Delta:
        """Everything since the last call; counters and histograms begin again at nothing, gauges stay."""
        delta = Delta(
            run=self._run,
            shard=self._shard,
            incarnation=self._incarnation,
            seq=self._seq,
            t_s=t_s,
            series=[series.encode(key) for key, series in self._series.items()],
            counters=dict(self._counters),
            gauges=dict(self._gauges),
            errors=list(self._errors.values()),
            accounts=dict(accounts),
            last=last,
        )
        self._seq += 1
        self._series.clear()
        self._counters.clear()
        self._errors.clear()
        return delta

    def _series_of(self, name: str, tags: Mapping[str, str]) -> Series:
        key = key_of(name, tags)
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Series()
        return found


def microseconds(seconds: float) -> int:
    """Whole microseconds."""
    return round(seconds * 1_000_000)
