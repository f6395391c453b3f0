"""How commands print: tables and a small chart on a terminal, plain lines elsewhere, JSON on demand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal

import click
import msgspec
from rich.console import Console
from rich.table import Table

__all__ = ["CLEAR_LINE", "Screen", "cents", "chart", "money", "table", "to_json"]

ENCODER = msgspec.json.Encoder(decimal_format="string")
BLOCKS = " ▁▂▃▄▅▆▇█"
CLEAR_LINE = "\r\x1b[2K"


def to_json(value: object) -> str:
    """One line of JSON; money stays exact, as a string."""
    return ENCODER.encode(value).decode()


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows: a rich table on a terminal, tab-separated lines elsewhere."""
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            click.echo("\t".join(str(cell) for cell in row))
        return
    shown = Table()
    for column in columns:
        shown.add_column(column)
    for row in rows:
        shown.add_row(*(str(cell) for cell in row), style=None)
    Console(markup=False).print(shown)


def chart(values: Sequence[float], width: int = 72) -> str:
    """A line of blocks, one per value, at most ``width``: enough to see that a market moves."""
    shown = list(values)[-width:]
    low, high = min(shown), max(shown)
    if low == high:
        return BLOCKS[4] * len(shown)
    return "".join(BLOCKS[1 + round((value - low) / (high - low) * 7)] for value in shown)


class Screen:
    """Where a long command tells what it is doing: lines as they come, or nothing with ``--json``.

    On a terminal the last line may be a status that is written over again and again; elsewhere there is none.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.colour = not quiet and sys.stdout.isatty()
        self._has_status = False

    def say(self, text: str = "") -> None:
        """Print a line."""
        if not self.quiet:
            self._clear()
            click.echo(text)

    def head(self, text: str) -> None:
        """Print the head of a section."""
        self.say(click.style(f"\n== {text}", bold=True) if self.colour else f"\n== {text}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows, unless quiet."""
        if not self.quiet:
            self._clear()
            table(columns, rows)

    def status(self, text: str) -> None:
        """Show in one line what is being waited for, until something else is printed; an empty text takes it away."""
        if self.colour:
            self._clear()
            click.echo(text, nl=False)
            self._has_status = bool(text)

    def _clear(self) -> None:
        if self._has_status:
            click.echo(CLEAR_LINE, nl=False)
            self._has_status = False


def money(amount: Decimal) -> str:
    """A gain or a loss: with its sign, to the cent."""
    return f"{amount:+.2f}"


def cents(amount: Decimal) -> str:
    """An amount to the cent."""
    return f"{amount:.2f}"
