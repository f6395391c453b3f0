"""The schedule is a pure function of plan and seed: the same for any number of shards, at the rates asked for."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.plan.model import Act, FaultSpec, Load, Plan, RandomFaults, Segment, Step
from loadsim.plan.schedule import Arrival, actions, arrivals, fault_schedule, of_shard
from loadsim.plan.units import Distribution

SEGMENTS = st.lists(
    st.tuples(st.floats(0.5, 20), st.floats(0, 20), st.floats(0, 20)), min_size=1, max_size=4
).map(
    lambda parts: tuple(
        Segment(sum(each[0] for each in parts[:n]), length, rate, to)
        for n, (length, rate, to) in enumerate(parts)
    )
)
PLANS = st.builds(
    lambda seed, several: Plan("p", 40.0, seed, tuple(several)),
    st.integers(0, 2**32),
    st.lists(
        st.builds(
            lambda segments, process, client: Load(client, "open", "light", segments, process=process),
            SEGMENTS,
            st.sampled_from(["constant", "poisson"]),
            st.sampled_from(["a", "b"]),
        ),
        min_size=1,
        max_size=3,
    ),
)


def plan(*loads: Load, seed: int = 1, duration_s: float = 60.0, **more: object) -> Plan:
    return Plan("p", duration_s, seed, loads, **more)


def of_rate(rate: float, to_rate: float, length_s: float = 60.0, process: str = "constant") -> Load:
    return Load("c", "open", "light", (Segment(0.0, length_s, rate, to_rate),), process=process)


@settings(deadline=None)
@given(PLANS, st.integers(1, 7))
def test_shards_together_play_the_whole_run_once(some: Plan, shards: int) -> None:
    whole = list(arrivals(some))
    parts = [list(of_shard(arrivals(some), shard, shards)) for shard in range(shards)]

    assert sorted(itertools.chain(*parts), key=lambda each: each.index) == whole


@settings(deadline=None)
@given(PLANS)
def test_arrivals_are_in_order_and_numbered(some: Plan) -> None:
    whole = list(arrivals(some))

    assert [each.index for each in whole] == list(range(len(whole)))
    assert [each.at_s for each in whole] == sorted(each.at_s for each in whole)
    assert all(0 <= each.at_s < some.duration_s for each in whole)


@pytest.mark.parametrize(("rate", "to_rate"), [(5.0, 5.0), (0.0, 10.0), (10.0, 0.0), (2.0, 8.0)])
def test_as_many_arrive_as_the_rate_says(rate: float, to_rate: float) -> None:
    whole = list(arrivals(plan(of_rate(rate, to_rate))))
    first_half = sum(each.at_s < 30 for each in whole)

    assert len(whole) == pytest.approx(60 * (rate + to_rate) / 2, abs=1)
    assert first_half == pytest.approx(30 * (rate + (rate + to_rate) / 2) / 2, abs=1)


def test_even_arrivals_are_evenly_apart() -> None:
    times = [each.at_s for each in arrivals(plan(of_rate(4.0, 4.0)))]

    assert {round(b - a, 9) for a, b in itertools.pairwise(times)} == {0.25}


def test_arrivals_by_lot_have_the_rate_and_the_spread_of_poisson() -> None:
    counts = [
        len(list(arrivals(plan(of_rate(10.0, 10.0, process="poisson"), seed=seed)))) for seed in range(60)
    ]
    mean = sum(counts) / len(counts)
    variance = sum((each - mean) ** 2 for each in counts) / len(counts)

    assert mean == pytest.approx(600, rel=0.03)
    assert 300 < variance < 1100


def test_another_seed_is_another_run_and_the_same_is_the_same() -> None:
    load = of_rate(5.0, 5.0, process="poisson")

    assert list(arrivals(plan(load, seed=1))) == list(arrivals(plan(load, seed=1)))
    assert list(arrivals(plan(load, seed=1))) != list(arrivals(plan(load, seed=2)))


def test_a_closed_load_has_as_many_clients_as_its_steps_say() -> None:
    load = Load("c", "closed", "mux", steps=(Step(0.0, 10), Step(20.0, 25), Step(40.0, 5)))
    whole = list(arrivals(plan(load)))

    def present(at_s: float) -> int:
        return sum(
            each.at_s <= at_s and (each.lifetime_s is None or at_s < each.at_s + each.lifetime_s)
            for each in whole
        )

    assert [present(second) for second in (5, 25, 45)] == [10, 25, 5]
    assert len(whole) == 25


def test_a_lifetime_ends_a_client_before_its_step_does() -> None:
    load = Load(
        "c",
        "closed",
        "light",
        steps=(Step(0.0, 9), Step(30.0, 0)),
        lifetime=Distribution("uniform", 1.0, 50.0),
    )
    lifetimes = [each.lifetime_s or 0 for each in arrivals(plan(load))]

    assert all(1 <= each <= 30 for each in lifetimes)
    assert len(set(lifetimes)) > 2


# --- what they do ----------------------------------------------------------------------------------------------------


def act(every: Distribution, **more: object) -> Act:
    values = {"model": "open", "deadline_s": 5.0, "after_s": 1.0, "times": None, "params": {}} | more
    return Act("c", "ping", every=every, **values)


ARRIVAL = Arrival(3, 10.0, "c", "light", None)


def test_open_actions_have_instants_fixed_beforehand() -> None:
    (stream,) = actions(plan(of_rate(1, 1), acts=(act(Distribution("constant", 2.0)),)), ARRIVAL)

    assert [each.at_s for each in stream] == [1.0 + 2 * n for n in range(25)]


def test_open_actions_end_with_the_run() -> None:
    (stream,) = actions(plan(of_rate(1, 1), acts=(act(Distribution("exp", 0.5)),)), ARRIVAL)
    times = [each.at_s or 0 for each in stream]

    assert times == sorted(times)
    assert times[-1] < 50.0
    assert len(times) == pytest.approx(98, rel=0.5)


def test_closed_actions_come_after_a_time_to_think() -> None:
    closed = act(Distribution("constant", 2.0), model="closed", times=3)
    (stream,) = actions(plan(of_rate(1, 1), acts=(closed,)), ARRIVAL)

    assert [(each.at_s, each.think_s) for each in stream] == [(None, 1.0), (None, 2.0), (None, 2.0)]


def test_acts_of_other_classes_are_not_theirs() -> None:
    assert (
        actions(plan(of_rate(1, 1), acts=(act(Distribution("exp", 1.0)),)), Arrival(0, 0, "x", "mux", None))
        == []
    )


def test_what_a_client_does_does_not_depend_on_the_others() -> None:
    acts = (act(Distribution("exp", 1.0), params={"asset": ["A", "B", "C"]}),)
    few, many = (plan(of_rate(rate, rate), acts=acts) for rate in (1.0, 50.0))
    first, second = (list(actions(each, ARRIVAL)[0]) for each in (few, many))

    assert first == second
    assert set(Counter(each.params["asset"] for each in first)) == {"A", "B", "C"}


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_faults_are_in_order_planned_and_drawn() -> None:
    drawn = RandomFaults(30.0, ("drop", "stall"), Distribution("constant", 0.5), 10.0, 50.0)
    found = fault_schedule(
        plan(of_rate(1, 1), faults=(FaultSpec(20.0, "restart", "venue", 1.0),), random_faults=(drawn,))
    )
    lot = [each for each in found if each.kind != "restart"]

    assert [each.at_s for each in found] == sorted(each.at_s for each in found)
    assert all(10 <= each.at_s < 50 for each in lot)
    assert 5 < len(lot) < 45
    assert len(found) == len(lot) + 1
