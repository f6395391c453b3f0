"""The asset table: the rows real clients parse, and what public captures show of them."""

from __future__ import annotations

import msgspec
import pytest

from loadsim.venue.assets import ASSETS, row_of
from loadsim.venue.schedule import Session

NOW = 1_751_930_000.0


class Duration(msgspec.Struct, forbid_unknown_fields=True):
    """Column 15."""

    time: int


Row = tuple[
    int,
    str,
    str,
    str,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    int,
    list[object],
    int,
    bool,
    list[Duration],
    int,
    int,
    int,
]
"""The 19 columns with the types the strictest client asks for (`protocol.md` 5.3)."""


def test_table_has_at_least_170_rows_of_19_typed_columns() -> None:
    data = msgspec.json.encode([row_of(a, seed=1, stamp=NOW, payout_period_s=900) for a in ASSETS])
    rows = msgspec.json.decode(data, type=list[Row])

    assert len(rows) >= 170
    assert {row[3] for row in rows} == {"stock", "currency", "commodity", "cryptocurrency", "index"}
    assert all(0 <= row[4] <= 9 and 0 <= row[5] <= 92 for row in rows)
    assert len(data) < 190_000


def test_apple_is_first_with_id_5() -> None:
    """Some public clients detect the table by this prefix."""
    row = row_of(ASSETS[0], seed=1, stamp=NOW, payout_period_s=900)
    assert msgspec.json.encode([row]).startswith(b'[[5,"#AAPL","Apple","stock",')


def test_ids_and_symbols_are_unique_and_twins_know_each_other() -> None:
    by_id = {asset.id: asset for asset in ASSETS}
    assert len(by_id) == len(ASSETS) == len({asset.symbol for asset in ASSETS})
    for asset in ASSETS:
        twin = by_id[asset.twin_id]
        assert twin.twin_id == asset.id
        assert twin.is_otc is not asset.is_otc
        assert {asset.symbol, twin.symbol} == {
            asset.symbol.removesuffix("_otc"),
            asset.symbol.removesuffix("_otc") + "_otc",
        }


@pytest.mark.parametrize(
    ("symbol", "id", "kind", "digits", "twin"),
    [
        ("EURUSD_otc", 66, "currency", 5, 1),
        ("EURUSD", 1, "currency", 5, 66),
        ("BTCUSD", 197, "cryptocurrency", 1, 484),
        ("#AAPL", 5, "stock", 3, 170),
    ],
)
def test_rows_quoted_in_the_dossier(symbol: str, id: int, kind: str, digits: int, twin: int) -> None:
    asset = next(asset for asset in ASSETS if asset.symbol == symbol)
    row = row_of(asset, seed=1, stamp=NOW, payout_period_s=900)

    assert (row[0], row[3], row[4]) == (id, kind, digits)
    assert row[10:12] == ([0, twin] if asset.is_otc else [twin, 0])
    assert row[17] == (5 if asset.is_otc else 60)


def test_what_trades_over_the_counter_in_currencies_never_closes() -> None:
    assert all(
        asset.session is Session.ALWAYS for asset in ASSETS if asset.is_otc and asset.kind == "currency"
    )
    assert any(asset.session is Session.RESTS for asset in ASSETS)


def test_walk_starts_at_the_base_price_in_points() -> None:
    asset = next(asset for asset in ASSETS if asset.symbol == "EURUSD_otc")
    assert asset.walk(1.0).base == round(asset.base_price * 100_000)
    assert asset.walk(0.0).volatility == 0
    assert asset.duration_min_s == 5
