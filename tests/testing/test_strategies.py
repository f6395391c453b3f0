"""The strategies themselves: what they promise about the values they make, and that they reach every type."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, find, given, settings

from potrio.limits import MONEY_MAX
from potrio.protocol.messages.auth import AuthRequest
from potrio.protocol.messages.base import Message, check_money, check_symbol
from potrio.protocol.messages.codec import CLIENT_EVENTS, SERVER_EVENTS
from potrio.protocol.messages.market import Tick, UpdateAssets
from potrio.protocol.messages.trading import Deal
from potrio.testing.strategies import (
    client_messages,
    json_values,
    message_of,
    money,
    printable_text,
    server_messages,
    symbols,
)

FEW = settings(max_examples=50, deadline=None)
ANY = settings(max_examples=5000, deadline=None, phases=[Phase.generate], database=None)
"""Enough to find something; it need not be the smallest."""


@given(money())
def test_money_is_within_bounds(amount: Decimal) -> None:
    check_money(amount)


@pytest.mark.parametrize(
    "wanted", [lambda it: it == MONEY_MAX, lambda it: it < 0, lambda it: it.as_tuple().exponent == -18]
)
def test_money_reaches_its_bounds(wanted: Any) -> None:
    assert wanted(find(money(), wanted, settings=ANY))


@given(symbols())
def test_symbols_are_symbols(symbol: str) -> None:
    check_symbol(symbol)
    assert 1 <= len(symbol) <= 64


@given(printable_text(2, 5))
def test_text_can_be_shown(text: str) -> None:
    assert text.isprintable()
    assert 2 <= len(text) <= 5


@given(json_values())
def test_json_values_are_json(value: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value)) == value


@FEW
@given(message_of(Tick))
def test_bounds_of_fields_are_kept(tick: Tick) -> None:
    assert msgspec.convert(tick, Tick, from_attributes=True) == tick


@pytest.mark.parametrize("kind", [event.type for event in (*SERVER_EVENTS, *CLIENT_EVENTS)])
def test_every_event_has_a_strategy(kind: type[Message]) -> None:
    assert type(find(message_of(kind), lambda _: True, settings=ANY)) is kind


@FEW
@given(server_messages() | client_messages())
def test_messages_are_messages(message: Message) -> None:
    assert isinstance(message, Message)


@FEW
@given(message_of(UpdateAssets))
def test_what_the_decoder_counts_is_not_made_up(message: UpdateAssets) -> None:
    assert message.rejected == 0


@FEW
@given(message_of(AuthRequest))
def test_requests_to_log_in_have_a_credential(request: AuthRequest) -> None:
    assert request.credential is not None


def test_optional_fields_come_and_go() -> None:
    assert find(message_of(Deal), lambda deal: deal.close_ms is not None, settings=ANY)
    assert find(message_of(Deal), lambda deal: deal.close_ms is None and deal.uid is not None, settings=ANY)


def test_a_type_without_fields_of_known_kind_is_refused() -> None:
    class Odd(msgspec.Struct):
        raw: msgspec.Raw

    with pytest.raises(KeyError):
        message_of(Odd)
