"""The base of messages: bounds that the decoder cannot check, and texts that cannot steer a terminal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.protocol.messages.account import Balance
from potrio.protocol.messages.base import Message, check_money, check_symbol, normalise_flag, shown_text
from potrio.protocol.messages.market import ChangeSymbol


@pytest.mark.parametrize("amount", ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity"])
def test_money_is_finite(amount: str) -> None:
    with pytest.raises(ValueError, match="an amount is not finite"):
        check_money(Decimal(1), Decimal(amount))


@pytest.mark.parametrize(
    "amount", ["1e16", "-1e16", "1e999999", "1e-19", "1E-999999", "0E-30", "0." + "1" * 4000]
)
def test_money_is_bounded(amount: str) -> None:
    with pytest.raises(ValueError, match="an amount is out of bounds"):
        check_money(Decimal(amount))


@pytest.mark.parametrize("amount", ["0", "-0", "5", "4.60", "1e15", "-1e15", "0.000000000000000001", "1E+3"])
def test_money_within_bounds(amount: str) -> None:
    check_money(None, Decimal(amount))


@pytest.mark.parametrize(
    "symbol", ["EURUSD\x1b[2J", "EUR\u202eUSD", "EUR\x85USD", "EUR\u2028", "EUR\nUSD", "\x7f"]
)
def test_a_symbol_that_cannot_be_shown_is_refused_not_stripped(symbol: str) -> None:
    with pytest.raises(ValueError, match="cannot be shown"):
        check_symbol("EURUSD", None, symbol)


def test_symbols_in_use_are_fine() -> None:
    check_symbol("EURUSD_otc", "#AAPL", "100GBP_otc", None)


class Sample(Message, frozen=True):
    is_demo: object
    other: object = None

    def __post_init__(self) -> None:
        normalise_flag(self, "is_demo")


@pytest.mark.parametrize(("given_", "kept"), [(True, 1), (False, 0), (1, 1), (0, 0), (None, None)])
def test_flags_are_numbers(given_: object, kept: object) -> None:
    assert Sample(given_).is_demo == kept
    assert type(Sample(given_).is_demo) is type(kept)
    assert Sample(1, other=True).other is True


@given(st.text(st.characters(codec="utf-8")))
def test_no_text_can_steer_a_terminal(text: str) -> None:
    shown = shown_text(text)

    assert shown.isprintable()
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert shown_text(shown) == shown
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("EUR/USD OTC", "EUR/USD OTC"),
        ("a\x1b[31mred", "a[31mred"),
        ("line\nbreak\ttab\u00a0", "line break tab "),
        ("\u202eevil\u2066\u200f\u061c\u2028", "evil "),
        ("\x9b31m\x80\x7f", "31m"),
        ("Ünïcödé 💶 日本", "Ünïcödé 💶 日本"),
    ],
)
def test_shown_text(text: str, shown: str) -> None:
    assert shown_text(text) == shown


def test_messages_cannot_be_changed() -> None:
    message = ChangeSymbol("EURUSD", 60)

    with pytest.raises(AttributeError, match="immutable"):
        message.period = 5  # type: ignore[misc]  # that is the point


def test_a_message_is_checked_when_built_too() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Balance(balance=Decimal("NaN"))
    with pytest.raises(ValueError, match="cannot be shown"):
        ChangeSymbol("EUR\x00USD", 60)
