"""`potrio trade`: the states as they come, the result as an exit code, and no real money by accident."""

from __future__ import annotations

import json

import pytest
import trio

from loadsim.venue import Fault, FaultKind, VenueConfig, open_venue
from potrio import Side, open_client
from potrio.cli.trade import EXIT_LOST, EXIT_NOT_OPENED, EXIT_UNKNOWN, follow
from potrio.testing.network import MemoryNetwork

from .conftest import ASSET, Command
from .conftest import LIVE_SSID as THEIR_LIVE_SSID
from .conftest import SSID as THEIR_SSID

SSID = THEIR_SSID.replace("424242", "424244")
LIVE_SSID = THEIR_LIVE_SSID.replace("424242", "424244")
"""An account of its own: other tests know what is on theirs."""


def test_a_trade_from_beginning_to_end(potrio: Command, venue_url: str) -> None:
    done = potrio("trade", ASSET, "call", "1", "--duration", "5", "--json", "--url", venue_url, ssid=SSID)
    lines = [json.loads(line) for line in done.out.splitlines()]
    states = [line["state"] for line in lines if "state" in line]
    assert states[-1] == "settled"
    assert "open" in states
    result = lines[-1]
    assert done.code == (EXIT_LOST if result["result"] == "lost" else 0)
    assert isinstance(result["profit"], str)
    assert {line["request_id"] for line in lines[:-1]} == {lines[0]["request_id"]}


def test_without_waiting(potrio: Command, venue_url: str) -> None:
    done = potrio("trade", ASSET, "PUT", "1", "-d", "5", "--no-wait", "--url", venue_url, ssid=SSID)
    assert done.code == 0
    assert done.out.splitlines()[-1] == "open"


@pytest.mark.parametrize(
    ("amount", "asset"), [("0.5", ASSET), ("nonsense", ASSET), ("1", "NO_SUCH"), ("99999", ASSET)]
)
def test_what_is_not_opened(potrio: Command, venue_url: str, amount: str, asset: str) -> None:
    done = potrio("trade", asset, "call", amount, "-d", "5", "--url", venue_url, ssid=SSID)
    assert done.code == EXIT_NOT_OPENED
    assert "not opened: " in done.out


def test_a_live_account_has_to_be_armed_and_confirmed(potrio: Command, venue_url: str, monkeypatch) -> None:
    arguments = ["trade", ASSET, "call", "1", "-d", "5", "--url", venue_url]
    potrio(*arguments, ssid=LIVE_SSID).check_one_line("--arm-live", code=2)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "n")
    assert potrio(*arguments, "--arm-live", ssid=LIVE_SSID).code == 130
    assert potrio(*arguments, "--arm-live", "--yes", "--no-wait", ssid=LIVE_SSID).code == 0


@pytest.mark.parametrize(
    ("lost", "no_wait", "states"),
    [
        (("successcloseOrder", "updateClosedDeals"), False, ["new", "sent", "open", "settling"]),
        (("successopenOrder", "updateOpenedDeals", "updateClosedDeals", "successcloseOrder"), True, None),
    ],
)
async def test_a_venue_that_never_tells_is_not_waited_for_for_ever(
    autojump_clock, capsys, lost, no_wait, states
):
    network = MemoryNetwork(seed=5, epoch=1_770_000_000.0)
    async with (
        open_venue(VenueConfig(seed=3, port=8080), seam=network) as venue,
        open_client(THEIR_SSID, url=venue.url, seam=network) as client,
    ):
        venue.exchange.plan.add(tuple(Fault(kind=FaultKind.LOSE, event=each, count=None) for each in lost))
        with trio.fail_after(600):
            code = await follow(client, ASSET, Side.CALL, "1", 5, no_wait, as_json=False)
    assert code == EXIT_UNKNOWN
    *said, last = capsys.readouterr().out.splitlines()
    assert last.startswith("unknown: ")
    assert states is None or said == states
