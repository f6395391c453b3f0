"""Crash drills: what is said of a crash is what happened, also where more or less than the region was restarted."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from potrio.cli.drill import crash_fact, drill, incarnations
from potrio.cli.tree import client_outline
from potrio.client.client import open_client
from potrio.client.config import Config

from .conftest import SSID

REGIONS = {
    "connection": "connection, pinger, router",
    "pinger": "pinger, router",
    "router": "router",
    "order_book": "history, order_book",
    "history": "history",
    "monitor": "monitor",
}


def test_a_crash_that_restarts_its_region_agrees():
    fact = crash_fact("b", ["root/b", "root/c"], ("root/b", "root/c"))
    assert (fact.agree, fact.ours, fact.venue) == (True, "b, c", "b, c")


@pytest.mark.parametrize("restarted", [[], ["root/b"], ["root/a", "root/b", "root/c"], ["root/b", "root/d"]])
def test_a_crash_that_restarts_others_disagrees(restarted):
    assert not crash_fact("b", restarted, ("root/b", "root/c")).agree


async def test_each_actor_of_a_client_takes_exactly_its_region_along(autojump_clock, memory_venue, disk):
    planned = client_outline()
    async with open_client(Config(ssid=SSID, url=memory_venue.url, seam=disk)) as client:
        for name, region in REGIONS.items():
            fact = await drill(client, planned, name)
            assert (fact.agree, fact.ours, fact.venue) == (True, region, region)
        assert client.phase.value == "ready"
        assert client.statistics().crashes == dict.fromkeys(client.statistics().crashes, 1)
        assert len(client.statistics().crashes) == len(REGIONS)


async def test_a_plan_that_is_wrong_is_found_out(autojump_clock, memory_venue, disk):
    """The plan says that nobody goes along; the running tree takes the router along."""
    planned = client_outline()
    *before, link, users = planned.children
    alone = replace(link, children=tuple(replace(each, restarts_with=(each.path,)) for each in link.children))
    wrong = replace(planned, children=(*before, alone, users))
    async with open_client(Config(ssid=SSID, url=memory_venue.url, seam=disk)) as client:
        fact = await drill(client, wrong, "pinger")
    assert (fact.agree, fact.ours, fact.venue) == (False, "pinger, router", "pinger")


async def test_an_actor_that_is_not_there(autojump_clock, memory_venue, disk):
    async with open_client(Config(ssid=SSID, url=memory_venue.url, seam=disk)) as client:
        before = incarnations(client.tree())
        with pytest.raises(LookupError, match="nobody"):
            await drill(client, client_outline(), "nobody")
        assert incarnations(client.tree()) == before
