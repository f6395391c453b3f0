"""Printing: charts, plain tables, exact JSON."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from decimal import Decimal

from potrio.cli.show import Screen, cents, chart, money, table, to_json


def test_a_chart_has_one_block_per_value_and_spans_the_range():
    line = chart([1.0, 2.0, 3.0, 2.0])
    assert len(line) == 4
    assert (line[0], line[2]) == ("▁", "█")


def test_a_chart_of_equal_values_is_flat():
    assert len(set(chart([1.0] * 10))) == 1


def test_a_chart_shows_the_newest_values_that_fit():
    assert chart(list(range(100)), width=10) == chart(list(range(90, 100)), width=10)


def test_tables_are_tab_separated_away_from_a_terminal(capsys):
    table(["a", "b"], [[1, "x"]])
    assert capsys.readouterr().out == "a\tb\n1\tx\n"


def test_json_keeps_money_exact():
    assert to_json({"balance": Decimal("0.10")}) == '{"balance":"0.10"}'


def test_money_has_a_sign_and_cents():
    assert (money(Decimal("9.2")), money(Decimal(-10))) == ("+9.20", "-10.00")


def test_amounts_have_cents():
    assert (cents(Decimal(50000)), cents(Decimal("0.1"))) == ("50000.00", "0.10")


def test_a_status_is_for_a_terminal(capsys):
    screen = Screen()
    screen.status("waiting")
    screen.say("done")
    assert capsys.readouterr().out == "done\n"


def test_a_quiet_screen_says_nothing(capsys):
    screen = Screen(quiet=True)
    screen.head("x")
    screen.say("y")
    screen.status("z")
    screen.table(["a"], [[1]])
    assert capsys.readouterr().out == ""


def test_on_a_terminal_there_is_a_status_line_and_a_table() -> None:
    """A real terminal, and what a long command prints on it."""
    program = (
        "from potrio.cli.show import Screen\n"
        "screen = Screen()\n"
        "screen.head('orders')\n"
        "screen.status('1 order open, 2 s ...')\n"
        "screen.status('1 order open, 3 s ...')\n"
        "screen.say('won')\n"
        "screen.table(['fact'], [['x']])\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=theirs, env={**os.environ, "TERM": "xterm"}
    ) as done:
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:  # how a terminal ends
                break
            if not chunk:
                break
            shown += chunk
    os.close(ours)
    assert done.returncode == 0
    text = shown.decode()
    assert "\x1b[1m" in text
    assert "1 order open, 2 s ...\r\x1b[2K1 order open, 3 s ...\r\x1b[2Kwon" in text
    assert "fact" in text.splitlines()[-4]
