"""Candles, ticks and deals as tables of pandas, polars or Arrow; each of them is an extra of its own.

One column at a time, straight from the objects. Times are UTC with microseconds, money stays exact (Decimal), and an
empty list has the same columns with the same types as a full one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

from potrio.client.candle_list import CandleList
from potrio.client.deal_records import DealPage, DealRecord
from potrio.errors import ConfigError
from potrio.protocol.candles import Candle
from potrio.protocol.messages.market import Tick

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["Exportable", "Kind", "to_arrow", "to_pandas", "to_polars"]

Kind = Literal["candles", "ticks", "deals"]
Exportable = Sequence[Candle] | Sequence[Tick] | Sequence[DealRecord] | DealPage

MONEY_PRECISION: Final = 38
MONEY_SCALE: Final = 18
"""Arrow's and polars' Decimal: as many digits after the point as the wire may carry, and 20 before it."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


class Column(msgspec.Struct, frozen=True):
    """A column: its name, what it is, and how to read it off all rows. ``nullable`` where a value may be None."""

    name: str
    type: Literal["time", "number", "text", "flag", "money"]
    read: Callable[[Sequence[Any]], list[Any]]
    nullable: bool = False


def micros(moment: datetime) -> int:
    """Microseconds since the Unix epoch, exactly."""
    return (moment - EPOCH) // MICROSECOND


COLUMNS: Final[dict[Kind, tuple[Column, ...]]] = {
    "candles": (
        Column("time", "time", lambda rows: [row.time * 1_000_000 for row in rows]),
        Column("open", "number", lambda rows: [row.open for row in rows]),
        Column("high", "number", lambda rows: [row.high for row in rows]),
        Column("low", "number", lambda rows: [row.low for row in rows]),
        Column("close", "number", lambda rows: [row.close for row in rows]),
        Column("volume", "number", lambda rows: [row.volume for row in rows], nullable=True),
        Column("complete", "flag", lambda rows: [row.complete for row in rows]),
    ),
    "ticks": (
        Column("time", "time", lambda rows: [round(row.timestamp * 1e6) for row in rows]),
        Column("asset", "text", lambda rows: [row.asset for row in rows]),
        Column("price", "number", lambda rows: [row.price for row in rows]),
    ),
    "deals": (
        Column("closes_at", "time", lambda rows: [micros(row.closes_at) for row in rows]),
        Column("opened_at", "time", lambda rows: [micros(row.opened_at) for row in rows]),
        Column("id", "text", lambda rows: [row.id for row in rows]),
        Column("request_id", "text", lambda rows: [row.request_id for row in rows], nullable=True),
        Column("asset", "text", lambda rows: [row.asset for row in rows]),
        Column("side", "text", lambda rows: [row.side.value for row in rows]),
        Column("amount", "money", lambda rows: [row.amount for row in rows]),
        Column("profit", "money", lambda rows: [row.profit for row in rows], nullable=True),
        Column(
            "outcome", "text", lambda rows: [row.outcome and row.outcome.value for row in rows], nullable=True
        ),
        Column("open_price", "number", lambda rows: [row.deal.open_price for row in rows]),
        Column(
            "close_price",
            "number",
            lambda rows: [row.deal.close_price if row.is_closed else None for row in rows],
            nullable=True,
        ),
        Column("currency", "text", lambda rows: [row.deal.currency for row in rows], nullable=True),
    ),
}
"""The first column of each is the index of a pandas frame."""


def to_pandas(rows: Exportable, kind: Kind | None = None) -> pandas.DataFrame:
    """Make a ``pandas.DataFrame``, indexed by UTC time (``datetime64[us, UTC]``).

    Numbers are float64 (NaN where there is none), texts ``string``, flags bool, money objects (Decimal).

    Args:
        rows: of `candles`, `tick_history`, `opened_deals` or `closed_deals`.
        kind: what they are; needed only where an empty plain list does not say it.

    Raises:
        ConfigError: pandas is not installed; or nothing says what is in an empty list.
    """
    library = extra("pandas", "pandas")
    types = {"number": "float64", "text": "string", "flag": "bool", "money": "object"}

    def series(column: Column, values: list[Any]) -> Any:
        if column.type == "time":
            stamps = library.Series(values, dtype="int64")
            return library.to_datetime(stamps, unit="us", utc=True).astype("datetime64[us, UTC]")
        return library.Series(values, dtype=types[column.type])

    frame = library.DataFrame({column.name: series(column, values) for column, values in table(rows, kind)})
    return cast("pandas.DataFrame", frame.set_index(frame.columns[0]))


def to_polars(rows: Exportable, kind: Kind | None = None) -> polars.DataFrame:
    """Make a ``polars.DataFrame``: times ``Datetime("us", "UTC")``, money ``Decimal(38, 18)``, null where nothing is.

    Args and errors as `to_pandas`.
    """
    library = extra("polars", "polars")
    types = {
        "time": library.Int64,
        "number": library.Float64,
        "text": library.String,
        "flag": library.Boolean,
        "money": library.Decimal(MONEY_PRECISION, MONEY_SCALE),
    }
    series = []
    for column, values in table(rows, kind):
        made = library.Series(column.name, values, dtype=types[column.type])
        series.append(made.cast(library.Datetime("us", "UTC")) if column.type == "time" else made)
    return cast("polars.DataFrame", library.DataFrame(series))


def to_arrow(rows: Exportable, kind: Kind | None = None) -> pyarrow.Table:
    """Make a ``pyarrow.Table``: times ``timestamp[us, UTC]``, money ``decimal128(38, 18)``, null where nothing is.

    Args and errors as `to_pandas`.
    """
    arrow = extra("pyarrow", "arrow")
    types = {
        "time": arrow.timestamp("us", tz="UTC"),
        "number": arrow.float64(),
        "text": arrow.string(),
        "flag": arrow.bool_(),
        "money": arrow.decimal128(MONEY_PRECISION, MONEY_SCALE),
    }
    columns = table(rows, kind)
    schema = arrow.schema(
        [arrow.field(column.name, types[column.type], nullable=column.nullable) for column, _ in columns]
    )
    arrays = [arrow.array(values, type=types[column.type]) for column, values in columns]
    return cast("pyarrow.Table", arrow.Table.from_arrays(arrays, schema=schema))


def table(rows: Exportable, kind: Kind | None) -> list[tuple[Column, list[Any]]]:
    """Read the columns off the rows."""
    items: Sequence[Any] = rows.deals if isinstance(rows, DealPage) else rows
    found = kind or kind_of(rows, items)
    if found not in COLUMNS:
        raise ConfigError("kind", f"is one of {', '.join(COLUMNS)}, not {found!r}")
    return [(column, column.read(items)) for column in COLUMNS[found]]


def kind_of(rows: Exportable, items: Sequence[Any]) -> Kind:
    """What the rows say they are."""
    if isinstance(rows, CandleList):
        return "candles"
    if isinstance(rows, DealPage):
        return "deals"
    if not items:
        raise ConfigError("kind", "an empty list does not say what is not in it: candles, ticks or deals?")
    match items[0]:
        case Candle():
            return "candles"
        case Tick():
            return "ticks"
        case DealRecord():
            return "deals"
        case other:
            raise ConfigError("rows", f"there is no table of {type(other).__name__}")


def extra(package: str, name: str) -> Any:
    """Import an optional package.

    Raises:
        ConfigError: one line that says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise ConfigError(package, f"is not installed: pip install 'potrio[{name}]'") from None
