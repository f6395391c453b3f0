"""A wall clock that cannot jump, and what tells a clock that was set from a machine that slept."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from potrio.protocol.server_clock import ServerClock
from potrio.testing.network import MemoryNetwork
from potrio.transport.at_speed import AtSpeed
from potrio.transport.steady import SteadySeam, steady

ZONE_S = 7200


class Machine(MemoryNetwork):
    """A machine that can sleep: its clock of deadlines stands still, its wall clock does not."""

    def __init__(self) -> None:
        super().__init__(epoch=1000.0)
        self.time = 0.0
        self.set_s = 0.0
        self.slept_s = 0.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.utc + self.set_s

    @property
    def utc(self) -> float:
        return 1000.0 + self.time + self.slept_s


def measured(machine: Machine) -> tuple[SteadySeam, ServerClock]:
    seam, clock = SteadySeam(machine), ServerClock()
    seam.on_jump = clock.doubt
    for _ in range(10):
        tick(machine, seam, clock)
    assert clock.is_certain
    return seam, clock


def tick(machine: Machine, seam: SteadySeam, clock: ServerClock) -> None:
    machine.time += 0.5
    slow_s = clock.observe(machine.utc - 0.02 + ZONE_S, seam.wall())
    if slow_s:
        seam.follow(slow_s)


async def test_it_is_the_wall_clock_until_that_is_set_and_then_what_it_was(autojump_clock):
    network = MemoryNetwork(epoch=1000.0)
    seam = SteadySeam(network)
    told: list[tuple[float, float]] = []
    seam.on_jump = lambda *jump: told.append(jump)
    assert seam.wall() == network.wall()
    await trio.sleep(3)
    network.wall_jump_s = 3600.0
    assert seam.wall() == 1003.0
    network.wall_jump_s = 3600.3  # a step that nobody need know of
    assert seam.wall() == 1003.0
    await trio.sleep(1)
    network.wall_jump_s = -60.0
    assert seam.wall() == 1004.0
    assert told == [(3600.0, 1003.0), (-60.0, 1004.0)]
    assert seam.beyond_s == -60.0


async def test_a_wait_for_the_processor_between_the_two_looks_is_no_jump():
    machine = Machine()
    seam = SteadySeam(machine)
    seam.on_jump = lambda *_: pytest.fail("nothing has jumped")
    seam.wall()
    late = iter([0.0])  # the first look was two seconds ago
    machine.time = 2.0
    machine.now = lambda: next(late, 2.0)
    assert seam.wall() == 1000.0
    assert seam.wall() == 1002.0


@pytest.mark.parametrize("set_s", [-7200, -3600, -1800, -60, 600, 1800, 3600, 7200, 90_000])
def test_a_clock_that_is_set_changes_neither_zone_nor_offset(set_s: float) -> None:
    machine = Machine()
    seam, clock = measured(machine)
    machine.set_s = set_s
    seam.wall()
    assert clock.is_doubted
    assert not clock.is_certain
    for _ in range(21):
        assert not clock.is_certain
        tick(machine, seam, clock)
    assert clock.is_certain
    assert clock.jumps == 0
    for _ in range(100):
        tick(machine, seam, clock)
        assert clock.zone_s == ZONE_S
        assert abs(clock.offset_s) < 0.1
        assert clock.to_utc(clock.stamp_at(seam.wall())) == pytest.approx(machine.utc, abs=0.1)


@pytest.mark.parametrize("slept_s", [5, 600, 1801, 3600, 30_000, 200_000])
@pytest.mark.parametrize("set_s", [0, 2400])
def test_time_slept_is_believed_once_the_venue_shows_it(slept_s: float, set_s: float) -> None:
    machine = Machine()
    seam, clock = measured(machine)
    before = seam.wall()
    machine.time += 0.1
    machine.slept_s, machine.set_s = slept_s, set_s
    waking = seam.wall()
    for _ in range(44):
        tick(machine, seam, clock)
    assert clock.is_certain
    assert clock.zone_s == ZONE_S
    assert seam.wall() == pytest.approx(machine.utc, abs=0.1)
    assert clock.to_wall(clock.stamp_at(seam.wall())) == pytest.approx(machine.utc, abs=0.1)
    assert clock.amended(before) == before, "what was before it slept was right"
    assert clock.amended(waking) == pytest.approx(waking + slept_s, abs=0.1), (
        "what was stamped in between was not"
    )


@pytest.mark.parametrize("stale", [1, 2, 40])
@pytest.mark.parametrize("slept_s", [5, 600, 3600])
def test_ticks_that_waited_while_it_slept_do_not_say_that_it_has_not(slept_s: float, stale: int) -> None:
    machine = Machine()
    seam, clock = measured(machine)
    machine.slept_s = slept_s
    for number in range(stale):
        assert clock.observe(machine.utc - slept_s + number / 100 + ZONE_S, seam.wall()) == 0.0
    assert clock.is_doubted
    tick(machine, seam, clock)
    assert clock.is_certain
    assert seam.wall() == pytest.approx(machine.utc, abs=0.1)
    assert (clock.zone_s, clock.jumps) == (ZONE_S, 0)


def test_what_was_read_before_it_slept_and_is_looked_at_only_now_says_nothing() -> None:
    machine = Machine()
    seam, clock = measured(machine)
    kept = []
    for _ in range(10):
        machine.time += 0.5
        kept.append((machine.utc + ZONE_S, machine.time))
    machine.slept_s = 3600.0
    seam.wall()
    for stamp, at in kept:
        assert clock.observe(stamp, seam.wall_at(at)) == 0.0
    assert clock.is_doubted


def test_that_it_had_slept_after_all_is_understood_later() -> None:
    machine = Machine()
    seam, clock = measured(machine)
    machine.slept_s = 3600.0
    for _ in range(30):  # a peer that kept sending what it had kept
        machine.time += 0.5
        clock.observe(machine.utc - 3600 + ZONE_S, seam.wall())
    assert clock.is_certain, "it was deceived"
    for _ in range(44):
        tick(machine, seam, clock)
    assert clock.zone_s == ZONE_S
    assert seam.wall() == pytest.approx(machine.utc, abs=0.1)


def test_a_clock_that_was_set_once_does_not_hide_that_it_slept_later() -> None:
    machine = Machine()
    seam, clock = measured(machine)
    machine.set_s = 3600.0
    for _ in range(44):
        tick(machine, seam, clock)
    machine.slept_s = 600.0
    tick(machine, seam, clock)
    assert clock.is_certain, "one tick shows it"
    assert seam.wall() == pytest.approx(machine.utc, abs=0.1)
    assert seam.beyond_s == pytest.approx(3600.0)


@pytest.mark.parametrize("slept_s", [0.0, 3600.0])
def test_before_anything_is_measured_a_jump_does_not_become_a_zone(slept_s: float) -> None:
    machine = Machine()
    seam, clock = SteadySeam(machine), ServerClock()
    seam.on_jump = clock.doubt
    seam.wall()
    machine.slept_s, machine.set_s = slept_s, 3600.0 - slept_s
    for _ in range(44):
        tick(machine, seam, clock)
    assert clock.is_certain
    assert clock.zone_s == ZONE_S
    assert seam.wall() == pytest.approx(machine.utc, abs=0.1)


def test_the_latest_stamp_is_the_one_of_a_machine_that_has_slept_as_long_as_that_is_possible() -> None:
    machine = Machine()
    seam, clock = measured(machine)
    assert ServerClock().latest_stamp(seam.wall()) == math.inf
    assert clock.latest_stamp(seam.wall()) == pytest.approx(machine.utc + ZONE_S, abs=0.1)
    machine.set_s = 600.0
    assert clock.latest_stamp(seam.wall()) == pytest.approx(machine.utc + ZONE_S + 600, abs=0.1)
    for _ in range(44):
        tick(machine, seam, clock)
    assert clock.latest_stamp(seam.wall()) == pytest.approx(machine.utc + ZONE_S, abs=0.1)
    machine.set_s = 0.0
    seam.wall()
    assert clock.is_doubted
    assert clock.latest_stamp(seam.wall()) == pytest.approx(machine.utc + ZONE_S, abs=0.1)


@pytest.mark.parametrize(("slept_s", "set_s"), [(3600.0, 0.0), (0.0, 3600.0), (600.0, -1800.0)])
def test_what_another_process_reads_is_by_the_systems_clock(slept_s: float, set_s: float) -> None:
    machine = Machine()
    seam, clock = measured(machine)
    before, utc_before = seam.wall(), machine.utc
    machine.time += 0.1
    machine.slept_s, machine.set_s = slept_s, set_s
    after, utc_after = seam.wall(), machine.utc
    assert clock.is_doubted
    assert clock.to_system(before) == pytest.approx(before), "as it was written down"
    assert clock.to_system(after) == pytest.approx(machine.wall())
    for _ in range(44):
        tick(machine, seam, clock)
    assert clock.to_system(before) == pytest.approx(utc_before + set_s, abs=0.1)
    assert clock.to_system(after) == pytest.approx(utc_after + set_s, abs=0.1)


SLEPT_S = [1.5, 61.0, 607.0, 3603.0, 30_011.0, 90_017.0]
SET_S = [-7200.0, -1800.0, -47.0, -2.0, 5.0, 613.0, 3600.0, 7200.0]
STEPS = st.one_of(
    st.tuples(st.just("ticks"), st.integers(1, 30), st.just(0)),
    st.tuples(st.just("set"), st.sampled_from(SET_S), st.just(0)),
    st.tuples(st.just("sleep"), st.sampled_from(SLEPT_S), st.integers(0, 40)),
    st.tuples(st.just("sleep and set"), st.sampled_from(SLEPT_S), st.sampled_from(SET_S)),
)


@settings(max_examples=300)
@given(st.booleans(), st.lists(STEPS, max_size=8))
@example(True, [("set", 5.0, 0), ("sleep", 3603.0, 40)])
@example(True, [("set", -2.0, 0), ("ticks", 4, 0), ("sleep", 3603.0, 1)])
@example(True, [("sleep", 90_017.0, 40)])
@example(False, [("sleep and set", 3603.0, 613.0)])
def test_after_any_history_the_time_is_the_venues(is_measured: bool, history: list[tuple]) -> None:
    machine = Machine()
    seam, clock = SteadySeam(machine), ServerClock()
    seam.on_jump = clock.doubt
    seam.wall()
    if is_measured:
        for _ in range(10):
            tick(machine, seam, clock)
    for what, much, more in history:
        match what:
            case "ticks":
                for _ in range(much):
                    tick(machine, seam, clock)
            case "set":
                machine.set_s += much
            case "sleep":
                kept = [machine.utc + ZONE_S + number / 4 for number in range(more)]
                machine.slept_s += much
                for stamp in kept:  # what a peer or the network had kept comes four times a second
                    machine.time += 0.25
                    if slow_s := clock.observe(
                        stamp, seam.wall()
                    ):  # of a sleep before that was not known yet
                        seam.follow(slow_s)
            case _:
                assume(abs(much + more) >= 1)  # what cancels out cannot be seen
                machine.slept_s += much
                machine.set_s += more
        seam.wall()
    for _ in range(300):
        tick(machine, seam, clock)
    assert clock.is_certain
    assert clock.zone_s == ZONE_S
    assert seam.wall() + clock.offset_s == pytest.approx(machine.utc, abs=0.1)
    if is_measured:  # else up to five minutes count as an error of the venue's clock
        assert seam.wall() == pytest.approx(machine.utc, abs=4.0), (
            "less than a sample may be late is not seen"
        )


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("ticks"), st.integers(1, 30)),
            st.tuples(st.just("set"), st.sampled_from([-20_011.0, 199.0, 2111.0])),
            st.tuples(st.just("sleep"), st.sampled_from([61.0, 607.0, 6007.0])),
        ),
        max_size=4,  # with more of them, others would come to the same sum
    )
)
@example([("set", 199.0), ("sleep", 6007.0)])
@example([("sleep", 6007.0), ("set", 199.0)])
@example([("set", 2111.0), ("sleep", 607.0), ("sleep", 6007.0)])
def test_what_was_stamped_at_any_time_is_put_right(history: list[tuple[str, float]]) -> None:
    machine = Machine()
    seam, clock = measured(machine)
    stamped = []
    for what, much in history:
        if what == "ticks":
            for _ in range(int(much)):
                tick(machine, seam, clock)
        else:
            machine.slept_s += much * (what == "sleep")
            machine.set_s += much * (what == "set")
        machine.time += 0.1
        stamped.append((seam.wall(), machine.utc))
        machine.time += 0.1
    for _ in range(44):
        tick(machine, seam, clock)
    for wall, utc in stamped:
        assert clock.amended(wall) == pytest.approx(utc, abs=4.0)
        assert clock.to_system(wall) == pytest.approx(utc + machine.set_s, abs=4.0)


async def test_what_else_it_does_is_done_by_the_other(autojump_clock):
    network = MemoryNetwork(seed=4)
    seam = steady(network)
    assert seam.now() == network.now()
    assert seam.new_id() != MemoryNetwork(seed=5).new_id()
    (listener,) = await seam.listen_tcp("127.0.0.1", 0)
    assert await network.connect_tcp(0, ("127.0.0.1", listener.port))
    await listener.aclose()
    assert seam.wall_jump_s == 0.0  # what this one can do besides


def test_a_clock_that_runs_at_a_speed_of_its_own_is_left_alone() -> None:
    fast = AtSpeed(MemoryNetwork(), 20)
    assert steady(fast) is fast
    once = steady(MemoryNetwork())
    assert steady(once) is once
