"""Looking at an account and its market: tab-separated lines away from a terminal, nothing but JSON on demand."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from itertools import pairwise

import pytest

from .conftest import ASSET, LIVE_SSID, SSID, Command


@pytest.fixture(params=["framed", "trio-websocket"])
def transport(request) -> str:
    return request.param


def test_balance(potrio: Command, venue_url: str, transport: str) -> None:
    done = potrio("balance", "--url", venue_url, "--transport", transport)
    assert done == (0, "50000.00 (demo)\n", "")


def test_balance_as_json_is_exact(potrio: Command, venue_url: str) -> None:
    done = potrio("balance", "--url", venue_url, "--json")
    assert (done.code, done.err) == (0, "")
    assert float(json.loads(done.out)["balance"]) == 50000
    assert json.loads(done.out)["account"] == "demo"
    assert isinstance(json.loads(done.out)["balance"], str)


def test_a_live_account_says_so(potrio: Command, venue_url: str) -> None:
    done = potrio("balance", "--url", venue_url, ssid=LIVE_SSID)
    assert done.out == "1000.00 (live)\n"


def test_the_ssid_from_a_file(potrio: Command, venue_url: str, tmp_path) -> None:
    (tmp_path / "ssid").write_text(SSID)
    assert potrio("balance", "--url", venue_url, "--ssid-file", str(tmp_path / "ssid"), ssid=None).code == 0


def test_assets(potrio: Command, venue_url: str) -> None:
    some = potrio("assets", "--url", venue_url).out.splitlines()
    everything = potrio("assets", "--url", venue_url, "--all").out.splitlines()
    assert some[0] == "symbol\tlabel\tkind\tpayout %\topen"
    assert len(everything) > 170
    assert set(some) < set(everything)
    assert all(line.endswith("\tTrue") for line in some[1:])


def test_assets_as_json(potrio: Command, venue_url: str) -> None:
    done = potrio("assets", "--url", venue_url, "--json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert {row["symbol"] for row in rows} >= {ASSET}
    assert all(row["open"] and 0 < row["payout"] <= 100 for row in rows)


def test_candles(potrio: Command, venue_url: str) -> None:
    done = potrio("candles", ASSET, "-t", "5m", "-n", "7", "--url", venue_url)
    head, *rows = done.out.splitlines()
    assert head == "time (UTC)\topen\thigh\tlow\tclose"
    times = [datetime.fromisoformat(row.split("\t")[0]) for row in rows]
    assert len(times) == 7
    assert {(later - earlier).seconds for earlier, later in pairwise(times)} == {300}


def test_candles_as_json(potrio: Command, venue_url: str, transport: str) -> None:
    done = potrio("candles", ASSET, "-n", "3", "--json", "--url", venue_url, "--transport", transport)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert len(rows) == 3
    assert all(row["low"] <= row["open"] <= row["high"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["NOSUCH"], "NOSUCH"), ([ASSET, "-t", "7parsecs"], "timeframe")],
)
def test_candles_of_what_is_not_there(
    potrio: Command, venue_url: str, arguments: list[str], word: str
) -> None:
    potrio("candles", *arguments, "--url", venue_url).check_one_line(word, code=2)


def test_ticks_until_there_are_enough(potrio: Command, venue_url: str) -> None:
    done = potrio("ticks", ASSET, "GBPUSD_otc", "-n", "3", "--url", venue_url)
    rows = [line.split("  ") for line in done.out.splitlines()]
    assert (done.code, done.err, len(rows)) == (0, "", 3)
    for when, asset, price in rows:
        assert datetime.fromisoformat(when).utcoffset() is not None
        assert asset in (ASSET, "GBPUSD_otc")
        assert float(price) > 0


def test_ticks_as_json(potrio: Command, venue_url: str) -> None:
    done = potrio("ticks", ASSET, "-n", "2", "--json", "--url", venue_url)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [(row["kind"], row["asset"]) for row in rows] == [("tick", ASSET)] * 2


def test_ticks_of_more_assets_than_the_venue_streams(potrio: Command, venue_url: str) -> None:
    names = ("EURUSD_otc", "GBPUSD_otc", "AUDCAD_otc", "AUDUSD_otc", "EURJPY_otc")
    potrio("ticks", *names, "--url", venue_url).check_one_line("4 assets", code=1)


def test_many_candles_count_their_pages_on_a_terminal(potrio: Command, venue_url: str, monkeypatch) -> None:
    arguments = ("candles", ASSET, "-t", "1m", "-n", "1500", "--url", venue_url)
    assert potrio(*arguments).err == ""
    monkeypatch.setattr("potrio.cli.progress.FIRST_S", 0.0)
    monkeypatch.setattr("potrio.cli.progress.AGAIN_S", 0.001)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    done = potrio(*arguments)
    assert done.code == 0
    assert " pages" in done.err
    assert done.err.endswith("\x1b[2K"), "nothing of it is left"
