"""A client without its connection: backoff, leaving in order, idling."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal

import pytest

from loadsim.metrics.recorder import Recorder
from loadsim.plan.parse import parse_plan
from loadsim.plan.schedule import Arrival
from loadsim.swarm.ledger import Order
from loadsim.swarm.player import BARRIER_S, DRAIN_MAX_S, Player, backoff_s, error_kind
from loadsim.swarm.spec import ShardSpec
from loadsim.swarm.stage import Stage
from potrio.errors import AuthError, ConnectionBroken, ConnectRefused, ConnectTimeout
from potrio.testing.network import MemoryNetwork


@pytest.fixture
def make(autojump_clock):
    """Make a player of a plan with these acts."""

    def made(acts: str = "", duration: str = "10s") -> tuple[Player, Recorder]:
        seam = MemoryNetwork()
        plan = parse_plan(
            f'[run]\nduration = "{duration}"\n[[load]]\nclient = "a"\nmodel = "closed"\n'
            f'users = [{{at = "0s", n = 1}}]\n{acts}'
        )
        spec = ShardSpec(
            run="r", shard=0, shards=1, plan=plan, url="ws://127.0.0.1:1/", start_at_wall=seam.wall()
        )
        recorder = Recorder("r", 0)
        return Player(Stage(spec, recorder, seam), Arrival(0, 0.0, "a", "light", None), "light"), recorder

    return made


def act(do: str, **more: str) -> str:
    lines = {"do": do, "every": "1s", "after": "1s", "deadline": "2s"} | more
    return '[[act]]\nclient = "a"\n' + "".join(f'{key} = "{value}"\n' for key, value in lines.items())


def test_pauses_double_up_to_a_limit_and_are_the_same_for_a_seed() -> None:
    pauses = [backoff_s(7, 3, failures) for failures in range(1, 12)]

    for number, pause in enumerate(pauses):
        assert 0.5 <= pause / min(5.0, 0.1 * 2**number) <= 1.5
    assert pauses == [backoff_s(7, 3, failures) for failures in range(1, 12)]
    assert pauses != [backoff_s(7, 4, failures) for failures in range(1, 12)]


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (None, "closed"),
        (ConnectionBroken("x"), "ConnectionBroken"),
        (ConnectRefused("v", "x"), "connect:ConnectRefused"),
        (ConnectTimeout("v", "tcp", 1), "connect_timeout"),
        (AuthError("x"), "auth"),
    ],
)
def test_ends_have_words(error, word) -> None:
    assert error_kind(error) == word


async def test_it_leaves_when_the_plan_is_over_behind_its_last_answer(make) -> None:
    player, _ = make(act("subscribe"), "3s")
    player.entered(0.0, 0.1)
    assert [name for name, _ in player.step(1.0)] == ["changeSymbol"]
    player.event("updateHistoryNew", b'{"asset":"EURUSD_otc","period":60,"history":[],"candles":[]}', 1.1)
    player.step(2.0)
    assert player.next_due() == 3.0
    names = [name for name, _ in player.step(3.0)]
    assert names == []
    assert player.next_due() == 4.0  # the second question may still be answered
    assert [name for name, _ in player.step(4.0)] == ["unSubscribeSymbol", "getBalance"]
    assert not player.finished
    player.event("successupdateBalance", b'{"isDemo":1,"balance":5}', 4.1)
    assert player.finished


async def test_a_venue_that_does_not_answer_is_not_waited_for_longer(make) -> None:
    player, recorder = make(duration="3s")
    player.entered(0.0, 0.1)
    player.step(3.0)
    assert player.next_due() == 3.0 + BARRIER_S
    player.step(3.0 + BARRIER_S)

    assert player.finished
    assert recorder.take_delta(0).counters["ticks_lost"] == 1


async def test_who_is_away_at_the_end_and_owes_nothing_is_gone(make) -> None:
    player, _ = make(act("balance"), "3s")
    player.entered(0.0, 0.1)
    assert player.ended(ConnectionBroken("x"), 0.0, 2.0) is not None
    assert player.next_due() == 3.0
    player.step(3.0)

    assert player.finished


async def test_orders_under_way_are_waited_for_a_bounded_time(make) -> None:
    player, recorder = make(act("open_order", deadline="9s"), "3s")
    player.entered(0.0, 0.1)
    player.ledger.orders["d"] = Order(Decimal(10), 60.0)
    player.step(3.0)
    assert player.next_due() > 3.0
    player.ledger.orders["d"].closes_s = 3.0 + DRAIN_MAX_S + 1
    player.ledger.pending.clear()
    assert player.next_due() == -math.inf  # it would not come in time
    player.step(3.1)
    player.depart(9.0)

    assert recorder.take_delta(0).counters["orders.unsettled"] == 1


@pytest.mark.parametrize("late_s", [0.0, 0.004, 2.0])
async def test_what_was_due_before_the_end_is_begun_and_what_comes_due_after_it_is_not_of_the_run(
    make, late_s
) -> None:
    player, recorder = make(act("balance", deadline="9s"), "1002ms")
    player.entered(0.0, 0.1)
    begun = player.step(1.002 + late_s)
    assert [name for name, *_ in begun] == ["getBalance"]
    player.depart(9.0)
    counters = recorder.take_delta(0).counters
    assert (counters["planned"], counters["started"], counters.get("omitted", 0)) == (1, 1, 0)


async def test_idling_ends_with_its_time_or_with_the_connection(make) -> None:
    player, recorder = make(
        '[[act]]\nclient = "a"\ndo = "idle"\nmodel = "closed"\nevery = "1s"\nparams = {for = "2s"}\n', "20s"
    )
    player.entered(0.0, 0.0)
    assert player.step(0.0) == []
    assert player.next_due() == 2.0
    player.step(2.0)
    assert player.next_due() == 3.0
    player.step(3.0)
    player.ended(ConnectionBroken("x"), 0.0, 3.5)
    player.entered(4.0, 4.0)
    assert player.next_due() == pytest.approx(4.5)
    assert recorder.take_delta(0).counters["started"] == 2


async def test_it_gives_up_after_twenty_failures(make) -> None:
    player, recorder = make()
    for failure in itertools.count(1):
        if player.ended(ConnectRefused("v", "no"), 0.0, failure * 0.1) is None:
            break

    assert failure == 21
    assert recorder.take_delta(0).counters["gave_up"] == 1
