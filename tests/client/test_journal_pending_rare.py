"""Pending orders in the journal, the rarer cases: a disk that is slow or full, an id asked for after its moment."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import trio

from loadsim.venue import FaultKind
from potrio import Deal, OrderDenied, OrderState, PendingState, Side
from potrio.actors.book import Book
from potrio.actors.evidence import OrderIntent
from potrio.actors.journal_record import OrderRecord
from potrio.actors.order_journal import restore
from potrio.actors.pending_evidence import PendingIntent
from potrio.actors.pending_record import PendingRecord

from .conftest import ASSET, EPOCH, OTHER, SSID, crash, hurt, until

PATH = "orders.db"


@pytest.fixture
def taken(venue):
    """The amounts of all pending orders that the venue ever took on."""
    amounts: list[int] = []
    add = venue.exchange.pending.add

    def adding(order) -> None:
        amounts.append(int(order.amount))
        add(order)

    venue.exchange.pending.add = adding
    return amounts


@pytest.fixture
def again(connect):
    """Open a client with the journal, once more."""

    @asynccontextmanager
    async def opened(ssid: str = SSID, **options):
        async with connect(ssid, journal=PATH, **options) as client:
            yield client

    return opened


def terms(opens, amount: int = 5, request_id: str = "mine", **more):
    wanted = {"at_time": opens, "duration": 5, "request_id": request_id, **more}
    return (ASSET, "call", amount), wanted


def soon(client, seconds: int) -> datetime:
    return (client.venue_time() + timedelta(seconds=seconds)).replace(microsecond=0)


async def place(client, opens, amount: int = 5, request_id: str = "mine", **more):
    positional, named = terms(opens, amount, request_id, **more)
    return await client.place_pending(*positional, **named)


def row(network, request_id: str = "mine", columns: str = "state") -> tuple | None:
    reader = network.open_database(Path(PATH))
    try:
        found = f"SELECT {columns} FROM pending WHERE request_id = ? ORDER BY number"
        return reader.execute(found, (request_id,)).fetchone()
    finally:
        reader.close()


@pytest.fixture
def disk(network):
    """How long each commit takes, from now on."""
    takes = {"s": 0.0}
    before = network.in_thread

    async def slow(function):
        await trio.sleep(takes["s"])
        return await before(function)

    network.in_thread = slow
    return takes


async def test_a_disk_that_is_too_slow_denies_it_and_it_is_never_sent_late(
    autojump_clock, disk, again, network, taken
):
    async with again() as client:
        opens = soon(client, 600)
        disk["s"] = 5.0
        handle = await place(client, opens, valid_for=2)
        later = await place(client, opens, 6, "later", valid_for=30)
        with pytest.raises(OrderDenied, match="the journal has not taken it in time"):
            await handle.working()
        await later.working()
        await trio.sleep(30)
        assert taken == [6]
    assert row(network) == ("denied",)


async def test_a_full_disk_denies_it_and_the_next_one_tries_again(
    autojump_clock, again, venue, network, taken
):
    async with again() as client:
        opens = soon(client, 600)
        sent = await place(client, opens, 4, "before")
        await sent.working()
        await trio.sleep(1)
        outside = network.open_database(Path(PATH))
        for event in ("INSERT", "UPDATE"):
            outside.execute(
                f"CREATE TRIGGER full{event} BEFORE {event} ON pending "
                "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
            )
        handle = await place(client, opens)
        with pytest.raises(OrderDenied, match=r"JournalError: journal orders.db: .*disk is full"):
            await handle.working()
        assert (await sent.cancel()).cancelled, "what was sent before goes on"
        assert row(network, "before") == ("working",)
        for event in ("INSERT", "UPDATE"):
            outside.execute(f"DROP TRIGGER full{event}")
        outside.close()
        await (await place(client, opens, 7, "after")).working()
        await trio.sleep(40)
        assert row(network, "before") == ("cancelled",), "and is written when the disk takes it"
    assert taken == [4, 7]


async def test_a_crash_of_order_book_or_journal_sends_nothing_twice(autojump_clock, again, venue, taken):
    async with again() as client:
        opens = soon(client, 60)
        handles = []
        for n, name in enumerate(("account/order_book", "account/journal"), start=5):
            handles.append(await place(client, opens, n, f"p{n}"))
            crash(client, name)
            await trio.sleep(0.5)
        for handle in handles:
            await handle.result()
    assert sorted(taken) == [5, 6]


async def test_one_that_waits_is_opened_in_a_later_program(autojump_clock, again, venue, taken):
    async with again() as client:
        opens = soon(client, 60)
        handle = await place(client, opens)
        ticket = await handle.working()
    async with again() as client:
        later = client.pending["mine"]
        assert (later.state, later.ticket, later.intent) == (
            PendingState.WORKING,
            ticket,
            msgspec.structs.replace(handle.intent, expires_at=later.intent.expires_at),
        )
        assert await place(client, opens) is later is not handle, "before a tick has come, too"
        order = await later.triggered()
        assert (order.request_id, order.opened_at, later.opens_at) == (ticket, opens, opens)
        result = await later.result()
        assert client.external_deals == {}
        assert client.anomalies == []
    async with again() as client:
        ended = client.pending_order("mine")
        assert ended.state is PendingState.TRIGGERED
        assert (await ended.result(), client.pending) == (result, {})
        assert await place(client, opens) is ended, "its time has passed, and it is the same order"
        with pytest.raises(ValueError, match="other terms"):
            await place(client, opens, 9)
    assert taken == [5]


async def test_one_that_is_a_deal_already_is_settled_in_a_later_program(autojump_clock, again, venue, taken):
    async with again() as client:
        handle = await place(client, soon(client, 20), duration=60)
        order = await handle.triggered()
    async with again() as client:
        later = client.pending_order("mine")
        assert later.state is PendingState.TRIGGERED
        assert (later.order.state, later.order.deal_id) == (OrderState.OPEN, order.deal_id)
        assert (await later.result()).deal.id == order.deal_id
        assert client.external_deals == {}
    assert taken == [5]


@pytest.mark.parametrize("lost", ["successopenPendingOrder", None])
async def test_one_that_was_not_acknowledged_is_looked_for_and_never_sent_again(
    autojump_clock, again, venue, taken, lost
):
    async with again() as client:
        opens = soon(client, 600)
        if lost is None:  # between the commit and the frame, as far as the venue can tell
            hurt(venue, FaultKind.LOSE_REQUEST, event="openPendingOrder")
        else:
            hurt(venue, FaultKind.LOSE, event=lost)
        hurt(venue, FaultKind.LOSE, event="successupdatePending")
        handle = await place(client, opens)
        await trio.sleep(1)
        assert handle.state is PendingState.SENT
    async with again() as client:
        later = client.pending_order("mine")
        assert await place(client, opens) is later
        if lost is None:
            assert later.state is PendingState.UNKNOWN
            await until(lambda: later.state is PendingState.VOID, within=120)
        else:
            with trio.fail_after(60):
                await later.working()
            assert [order.ticket for order in venue.exchange.pending] == [later.ticket]
    async with again() as client:
        assert await place(client, opens) is client.pending_order("mine")
        ended = PendingState.VOID if lost is None else PendingState.WORKING
        await trio.sleep(60)
        assert client.pending_order("mine").state is ended
    assert taken == ([] if lost is None else [5])


async def test_one_that_waited_for_its_turn_was_never_sent_and_its_id_is_free(
    autojump_clock, again, venue, network, taken
):
    async with again() as client:
        opens = soon(client, 600)
        hurt(venue, FaultKind.LOSE, event="successopenPendingOrder")
        hurt(venue, FaultKind.LOSE, event="successupdatePending")
        await place(client, opens, 5, "first")
        await trio.sleep(0.5)
        waits = await place(client, opens, 6)
        assert waits.state is PendingState.NEW
    assert row(network) is None
    async with again() as client:
        soon(client, 1)
        await (await place(client, opens, 6)).working()
    assert taken == [5, 6]


async def test_one_that_was_cancelled_stays_it(autojump_clock, again, venue, taken):
    async with again() as client:
        opens = soon(client, 600)
        before = await place(client, opens)
        await before.working()
        assert (await before.cancel()).cancelled
    async with again() as client:
        handle = client.pending_order("mine")
        assert (handle.state, client.pending) == (PendingState.CANCELLED, {})
        assert (await handle.cancel()).cancelled
        assert await place(client, opens) is handle
    assert taken == [5]


@pytest.mark.parametrize("lost", [FaultKind.LOSE, FaultKind.LOSE_REQUEST])
async def test_a_cancellation_under_way_is_brought_to_its_end(autojump_clock, again, venue, lost):
    event = "cancelPendingOrder" if lost is FaultKind.LOSE_REQUEST else "successcancelPendingOrder"
    async with again() as client:
        handle = await place(client, soon(client, 600))
        await handle.working()
        hurt(venue, lost, event=event)
        hurt(venue, FaultKind.LOSE, event="successupdatePending")
        with trio.move_on_after(1):
            await handle.cancel()
        assert handle.state is PendingState.CANCEL_SENT
    async with again() as client:
        later = client.pending_order("mine")
        await until(lambda: later.state is PendingState.CANCELLED)
        assert list(venue.exchange.pending) == []


async def test_one_at_a_price_that_nobody_heard_of_while_no_program_ran(autojump_clock, again, venue, taken):
    async with again() as client, client.ticks(ASSET) as ticks:
        price = round((await ticks.receive()).price * 1.0001, 5)
        handle = await client.place_pending(ASSET, "put", 5, at_price=price, duration=5, request_id="mine")
        await handle.working()
    await until(lambda: list(venue.exchange.pending) == [], within=900)
    async with again() as client:
        later = client.pending_order("mine")
        with trio.fail_after(60):
            assert (await later.result()).deal.amount == 5
        assert client.external_deals == {}
    assert taken == [5]


async def test_one_that_a_list_lacked_once_when_the_program_ended(autojump_clock, again, venue, network):
    async with again() as client:
        before = await place(client, soon(client, 600))
        await before.working()
        await trio.sleep(1)
    outside = network.open_database(Path(PATH))
    (text,) = outside.execute("SELECT record FROM pending").fetchone()
    assert '"absences":0' in text
    outside.execute("UPDATE pending SET record = ?", (text.replace('"absences":0', '"absences":1'),))
    outside.close()
    async with again() as client:
        await trio.sleep(30)
        assert client.pending["mine"].state is PendingState.WORKING, "the list has it"


@pytest.mark.parametrize(
    ("state", "other"),
    [
        (PendingState.TRIGGERED, {}),
        (PendingState.UNKNOWN, {"asset": OTHER}),
        (PendingState.UNKNOWN, {"created_wall": EPOCH - 1}),
        (PendingState.UNKNOWN, {"duration_s": 60}),
    ],
)
def test_an_order_of_the_same_id_is_what_it_became_only_with_its_terms(state, other):
    terms = {"request_id": "mine", "asset": ASSET, "side": Side.CALL, "amount": Decimal(5), "duration_s": 5}
    pending = PendingIntent(**terms, created_wall=EPOCH, expires_at=0.0)
    order = OrderIntent(**{**terms, "is_demo": True, "created_wall": EPOCH, "expires_at": 0.0, **other})
    deal = Deal(
        id="d1",
        open_timestamp=1,
        close_timestamp=6,
        amount=Decimal(5),
        profit=Decimal(0),
        percent_profit=92,
        open_price=1.1,
        command=0,
        asset=order.asset,
    )
    became = OrderRecord(account="me", intent=order, deal=deal)
    waits = PendingRecord(account="me", intent=pending, sent_wall=EPOCH)
    book = Book()
    restore(book, [became], [waits], now=0.0, wall=EPOCH)
    assert book.pending.orders["mine"].state() is state
