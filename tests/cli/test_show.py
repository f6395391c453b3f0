"""Printing: charts, plain tables, exact JSON."""

from __future__ import annotations

from decimal import Decimal

from potrio.cli.show import Screen, chart, money, table, to_json


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


def test_a_quiet_screen_says_nothing(capsys):
    screen = Screen(quiet=True)
    screen.head("x")
    screen.say("y")
    screen.table(["a"], [[1]])
    assert capsys.readouterr().out == ""
