"""Export with the real packages: exact types, UTC, and an empty table has the columns of a full one."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pandas
import polars
import pyarrow
import pytest

from potrio.client.candle_list import CandleList
from potrio.client.deal_records import DealPage, DealRecord, page_of
from potrio.client.export import COLUMNS, to_arrow, to_pandas, to_polars
from potrio.errors import ConfigError
from potrio.protocol.candles import Candle
from potrio.protocol.messages.market import Tick
from potrio.protocol.messages.trading import Deal

AT = 1_770_000_000
CANDLES = [Candle(AT, 1.1, 1.4, 1.0, 1.2, 7, True), Candle(AT + 60, 1.2, 1.3, 1.1, 1.3, None, False)]
TICKS = [Tick("A", AT + 0.125, 1.1), Tick("B", AT + 0.25, 1.2)]
FINEST = Decimal("99999999999999.123456789012345678")


def record(id: str = "d", *, closed: bool = True, amount: Decimal = Decimal("1.50")) -> DealRecord:
    deal = Deal(
        id=id,
        open_timestamp=AT + 7200,
        close_timestamp=AT + 7260,
        amount=amount,
        profit=Decimal("-1.50"),
        percent_profit=92,
        open_price=1.5,
        close_price=1.4 if closed else None,
        command=1,
        asset="A",
        currency="USD",
    )
    opened, closes = datetime.fromtimestamp(AT, UTC), datetime.fromtimestamp(AT + 60, UTC)
    return DealRecord(deal, "r" if closed else None, closed, opened, closes)


DEALS = [record("d1", amount=FINEST), record("d2", closed=False)]
KINDS = {"candles": CANDLES, "ticks": TICKS, "deals": DEALS}


@pytest.mark.parametrize("kind", KINDS)
def test_pandas(kind):
    frame = to_pandas(KINDS[kind])
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    assert [frame.index.name, *frame.columns] == [column.name for column in COLUMNS[kind]]
    types = {
        "number": "float64",
        "text": "string",
        "flag": "bool",
        "money": "object",
        "time": "datetime64[us, UTC]",
    }
    assert [str(dtype) for dtype in frame.dtypes] == [types[column.type] for column in COLUMNS[kind][1:]]
    assert len(frame) == 2


def test_pandas_values():
    frame = to_pandas(CANDLES)
    assert frame.index[0] == pandas.Timestamp(AT, unit="s", tz="UTC")
    assert frame.loc[frame.index[0]].tolist() == [1.1, 1.4, 1.0, 1.2, 7.0, True]
    assert pandas.isna(frame["volume"].iloc[1])
    assert to_pandas(TICKS).index[0].microsecond == 125_000
    deals = to_pandas(DEALS)
    assert deals["amount"].iloc[0] == FINEST
    assert deals["amount"].sum() == FINEST + Decimal("1.50")
    assert deals["outcome"].iloc[0] == "lost"
    assert deals["profit"].iloc[1] is None
    assert pandas.isna(deals["outcome"].iloc[1])
    assert pandas.isna(deals["close_price"].iloc[1])
    assert deals["opened_at"].iloc[0] == pandas.Timestamp(AT, unit="s", tz="UTC")


@pytest.mark.parametrize("kind", KINDS)
def test_polars(kind):
    frame = to_polars(KINDS[kind])
    types = {
        "time": polars.Datetime("us", "UTC"),
        "number": polars.Float64(),
        "text": polars.String(),
        "flag": polars.Boolean(),
        "money": polars.Decimal(38, 18),
    }
    assert dict(frame.schema) == {column.name: types[column.type] for column in COLUMNS[kind]}
    for column in COLUMNS[kind]:
        told = frame[column.name].to_list()
        if column.type == "time":
            told = [round(value.timestamp() * 1e6) for value in told]
        assert told == column.read(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_arrow(kind):
    table = to_arrow(KINDS[kind])
    types = {
        "time": pyarrow.timestamp("us", tz="UTC"),
        "number": pyarrow.float64(),
        "text": pyarrow.string(),
        "flag": pyarrow.bool_(),
        "money": pyarrow.decimal128(38, 18),
    }
    assert {field.name: field.type for field in table.schema} == {
        column.name: types[column.type] for column in COLUMNS[kind]
    }
    for column in COLUMNS[kind]:
        told = table[column.name].to_pylist()
        if column.type == "time":
            told = [round(value.timestamp() * 1e6) for value in told]
        assert told == column.read(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_table_has_the_columns_of_a_full_one(kind):
    full, empty = to_pandas(KINDS[kind]), to_pandas([], kind)
    assert (list(full.columns), list(full.dtypes)) == (list(empty.columns), list(empty.dtypes))
    assert (full.index.dtype, full.index.name, len(empty)) == (empty.index.dtype, empty.index.name, 0)
    assert to_polars(KINDS[kind]).schema == to_polars([], kind).schema
    assert to_arrow(KINDS[kind]).schema == to_arrow([], kind).schema


def test_lists_that_know_what_they_hold_need_not_be_told():
    assert "volume" in to_pandas(CandleList()).columns
    assert "profit" in to_polars(page_of([], 1, 10)).columns
    assert len(to_arrow(DealPage(tuple(DEALS), 1, 1, 2, page_of(DEALS, 1, 9).totals))) == 2


@pytest.mark.parametrize(
    ("rows", "kind", "path"), [([], None, "kind"), (CANDLES, "prices", "kind"), ([object()], None, "rows")]
)
@pytest.mark.parametrize("to", [to_pandas, to_polars, to_arrow])
def test_what_is_not_clear_is_refused(to, rows, kind, path):
    with pytest.raises(ConfigError) as caught:
        to(rows, kind)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("function", "package", "name"),
    [("to_pandas", "pandas", "pandas"), ("to_polars", "polars", "polars"), ("to_arrow", "pyarrow", "arrow")],
)
def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch, function, package, name):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError) as caught:
        {"to_pandas": to_pandas, "to_polars": to_polars, "to_arrow": to_arrow}[function](CANDLES)
    assert str(caught.value) == f"{package}: is not installed: pip install 'potrio[{name}]'"


def test_nothing_of_it_is_imported_before_it_is_used():
    code = "import sys, potrio.client.export; print({'pandas', 'polars', 'pyarrow', 'numpy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
