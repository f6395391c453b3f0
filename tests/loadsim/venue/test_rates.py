"""The venue's rates: windows that slide, what is counted, and the three punishments on the wire."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.venue.config import VenueConfig
from loadsim.venue.rates import TOO_MANY, Punishment, RateBook, RateConfig, Window, kind_of
from loadsim.venue.stats import Stats
from potrio.errors import ConfigError


def book(**config: Any) -> tuple[RateBook, dict[str, int]]:
    violations = Stats().violations
    return RateBook(RateConfig(**config), violations.count), violations


@given(
    pauses=st.lists(st.floats(0.0, 2.0), max_size=80),
    count=st.integers(1, 10),
    seconds=st.floats(0.1, 5.0),
)
def test_what_passes_is_never_more_than_the_window_allows_and_nothing_else_is_refused(pauses, count, seconds):
    rates, _ = book(requests=Window(count, seconds))
    now, passed = 0.0, []
    for pause in pauses:
        now += pause
        in_window = sum(at > now - seconds for at in passed)
        refused = rates.judge("a", "c", "getBalance", now) is not None
        assert refused == (in_window >= count)
        if not refused:
            passed.append(now)


def test_an_account_is_one_over_its_connections_and_a_connection_can_have_its_own_limit():
    rates, violations = book(messages=Window(3), connection_messages=Window(2))
    assert [rates.judge("a", "c1", "x", 0.0) for _ in range(3)] == [None, None, Punishment.REFUSE]
    assert [rates.judge("a", "c2", "x", 0.0) for _ in range(2)] == [None, Punishment.REFUSE]
    assert rates.judge("b", "c3", "x", 0.0) is None
    assert violations == {"rate connection_messages": 1, "rate messages": 1}


def test_heartbeat_and_login_are_never_counted():
    rates, violations = book(messages=Window(1))
    assert not any(rates.judge("a", "c", name, 0.0) for name in ("auth", "ps", "ping-server") * 5)
    assert violations == {}
    assert kind_of("openOrder") == "orders"
    assert kind_of("changeSymbol") == "subscriptions"
    assert kind_of("anything") == "requests"


def test_without_limits_nothing_is_remembered():
    rates, _ = book()
    assert not any(rates.judge("a", "c", "x", 0.0) for _ in range(10_000))
    assert not rates._logs


def test_patience_ends_and_is_forgotten_with_the_connection():
    rates, _ = book(requests=Window(1), patience=2)
    assert [rates.judge("a", "c", "x", 0.0) for _ in range(3)] == [None, Punishment.REFUSE, Punishment.CLOSE]
    rates.forget("c")
    assert rates.judge("a", "c", "x", 0.0) is Punishment.REFUSE


@pytest.mark.parametrize(
    "options",
    [
        {"count": 0},
        {"count": 1, "seconds": 0.0},
        {"count": 1, "seconds": math.nan},
        {"count": 1, "seconds": 1e9},
    ],
)
def test_a_window_that_cannot_be(options):
    with pytest.raises(ConfigError):
        Window(**options)


def test_patience_that_cannot_be():
    with pytest.raises(ConfigError):
        RateConfig(patience=0)


# --- on the wire -----------------------------------------------------------------------------------------------------


def limited(**rates: Any) -> VenueConfig:
    return VenueConfig(rates=RateConfig(**rates))


async def test_one_too_many_is_refused_by_its_name(autojump_clock: Any, world: Any) -> None:
    async with world.venue(limited(requests=Window(2, 60.0))) as venue, world.client(venue) as client:
        await client.login()
        for _ in range(3):
            await client.emit("getBalance")
        events = await client.events(1.0)
        assert [name for name, _ in events].count("successupdateBalance") == 2
        assert ("failgetBalance", {"error": TOO_MANY}) in events
        assert venue.stats()["violations"] == {"rate requests": 1}
        await client.idle(60.0)
        await client.emit("getBalance")
        assert (await client.events(1.0))[0][0] == "successupdateBalance"


async def test_an_order_too_many_is_refused_in_the_shape_of_its_desk(autojump_clock: Any, world: Any) -> None:
    async with world.venue(limited(orders=Window(1, 60.0))) as venue, world.client(venue) as client:
        await client.login()
        for _ in range(2):
            await client.emit("openOrder", world.order())
        refused = await client.until("failopenOrder")
        assert refused["error"] == TOO_MANY
        assert refused["asset"] == world.order()["asset"]
        assert venue.stats()["deals"]["opened"] == 1


async def test_counted_only_it_is_served(autojump_clock: Any, world: Any) -> None:
    config = limited(requests=Window(1, 60.0), punishment=Punishment.COUNT)
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        for _ in range(5):
            await client.emit("getBalance")
        events = await client.events(1.0)
        assert [name for name, _ in events] == ["successupdateBalance"] * 5
        assert venue.stats()["violations"] == {"rate requests": 4}


async def test_closing_is_a_policy_violation(autojump_clock: Any, world: Any) -> None:
    config = limited(requests=Window(1, 60.0), punishment=Punishment.CLOSE)
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        for _ in range(2):
            await client.emit("getBalance")
        await client.until_closed()
        assert venue.stats()["connections"]["closes"] == {"violation": 1}
