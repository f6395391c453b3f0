"""The demo's story in virtual time: it holds with crashes and on both transports, and a false counter shows."""

from __future__ import annotations

import pytest
import trio

from potrio.cli.show import Screen
from potrio.cli.story import DURATION_S, TICKS_SHOWN, Story, VenueControl
from potrio.cli.tree import client_outline
from potrio.client.config import Config
from potrio.errors import PotrioError

from .conftest import SSID, UID, MemoryVenue

PROMISED_S = 30.0
"""By the help of the command; how long a process takes is the machine's affair."""


@pytest.fixture(params=["framed", "trio-websocket"])
def transport(request):
    return request.param


class Tampered:
    """A venue with false books."""

    def __init__(self, venue: MemoryVenue, tamper) -> None:
        self.venue = venue
        self.url = venue.url
        self.kill = venue.kill
        self.start = venue.start
        self.tamper = tamper

    async def stats(self):
        told = await self.venue.stats()
        self.tamper(told)
        return told


async def tell(venue: VenueControl, disk, *crashes: str, transport="framed", quiet=True):
    story = Story(venue, Screen(quiet=quiet), client_outline(), crashes)
    return await story.tell(Config(ssid=SSID, url=venue.url, transport=transport, seam=disk), UID)


async def test_all_facts_agree(autojump_clock, memory_venue, disk, transport):
    summary = await tell(memory_venue, disk, transport=transport)
    assert summary.ok
    assert trio.current_time() <= PROMISED_S
    assert all(fact.agree for fact in summary.facts)
    assert memory_venue.starts == 2
    assert summary.reconnects == 1
    assert (summary.candles, summary.ticks, len(summary.orders)) == (100, TICKS_SHOWN, 4)
    assert summary.assets >= 170
    facts = {fact.fact: fact.ours for fact in summary.facts}
    assert facts["orders sent"] == "4"
    assert facts["before: sent openOrder"] == "4"
    assert facts["after: sent auth"] == "1"
    assert "after: sent openOrder" not in facts


async def test_both_sides_of_one_asset_are_bet_on(autojump_clock, memory_venue, disk):
    summary = await tell(memory_venue, disk)
    first = [order for order in summary.orders if order["asset"] == "EURUSD_otc"]
    assert {order["side"] for order in first} == {"call", "put"}
    assert {order["outcome"] for order in summary.orders} != {"won"}


@pytest.mark.parametrize(
    "crashes", [("connection", "monitor"), ("pinger", "router"), ("order_book", "history")]
)
async def test_facts_agree_with_crashes_while_an_order_is_open(
    autojump_clock, memory_venue, disk, transport, crashes
):
    summary = await tell(memory_venue, disk, *crashes, transport=transport)
    assert summary.ok, [fact for fact in summary.facts if not fact.agree]
    rows = [fact.fact for fact in summary.facts if fact.fact.startswith("crash of")]
    assert [row.split()[2] for row in rows] == list(crashes)
    assert len(summary.crashes) == len(crashes)


def one_more_order(told) -> None:
    told["orders"]["another"] = 1


def one_frame_less(told) -> None:
    told["frames"]["text_received"] -= 1


def one_cent_more(told) -> None:
    for account in told["accounts"]:
        account["balance"] = float(account["balance"]) + 0.01


def one_more_win(told) -> None:
    for account in told["accounts"]:
        account["won"] += 1


@pytest.mark.parametrize("tamper", [one_more_order, one_frame_less, one_cent_more, one_more_win])
async def test_a_false_counter_shows(autojump_clock, memory_venue, disk, tamper):
    summary = await tell(Tampered(memory_venue, tamper), disk)
    assert not summary.ok
    assert any(not fact.agree for fact in summary.facts)


async def test_it_is_told_in_sections_with_money_in_cents(autojump_clock, memory_venue, disk, capsys):
    await tell(memory_venue, disk, quiet=False)
    out = capsys.readouterr().out
    assert "balance 50000.00 (demo)" in out
    assert "call 10.00 opened at" in out
    assert f"settles in {DURATION_S} s" in out
    heads = [line for line in out.splitlines() if line.startswith("== ")]
    assert [head.split()[1] for head in heads] == ["account", "EURUSD_otc,", "live", "three", "the", "facts:"]
    assert "fact\tours\tvenue\tagree\n" in out
    assert "\r" not in out
    assert "order open" not in out  # a status is for a terminal


async def test_a_venue_that_cannot_be_reached(autojump_clock, memory_venue, disk):
    await memory_venue.kill()
    with pytest.raises(PotrioError, match="refused"):
        await tell(memory_venue, disk)
