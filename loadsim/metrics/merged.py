"""All shards' reports in one: totals, a row for each second, and which reports are missing.

Merging is exact and does not depend on the order in which reports come; a report that comes twice counts once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping

import msgspec

from loadsim.metrics.delta import Delta
from loadsim.metrics.series import ErrorSample, Series, SeriesKey, key_of
from potrio.histogram import Histogram

__all__ = ["ACTION", "Merged", "Row", "ShardView"]

WINDOW_MAX_S = 600.0
"""Reports are kept one by one for so long, for thresholds over a window; older ones are in the totals only."""

ACTION = "rtt"
"""The metric of actions: what a row of the timeline counts."""


class ShardView(msgspec.Struct):
    """What is known about one shard. ``reports`` came; ``gaps`` are missing among them."""

    shard: int
    incarnation: int = 0
    reports: int = 0
    highest: int = -1
    last_t_s: float = 0.0
    finished: bool = False
    gauges: dict[str, float] = {}

    @property
    def gaps(self) -> int:
        """Reports that never came, though later ones did."""
        return self.highest + 1 - self.reports


class Row(msgspec.Struct):
    """One second of the run, all shards together; percentiles are of the response time of what ended in it."""

    t: int
    clients: float = 0
    started: int = 0
    ok: int = 0
    errors: int = 0
    omitted: int = 0
    p50_us: int = 0
    p99_us: int = 0
    lag_p99_us: int = 0
    cpu_pct: float = 0


class Merged:
    """The sum of a run so far."""

    def __init__(self) -> None:
        self.series: dict[SeriesKey, Series] = {}
        self.counters: Counter[str] = Counter()
        self.errors: dict[tuple[str, str], ErrorSample] = {}
        self.shards: dict[int, ShardView] = {}
        self.accounts: dict[str, int] = {}
        self.duplicates = 0
        self._seen: dict[tuple[int, int], set[int]] = {}
        self._recent: deque[Delta] = deque()
        self._seconds: dict[int, list[Delta]] = {}
        self._rows: dict[int, Row] = {}

    # --- taking reports in -------------------------------------------------------------------------------------------

    def add(self, delta: Delta) -> bool:
        """Take a report in; False where it has been before. ConfigError where its histograms are none."""
        seen = self._seen.setdefault((delta.shard, delta.incarnation), set())
        if delta.seq in seen:
            self.duplicates += 1
            return False
        fresh = [(key_of(each.metric, each.tags), Series.decode(each)) for each in delta.series]
        seen.add(delta.seq)
        for key, series in fresh:
            self.series.setdefault(key, Series()).merge(series)
        self.counters.update(delta.counters)
        self.accounts.update(delta.accounts)
        for error in delta.errors:
            known = self.errors.get((error.kind, error.where))
            self.errors[error.kind, error.where] = error if known is None else known.merged(error)
        self._note_shard(delta)
        self._keep(delta)
        return True

    def _note_shard(self, delta: Delta) -> None:
        view = self.shards.setdefault(delta.shard, ShardView(delta.shard, delta.incarnation))
        if delta.incarnation > view.incarnation:
            view = self.shards[delta.shard] = ShardView(delta.shard, delta.incarnation)
        view.reports += 1
        if delta.seq > view.highest:
            view.highest, view.last_t_s, view.gauges = delta.seq, delta.t_s, dict(delta.gauges)
        view.finished = view.finished or delta.last

    def _keep(self, delta: Delta) -> None:
        self._recent.append(delta)
        self._seconds.setdefault(int(delta.t_s), []).append(delta)
        self._rows.pop(int(delta.t_s), None)
        newest = max(view.last_t_s for view in self.shards.values())
        while self._recent and self._recent[0].t_s < newest - WINDOW_MAX_S:
            self._recent.popleft()
        for second in [second for second in self._seconds if second < newest - WINDOW_MAX_S]:
            self._rows[second] = self._row(second)
            del self._seconds[second]

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def elapsed_s(self) -> float:
        """Seconds of the run as the latest report has them."""
        return max((view.last_t_s for view in self.shards.values()), default=0.0)

    @property
    def gaps(self) -> int:
        """Reports missing between others, of all shards."""
        return sum(view.gaps for view in self.shards.values())

    def gauge(self, name: str) -> float:
        """A gauge of all shards together: their sum."""
        return sum(view.gauges.get(name, 0.0) for view in self.shards.values())

    def select(
        self, metric: str, tags: Mapping[str, str] | None = None, *, window_s: float | None = None
    ) -> Series | None:
        """All series of a metric that have these tags, in one; None where there is none.

        Args:
            metric: its name.
            tags: each must be among a series' tags; a series may have more.
            window_s: only what was reported in the last so many seconds of the run.
        """
        wanted = set((tags or {}).items())
        if window_s is None:
            found = [
                series for (name, has), series in self.series.items() if name == metric and wanted <= set(has)
            ]
        else:
            since = self.elapsed_s - window_s
            found = [
                Series.decode(each)
                for delta in self._recent
                if delta.t_s > since
                for each in delta.series
                if each.metric == metric and wanted <= set(each.tags.items())
            ]
        return Series.sum(found) if found else None

    def counted(self, name: str, *, window_s: float | None = None) -> int:
        """A counter, of the whole run or of its last seconds."""
        if window_s is None:
            return self.counters[name]
        since = self.elapsed_s - window_s
        return sum(delta.counters.get(name, 0) for delta in self._recent if delta.t_s > since)

    def timeline(self) -> Iterator[Row]:
        """A row for each second that was reported, oldest first."""
        for second in sorted({*self._rows, *self._seconds}):
            row = self._rows.get(second)
            if row is None:
                row = self._rows[second] = self._row(second)
            yield row

    def _row(self, second: int) -> Row:
        deltas = self._seconds[second]
        row = Row(second)
        response, lag = Histogram(), Histogram()
        for delta in deltas:
            row.clients += delta.gauges.get("clients", 0.0)
            row.cpu_pct += delta.gauges.get("cpu_pct", 0.0)
            row.started += delta.counters.get("started", 0)
            row.omitted += delta.counters.get("omitted", 0)
            for each in delta.series:
                if each.metric == ACTION:
                    row.ok += each.outcomes.get("ok", 0)
                    row.errors += sum(each.outcomes.values()) - each.outcomes.get("ok", 0)
                    if "response" in each.histograms:
                        response.merge(Histogram.decode(each.histograms["response"]))
                elif each.metric == "generator.lag":
                    lag.merge(Histogram.decode(each.histograms["value"]))
        row.p50_us, row.p99_us = response.percentile(50), response.percentile(99)
        row.lag_p99_us = lag.percentile(99)
        return row
