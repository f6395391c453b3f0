"""A client with a journal: orders survive the program, one program at a time, and errors come before anything else."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import Config, open_client
from potrio.actors.evidence import OrderState
from potrio.errors import ConfigError, JournalBusy, JournalError, OrderDenied
from potrio.testing.network import MemoryNetwork

from .conftest import ASSET, OTHER, SSID, UID, hurt, orders_at

PATH = "orders.db"


async def test_an_order_is_settled_in_a_later_program_and_was_sent_once(autojump_clock, connect, venue):
    async with connect(journal=PATH) as client:
        handle = await client.place(ASSET, "call", 10, duration=60, request_id="mine")
        deal = await handle.opened()
    async with connect(journal=PATH) as client:
        again = client.orders["mine"]
        assert again is await client.place(ASSET, "call", 10, duration=60, request_id="mine")
        assert again is not handle
        assert (again.state, again.deal) == (OrderState.OPEN, deal)
        result = await again.result()
        assert result.deal.id == deal.id
        assert client.external_deals == {}
    async with connect(journal=PATH) as client:
        ended = client.orders["mine"]
        assert (ended.state, await ended.result()) == (OrderState.SETTLED, result)
        with pytest.raises(ValueError, match="other terms"):
            await client.place(ASSET, "put", 10, duration=60, request_id="mine")
    assert orders_at(venue) == {"mine": 1}


async def test_an_order_whose_answer_was_lost_is_found_by_a_later_program(autojump_clock, connect, venue):
    async with connect(journal=PATH) as client:
        hurt(venue, FaultKind.LOSE, event="successopenOrder")
        handle = await client.place(ASSET, "call", 11, duration=60, request_id="lost")
        with trio.move_on_after(2):
            await handle.opened()
        assert handle.state is OrderState.SENT
    async with connect(journal=PATH) as client:
        again = client.orders["lost"]
        with trio.fail_after(30):
            deal = await again.opened()
        assert deal.amount == Decimal(11)
        assert await again.result() is not None
    assert orders_at(venue) == {"lost": 1}


async def test_the_journal_says_how_it_is_doing(autojump_clock, connect):
    async with connect() as client:
        assert client.journal is None
    async with connect(journal=PATH) as client:
        assert client.journal.records == 0
        handle = await client.place(ASSET, "call", 10, duration=60)
        await handle.opened()
        await trio.sleep(1)
        now = client.journal
        assert (now.path, now.failures, now.unsaved, now.last_error) == (PATH, 0, 0, None)
        assert now.records >= 2
        assert now.commits <= now.records


async def test_orders_of_another_account_stay_as_they_are(autojump_clock, connect, network):
    async with connect(journal=PATH) as client:
        handle = await client.place(ASSET, "call", 10, duration=60, request_id="mine")
        await handle.opened()
    before = rows(network)
    async with connect(SSID.replace(str(UID), "4712"), journal=PATH) as client:
        assert client.orders == {}
        handle = await client.place(OTHER, "put", 5, duration=60, request_id="mine")
        await handle.opened()
    after = rows(network)
    assert len(after) == 2
    assert before[0] in after


def rows(network) -> list[tuple]:
    reader = network.open_database(Path(PATH))
    try:
        return reader.execute("SELECT * FROM orders ORDER BY number").fetchall()
    finally:
        reader.close()


async def test_no_token_is_in_the_file(autojump_clock, connect, network):
    async with connect(journal=PATH) as client:
        await (await client.place(ASSET, "call", 10, duration=60)).opened()
    assert "a0test0session0of0potrio0x" not in repr(rows(network))


async def test_a_second_client_on_one_journal_is_refused_before_it_connects(autojump_clock, connect, venue):
    async with connect(journal=PATH):
        opened = venue.stats()["connections"]["opened"]
        with pytest.raises(JournalBusy, match=PATH):
            async with connect(journal=PATH):
                raise AssertionError("two clients on one journal")
        assert venue.stats()["connections"]["opened"] == opened
    async with connect(journal=PATH):
        pass


class Broken(MemoryNetwork):
    """A disk that lets files be opened, and nothing be written."""

    def open_database(self, path):
        database = super().open_database(path)
        database.execute("PRAGMA query_only = ON")
        return database


async def test_a_journal_that_cannot_be_written_is_one_line_before_anything_is_sent(autojump_clock):
    config = Config(ssid=SSID, url="ws://127.0.0.1:1/", journal=PATH, seam=Broken())
    with pytest.raises(JournalError, match="readonly") as caught:
        async with open_client(config):
            raise AssertionError("opened")
    assert "\n" not in str(caught.value)


async def test_a_disk_that_fills_up_denies_orders_and_the_client_lives_on(
    autojump_clock, connect, network, venue
):
    async with connect(journal=PATH) as client:
        first = await client.place(ASSET, "call", 10, duration=60, request_id="a")
        await first.opened()
        outside = network.open_database(Path(PATH))
        outside.execute(
            "CREATE TRIGGER full BEFORE INSERT ON orders BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        denied = await client.place(OTHER, "call", 10, duration=60, request_id="b")
        with pytest.raises(OrderDenied, match="JournalError"):
            await denied.opened()
        assert "disk is full" in client.journal.last_error
        await first.result()
        outside.execute("DROP TRIGGER full")
        outside.close()
        last = await client.place(OTHER, "call", 10, duration=60, request_id="c")
        await last.opened()
        assert client.journal.last_error is None
    assert orders_at(venue) == {"a": 1, "c": 1}
    assert [row[2] for row in rows(network)] == ["a", "b", "c"]


def test_durability_is_checked():
    with pytest.raises(ConfigError, match="durability: must be 'process-crash' or 'power-loss'"):
        Config(ssid=SSID, durability="paranoid").checked()


async def test_a_real_file_and_a_real_thread(venue_url, tmp_path):
    path = tmp_path / "orders.db"
    with trio.fail_after(90):
        for durability in ("process-crash", "power-loss"):
            async with open_client(SSID, url=venue_url, journal=path, durability=durability) as client:
                handle = await client.place(ASSET, "call", 10, duration=60, request_id=durability)
                await handle.opened()
    reader = sqlite3.connect(path)
    assert reader.execute("SELECT request_id, state FROM orders ORDER BY number").fetchall() == [
        ("process-crash", "open"),
        ("power-loss", "open"),
    ]
    reader.close()


@pytest.fixture
async def venue_url():
    from loadsim.venue import VenueConfig, open_venue

    async with open_venue(VenueConfig(seed=3)) as running:
        yield running.url
