"""Pending orders with a journal: whatever was known of them when a program ended, the next one goes on from there."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import OrderDenied, OrderState, PendingState
from potrio.actors.journal_file import JournalFile
from potrio.errors import JournalError

from .conftest import ASSET, OTHER, SSID, UID, hurt, until
from .test_journal import PATH, rows
from .test_pending import soon, waiting_at


async def place(client, opens: datetime, **more):
    terms = {"at_time": opens, "duration": 5, "request_id": "mine"} | more
    return await client.place_pending(ASSET, "call", Decimal("7.50"), **terms)


def pending_rows(network) -> list[tuple]:
    reader = network.open_database(Path(PATH))
    try:
        return reader.execute(
            "SELECT request_id, state, ticket, deal_id FROM pending ORDER BY number"
        ).fetchall()
    finally:
        reader.close()


async def test_one_that_waits_is_the_same_for_the_next_program(autojump_clock, connect, venue, network):
    async with connect(journal=PATH) as client:
        opens = soon(client, 100)
        ticket = await (await place(client, opens)).working()
    assert pending_rows(network) == [("mine", "working", ticket, None)]
    async with connect(journal=PATH) as client:
        again = client.pending_order("mine")
        assert again is await place(client, opens)
        assert (again.state, again.ticket, again.opens_at) == (PendingState.WORKING, ticket, opens)
        with pytest.raises(ValueError, match="other terms"):
            await place(client, opens, duration=6)
        assert [order.ticket for order in waiting_at(venue)] == [ticket]
        result = await again.result()
        assert result.deal.amount == Decimal("7.50")
        assert client.statistics().events_sent.get("openPendingOrder", 0) == 0
    async with connect(journal=PATH) as client:
        ended = client.pending_order("mine")
        assert ended.state is PendingState.TRIGGERED
        assert (await ended.result()).deal.id == result.deal.id
        assert ended.order is client.orders[ticket]


async def test_one_that_opened_while_no_program_ran_is_found_and_settled(autojump_clock, connect, venue):
    async with connect(journal=PATH) as client:
        ticket = await (await place(client, soon(client, 20), duration=60)).working()
    await trio.sleep(40)
    async with connect(journal=PATH) as client:
        again = client.pending_order("mine")
        with trio.fail_after(60):
            order = await again.triggered()
        assert (order.request_id, order.state) == (ticket, OrderState.OPEN)
        await order.result()
        assert client.external_deals == {}


async def test_one_whose_answer_was_lost_is_found_in_the_list_and_not_sent_again(
    autojump_clock, connect, venue
):
    async with connect(journal=PATH) as client:
        for event in ("successopenPendingOrder", "successupdatePending"):
            hurt(venue, FaultKind.LOSE, event=event)
        opens = soon(client, 100)
        handle = await place(client, opens)
        await trio.sleep(1)
        assert handle.state is PendingState.SENT
    async with connect(journal=PATH) as client:
        again = await place(client, opens)
        with trio.fail_after(60):
            ticket = await again.working()
        await trio.sleep(30)
        assert [order.ticket for order in waiting_at(venue)] == [ticket]
        assert client.pending.keys() == {"mine"}


async def test_one_that_the_venue_never_heard_of_is_void_in_the_end(autojump_clock, connect, venue, network):
    async with connect(journal=PATH) as client:
        hurt(venue, FaultKind.HALF_OPEN)
        opens = soon(client, 200)
        handle = await place(client, opens)
        await until(lambda: handle.state is PendingState.SENT)
    async with connect(journal=PATH) as client:
        again = await place(client, opens)
        assert again.state is PendingState.UNKNOWN
        await until(lambda: again.state is PendingState.VOID, within=120)
    assert waiting_at(venue) == []
    assert [row[1] for row in pending_rows(network)] == ["void"]


async def test_one_that_never_had_its_turn_is_not_sent_by_the_next_program(autojump_clock, connect, venue):
    async with connect(journal=PATH) as client:
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.stale)
        await place(client, soon(client, 100), valid_for=60)
    async with connect(journal=PATH) as client:
        assert "mine" not in client.pending
        await trio.sleep(30)
    assert waiting_at(venue) == []


async def test_a_cancellation_that_was_asked_for_is_asked_for_again(autojump_clock, connect, venue, network):
    async with connect(journal=PATH) as client:
        opens = soon(client, 100)
        handle = await place(client, opens)
        await handle.working()
        hurt(venue, FaultKind.HALF_OPEN)
        with trio.move_on_after(2):
            await handle.cancel()
        assert handle.state is PendingState.CANCEL_SENT
    assert len(waiting_at(venue)) == 1
    async with connect(journal=PATH) as client:
        again = client.pending_order("mine")
        await until(lambda: again.state.ended)
        assert again.state is PendingState.CANCELLED
        assert waiting_at(venue) == []
    assert [row[1] for row in pending_rows(network)] == ["cancelled"]


async def test_the_handle_of_before_can_be_cancelled(autojump_clock, connect, venue):
    async with connect(journal=PATH) as client:
        await (await place(client, soon(client, 100))).working()
    async with connect(journal=PATH) as client:
        outcome = await client.pending_order("mine").cancel()
        assert outcome.cancelled
    assert waiting_at(venue) == []


async def test_what_was_placed_elsewhere_and_what_is_of_another_account_is_not_written_down(
    autojump_clock, connect, network
):
    async with connect() as elsewhere, connect(journal=PATH) as client:
        other = await (await place(elsewhere, soon(elsewhere, 100), request_id="theirs")).working()
        await until(lambda: other in client.pending)
        await (await place(client, soon(client, 90))).working()
    assert [row[0] for row in pending_rows(network)] == ["mine"]
    async with connect(SSID.replace(str(UID), "4712"), journal=PATH) as client:
        assert client.pending == {}


async def test_an_order_that_it_became_has_a_row_of_its_own(autojump_clock, connect, network):
    async with connect(journal=PATH) as client:
        handle = await place(client, soon(client, 10))
        ticket = await handle.working()
        result = await handle.result()
        await trio.sleep(1)
    assert pending_rows(network) == [("mine", "triggered", ticket, result.deal.id)]
    assert [row[2] for row in rows(network)] == [ticket]


async def test_a_disk_that_fails_denies_it_before_it_is_sent(autojump_clock, connect, venue, monkeypatch):
    async with connect(journal=PATH) as client:
        monkeypatch.setattr(JournalFile, "append", full)
        handle = await place(client, soon(client, 100))
        with pytest.raises(OrderDenied, match=r"JournalError: .*disk is full"):
            await handle.working()
        monkeypatch.undo()
        ticket = await (await place(client, soon(client, 100), request_id="next")).working()
        assert [order.ticket for order in waiting_at(venue)] == [ticket]
        assert client.statistics().events_sent["openPendingOrder"] == 1


def full(file: JournalFile, records) -> set[str]:
    raise JournalError(str(file.path), "the disk is full")


async def test_ids_of_both_kinds_do_not_get_into_each_others_way(autojump_clock, connect, venue):
    async with connect(journal=PATH) as client:
        await (await place(client, soon(client, 100))).working()
        await (await client.place(OTHER, "put", 5, duration=60, request_id="mine")).opened()
    async with connect(journal=PATH) as client:
        assert client.orders["mine"].state is OrderState.OPEN
        assert client.pending_order("mine").state is PendingState.WORKING
        assert timedelta(0) < client.pending_order("mine").opens_at - client.venue_time()
