"""Virtual time jumps, and the scheduler chooses by seed."""

from __future__ import annotations

import pytest
import trio
import trio._core._run as trio_run

from loadsim.simulation.clock import SimClock, SimulationStuck, TrioChanged, run_unstuck, seeded_scheduler


def run(main, clock=None):
    clock = clock or SimClock()
    trio.run(run_unstuck, clock, main, clock=clock)
    return clock


def test_an_hour_takes_no_time_and_calls_come_between_deadlines():
    clock, seen = SimClock(), []

    async def main():
        clock.call_at(10.0, lambda: seen.append(("call", clock.now)))
        clock.call_at(5.0, seen.append, "first")
        await trio.sleep(7)
        seen.append(("slept", trio.current_time()))
        await trio.sleep(3593)

    run(main, clock)
    assert seen == ["first", ("slept", 7.0), ("call", 10.0)]
    assert clock.now == 3600


def test_a_deadlock_is_an_error_and_no_endless_wait():
    with pytest.raises(SimulationStuck):
        run(trio.sleep_forever)


def order_of(seed: int) -> list[int]:
    seen: list[int] = []

    async def main():
        async def one(number):
            await trio.sleep(1)
            seen.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(one, number)

    with seeded_scheduler(seed):
        run(main)
    return seen


def test_whose_turn_it_is_follows_from_the_seed():
    assert order_of(1) == order_of(1)
    assert len({tuple(order_of(seed)) for seed in range(5)}) > 1


def test_a_trio_without_these_names_is_refused_in_words(monkeypatch):
    monkeypatch.delattr(trio_run, "_r")
    with pytest.raises(TrioChanged, match=trio.__version__), seeded_scheduler(1):
        pass
