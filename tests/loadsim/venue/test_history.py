"""History: the shapes and rules of `protocol.md` 6, and that nothing of the future is told."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import pairwise
from typing import Any

import pytest
from msgspec import Raw

from loadsim.venue.config import MarketConfig
from loadsim.venue.history import (
    CANDLE_ROWS_MAX,
    STEP_TICKS_S,
    change_symbol,
    history_name,
    load_history_period,
    prepare_change_symbol,
    prepare_load_history_period,
)
from loadsim.venue.market import Market
from loadsim.venue.requests import ChangeSymbol, LoadHistoryPeriod
from loadsim.venue.wire import to_json

UNIX = 1_790_000_000.0
NOW = UNIX + 7200
MARKET = Market(7, history_start=(int(NOW) // 86_400 - 100) * 86_400)


def changed(period: int = 60, asset: str = "EURUSD_otc", **config: Any) -> dict[str, Any] | None:
    """The answer to ``changeSymbol``."""
    return change_symbol(MARKET, ChangeSymbol(asset, period), NOW, MarketConfig(**config))


def loaded(
    period: int,
    offset: float,
    *,
    time: float = NOW,
    fast: bool = True,
    lenient: bool = True,
    asset: str = "EURUSD_otc",
) -> dict[str, Any] | None:
    """The answer to ``loadHistoryPeriod``."""
    request = LoadHistoryPeriod(asset, time, offset, period, Raw(b"1"))
    return load_history_period(MARKET, request, NOW, fast=fast, unix_now=UNIX if lenient else None)


@pytest.mark.parametrize("period", [1, 5, 60, 180, 3600, 14_400, 86_400])
def test_change_symbol_tells_ten_minutes_of_ticks_and_99_candles(period: int) -> None:
    answer = changed(period)
    assert answer is not None
    assert list(answer) == ["asset", "period", "history", "candles"]
    assert 1190 < len(answer["history"]) < 1210
    starts = [row[0] for row in answer["candles"]]
    assert len(starts) == 99
    assert starts == list(range(starts[0], starts[0] - 99 * period, -period))
    assert starts[0] % period == 0


def test_the_newest_candle_is_as_it_stood_seven_minutes_ago() -> None:
    """As captured: a stale partial snapshot; the buckets after it are absent."""
    answer = changed(180)
    assert answer is not None
    known = NOW - 420
    newest = answer["candles"][0]
    assert newest[0] == int(known) // 180 * 180
    so_far = MARKET.candle("EURUSD_otc", 180, newest[0], known)
    whole = MARKET.candle("EURUSD_otc", 180, newest[0])
    assert newest == so_far[:5] != whole[:5]


def test_candles_can_be_rebuilt_from_what_is_sent() -> None:
    """What a client must do: the stale candle, merged with the ticks after it, is the candle under way."""
    answer = changed(3600)
    assert answer is not None
    start, first, _, high, low = answer["candles"][0]
    ticks = [price for stamp, price in answer["history"] if stamp >= start]
    current = MARKET.candle("EURUSD_otc", 3600, start, NOW)
    assert (first, ticks[-1], max(high, *ticks), min(low, *ticks)) == current[1:5]


def test_without_staleness_the_newest_candle_is_the_one_under_way() -> None:
    answer = changed(60, candles_stale_s=0)
    assert answer is not None
    assert answer["candles"][0][0] == int(NOW) // 60 * 60
    assert answer["candles"][0] == MARKET.candle("EURUSD_otc", 60, int(NOW) // 60 * 60, NOW)[:5]


def test_an_asset_that_sleeps_at_night_has_candles_of_its_days() -> None:
    answer = changed(3600, asset="#AAPL")
    assert answer is not None
    assert len(answer["candles"]) == 99
    assert all(MARKET.is_open("#AAPL", row[0]) for row in answer["candles"])


def test_a_window_is_closed_candles_ascending() -> None:
    answer = loaded(60, 9000)
    assert answer is not None
    stamps = [row["time"] for row in answer["data"]]
    assert stamps == list(range(stamps[0], stamps[0] + 60 * len(stamps), 60))
    assert stamps[0] >= NOW - 9000
    assert stamps[-1] + 60 <= NOW
    assert len(stamps) == 149
    assert answer["period"] == 60
    assert list(answer["data"][0]) == ["symbol_id", "time", "open", "close", "high", "low", "asset", "volume"]
    assert answer["data"][0]["symbol_id"] == 66


def test_the_example_of_the_dossier_starts_where_its_window_does() -> None:
    answer = loaded(60, 9000, time=NOW // 60 * 60 - 600)
    assert answer is not None
    assert answer["data"][0]["time"] == NOW // 60 * 60 - 9600
    assert len(answer["data"]) == 150


def test_pages_follow_each_other_without_gap_or_overlap() -> None:
    stamps: list[int] = []
    time = NOW
    for _ in range(4):
        page = loaded(60, 3000, time=time)
        assert page is not None
        stamps = [row["time"] for row in page["data"]] + stamps
        time = stamps[0]
    assert stamps == list(range(stamps[0], stamps[0] + 60 * len(stamps), 60))


@pytest.mark.parametrize(
    ("fast", "period", "ticks"),
    [
        (False, 30, True),
        (False, 59, True),
        (False, 60, False),
        (True, 1, True),
        (True, 4, True),
        (True, 5, False),
    ],
)
def test_short_periods_are_answered_with_ticks_and_period_0(fast: bool, period: int, ticks: bool) -> None:
    answer = loaded(period, 600, fast=fast)
    assert answer is not None
    assert answer["period"] == (0 if ticks else period)
    row = answer["data"][0]
    if ticks:
        assert list(row) == ["asset", "time", "price"]
        assert len(answer["data"]) in range(1190, 1210)
    else:
        assert ("volume" in row) is fast


def test_twenty_pages_of_a_thousand_seconds() -> None:
    """What the rival does for its history."""
    time, total = NOW, 0
    for _ in range(20):
        page = loaded(1, 1000, time=time)
        assert page is not None
        total += len(page["data"])
        time = page["data"][0]["time"]
        assert len(to_json(page)) < 1_000_000
    assert 39_900 < total < 40_100


def test_lenient_time_takes_unix_now_for_now() -> None:
    lenient, literal = loaded(60, 600, time=UNIX + 3), loaded(60, 600, time=UNIX + 3, lenient=False)
    assert lenient is not None
    assert literal is not None
    assert lenient["data"] == loaded(60, 600)["data"]
    assert literal["data"][-1]["time"] <= UNIX
    earlier = loaded(60, 600, time=UNIX - 6)
    assert earlier is not None
    assert earlier["data"][-1]["time"] <= UNIX, "anything else is read literally"


def test_future_and_prehistoric_windows_tell_what_exists() -> None:
    future = loaded(60, 600, time=NOW + 10**9)
    assert future is not None
    assert future["data"] == loaded(60, 600)["data"]
    for time, offset in ((0.0, 1000.0), (-5.0, 1e18), (1000.0, -5.0)):
        answer = loaded(60, offset, time=time)
        assert answer is not None
        assert answer["data"] == []
    edge = loaded(60, 3600, time=MARKET.history_start + 600)
    assert edge is not None
    assert edge["data"][0]["time"] == MARKET.history_start


def test_answers_stay_below_what_public_clients_accept() -> None:
    for answer in (loaded(60, 1e9), loaded(1, 1e9), loaded(59, 1e9, fast=False), changed(1)):
        assert answer is not None
        size = len(to_json(answer))
        assert 20_000 < size < 1_000_000


@pytest.mark.parametrize(
    ("asset", "period"), [("NOPE", 60), ("EURUSD_otc", 0), ("EURUSD_otc", -60), ("EURUSD_otc", 86_401)]
)
def test_what_does_not_exist_has_no_answer(asset: str, period: int) -> None:
    assert changed(period, asset) is None
    assert loaded(period, 600, asset=asset) is None


def test_names_and_shape_on_the_wire() -> None:
    assert history_name("updateHistoryNew", fast=True) == "updateHistoryNewFast"
    assert history_name("loadHistoryPeriod", fast=False) == "loadHistoryPeriod"
    sent = json.loads(to_json(changed(60)))
    assert all(isinstance(row[0], int) and len(row) == 5 for row in sent["candles"])
    assert all(isinstance(row[0], float) and len(row) == 2 for row in sent["history"])


class Drawn:
    """Counts what is drawn afresh, not told from a cache."""

    def __init__(self, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        path = market._path
        for name in ("_draw_parts", "_draw_leaf", "_draw_day"):
            monkeypatch.setattr(
                path, name.replace("_draw", ""), lru_cache(100_000)(self.counted(getattr(path, name)))
            )

    def counted(self, draw: Any) -> Any:
        def drawn(*arguments: Any) -> Any:
            self.count += 1
            return draw(*arguments)

        return drawn


@pytest.mark.parametrize("asset", ["EURUSD_otc", "#AAPL"])
@pytest.mark.parametrize(
    ("period", "offset"), [(60, 1e9), (61, 1e9), (5, 1e9), (86_400, 1e9), (1, 1e9), (60, 0)]
)
def test_a_page_is_drawn_in_short_steps_and_then_told_at_once(
    period: int, offset: float, asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(9, history_start=(int(NOW) // 86_400 - 100) * 86_400)
    drawn = Drawn(market, monkeypatch)
    request = LoadHistoryPeriod(asset, NOW, offset, period, Raw(b"1"))
    steps = [drawn.count for _ in prepare_load_history_period(market, request, NOW, fast=True)]
    assert max((b - a for a, b in pairwise([0, *steps])), default=0) <= 150
    assert len(steps) <= CANDLE_ROWS_MAX
    before = drawn.count
    assert load_history_period(market, request, NOW, fast=True) is not None
    assert drawn.count == before


@pytest.mark.parametrize("asset", ["EURUSD_otc", "#AAPL"])
@pytest.mark.parametrize("period", [1, 60, 61, 86_399])
def test_the_answer_to_change_symbol_is_drawn_in_short_steps(
    period: int, asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(9, history_start=(int(NOW) // 86_400 - 100) * 86_400)
    drawn = Drawn(market, monkeypatch)
    request = ChangeSymbol(asset, period)
    steps = [drawn.count for _ in prepare_change_symbol(market, request, NOW, MarketConfig())]
    assert max((b - a for a, b in pairwise([0, *steps])), default=0) <= 150
    assert len(steps) <= 3 * 99 + 600 / STEP_TICKS_S
    before = drawn.count
    assert change_symbol(market, request, NOW, MarketConfig()) is not None
    assert drawn.count - before <= 10, "the newest candle, which is not whole, and no more"


@pytest.mark.parametrize("asset", ["NOPE", "EURUSD_otc"])
def test_nothing_is_drawn_for_what_does_not_exist(asset: str) -> None:
    for period in (0, 86_401) if asset != "NOPE" else (60,):
        load = LoadHistoryPeriod(asset, NOW, 600, period, Raw(b"1"))
        assert list(prepare_load_history_period(MARKET, load, NOW, fast=True)) == []
        assert list(prepare_change_symbol(MARKET, ChangeSymbol(asset, period), NOW, MarketConfig())) == []


@pytest.mark.parametrize("lag_s", [1, 59, 60, 200, 420])
def test_history_that_lags_tells_candles_as_they_stood(lag_s: int) -> None:
    request = LoadHistoryPeriod("EURUSD_otc", NOW, 3600, 60, Raw(b"1"))
    whole = load_history_period(MARKET, request, NOW, fast=True)
    late = load_history_period(MARKET, request, NOW, fast=True, lag_s=lag_s)
    assert whole is not None
    assert late is not None
    known = int(NOW) - lag_s
    *closed, newest = late["data"]
    assert closed == whole["data"][: len(closed)]
    assert newest["time"] <= known
    part = MARKET.candle("EURUSD_otc", 60, newest["time"], known)
    assert part is not None
    assert (newest["open"], newest["close"], newest["high"], newest["low"]) == part[1:5]
    ticks = LoadHistoryPeriod("EURUSD_otc", NOW, 60, 1, Raw(b"1"))
    assert load_history_period(MARKET, ticks, NOW, fast=True, lag_s=lag_s) == load_history_period(
        MARKET, ticks, NOW, fast=True
    )
    for _ in prepare_load_history_period(MARKET, request, NOW, fast=True, lag_s=lag_s):
        pass
