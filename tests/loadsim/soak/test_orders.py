"""The ear at the venue's door, and the comparison of orders with the venue's books: each breach is told."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio

from loadsim.soak.habits import ssid_of
from loadsim.soak.orders import Placed, VenueEar, check_account, check_orders, pending_name
from loadsim.soak.verdict import Verdict
from loadsim.venue import VenueConfig, open_venue
from loadsim.venue.accounts import AccountKey
from potrio.actors.evidence import OrderState
from potrio.client.client import open_client
from potrio.client.config import Config
from potrio.protocol.events import AuthRequested, EventReceived
from potrio.testing.network import MemoryNetwork

UID, PORT, ASSET = 4711, 8080, "EURUSD_otc"
KEY = AccountKey(UID, True)


@pytest.fixture
async def venue(autojump_clock):
    network = MemoryNetwork(seed=5)
    async with open_venue(VenueConfig(seed=3, port=PORT), seam=network) as running:
        running.network = network
        yield running


def told(verdict: Verdict) -> list[str]:
    return [f"{each.promise} {each.text}" for each in verdict.breaches]


@pytest.fixture
async def traded(venue):
    """An order from the beginning to its end, with the ear at the door."""
    verdict = Verdict()
    ear = VenueEar(venue, verdict)
    config = Config(ssid=ssid_of(UID), url=venue.url, seam=venue.network)
    async with open_client(config) as client:
        ear.deadlines["mine"] = trio.current_time() + 2
        handle = await client.place(ASSET, "call", 10, duration=5, request_id="mine")
        await handle.result()
        await client.refresh_balance()
        yield verdict, ear, handle, client


async def test_an_order_as_it_should_be_is_no_breach(venue, traded, autojump_clock):
    verdict, ear, handle, client = traded
    check_orders([Placed("mine", "mine", 2.0, handle)], venue, ear, verdict)
    check_account(client.balance, venue, KEY, verdict)
    assert told(verdict) == []
    assert ear.heard == {"mine": 1}
    assert all(verdict.checked[promise] for promise in ("P1", "P2", "P3"))


async def test_a_wrong_end_is_told(venue, traded, autojump_clock):
    verdict, ear, handle, client = traded
    for state, said in (
        (OrderState.DENIED, "is denied, but the venue heard it"),
        (OrderState.VOID, "is void, but the venue has its deal"),
        (OrderState.REJECTED, "is rejected, but the venue has its deal"),
        (OrderState.OPEN, "is still open in calm weather"),
    ):
        handle.state = state
        check_orders([Placed("mine", "mine", 2.0, handle)], venue, ear, verdict)
        assert said in told(verdict)[-1]
    handle.state = OrderState.SETTLED
    handle.deal = msgspec.structs.replace(handle.deal, profit=Decimal(1))
    check_orders([Placed("mine", "mine", 2.0, handle)], venue, ear, verdict)
    assert "is settled with" in told(verdict)[-1]
    check_account(client.balance + 1, venue, KEY, verdict)
    assert "the balance of 4711" in told(verdict)[-1]


async def test_an_order_that_was_refused_here_and_heard_there_is_told(venue, traded, autojump_clock):
    verdict, ear, _, _ = traded
    check_orders([Placed("mine", "mine", 2.0)], venue, ear, verdict)
    assert told(verdict) == ["P3 order mine was refused here, and heard there"]


async def test_the_ear_hears_what_comes_twice_late_unasked_or_before_the_login(venue, autojump_clock):
    verdict = Verdict()
    heard = []

    def received(connection, event):
        heard.append(event)
        if isinstance(event, AuthRequested):  # as the venue gives what came before the login
            yield from venue.exchange.received(
                connection, EventReceived(name="ps", payload=b"", binary=False)
            )
        yield

    venue.exchange.received = received
    ear = VenueEar(venue, verdict)
    connection = object()

    def say(request_id: str) -> None:
        payload = msgspec.json.encode({"requestId": request_id})
        event = EventReceived(name="openOrder", payload=payload, binary=False)
        list(venue.exchange.received(connection, event))

    ear.deadlines |= {"a": trio.current_time() + 1, "late": trio.current_time() - 1}
    say("a")
    assert told(verdict) == []
    say("a")
    say("late")
    say("unasked")
    list(venue.exchange.received(connection, AuthRequested(payload=b"{}")))
    assert told(verdict) == [
        "P1 order a came 2 times",
        "P3 order late came 1.000 s too late",
        "P3 nobody placed order unasked",
        "P3 ps was sent before the login",
    ]
    assert len(heard) == 6


def test_a_pending_order_is_known_by_its_account_and_amount():
    assert (
        pending_name(4711, Decimal("1.5"))
        == pending_name(4711, Decimal("1.50"))
        != pending_name(4712, Decimal("1.5"))
    )
