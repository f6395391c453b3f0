"""What a supervisor does about an exit: tables, without waiting for anything."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.supervision import Backoff, Context, Exit, Failure, Limit, child
from potrio.supervision.children import ChildTable
from potrio.supervision.intensity import Intensity
from potrio.supervision.plan import End, Escalate, Group, Restart, decide, merge, region_of, stop_order

FAILURE = Failure("ValueError", "boom")
NORMAL = Exit("normal")
CRASH = Exit("crashed", FAILURE)
KILLED = Exit("killed")


async def quiet(ctx: Context[str]) -> None:
    async for _ in ctx.inbox:
        pass


def table(*ids: str, **values: Any) -> ChildTable[Any, Any]:
    made: ChildTable[Any, Any] = ChildTable()
    for id in ids:
        made.add(child(quiet, id=id, **values), f"cell of {id}", dynamic=False)
    return made


def judge(made: ChildTable[Any, Any], id: str, exit: Exit, **values: Any) -> Any:
    settings: dict[str, Any] = {
        "strategy": "one_for_one",
        "auto_shutdown": "never",
        "intensity": Intensity(Limit(3, 5)),
        "backoff": Backoff(base=1, jitter="none"),
        "generator": random.Random(1),
        "now": 100.0,
        "ready_for": 0.0,
    }
    return decide(made, made.get(id), exit, **{**settings, **values})


@pytest.mark.parametrize(
    ("restart", "exit", "restarted"),
    [
        ("permanent", NORMAL, True),
        ("permanent", CRASH, True),
        ("permanent", KILLED, True),
        ("transient", NORMAL, False),
        ("transient", CRASH, True),
        ("transient", KILLED, True),
        ("temporary", NORMAL, False),
        ("temporary", CRASH, False),
        ("temporary", KILLED, False),
    ],
)
def test_A2_restart_kind_and_exit(restart: str, exit: Exit, restarted: bool) -> None:
    decision = judge(table("a", restart=restart), "a", exit)

    assert isinstance(decision, Restart if restarted else End)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("one_for_one", ["b"]), ("one_for_all", ["a", "b", "c", "d"]), ("rest_for_one", ["b", "c", "d"])],
)
def test_A5_who_goes_with_it(strategy: str, expected: list[str]) -> None:
    made = table("a", "b", "c", "d")
    decision = judge(made, "b", CRASH, strategy=strategy)

    assert [row.id for row in decision.group.rows] == expected
    assert [row.id for row in region_of(made, made.get("b"), strategy)] == expected


@pytest.mark.parametrize(
    ("restart", "expected"), [("permanent", Escalate), ("transient", End), ("temporary", End)]
)
def test_A3_a_terminal_crash(restart: str, expected: type) -> None:
    intensity = Intensity(Limit(1, 5))
    decision = judge(table("a", restart=restart), "a", CRASH, terminal=True, intensity=intensity)

    assert isinstance(decision, expected)
    assert intensity.add(100.0), "the window was not used"


def test_A8_past_the_limit_it_escalates() -> None:
    made = table("a")
    intensity = Intensity(Limit(1, 5))

    assert isinstance(judge(made, "a", CRASH, intensity=intensity), Restart)
    assert isinstance(judge(made, "a", CRASH, intensity=intensity), Escalate)


def test_A9_delay_and_due() -> None:
    made = table("a")

    first = judge(made, "a", CRASH)
    second = judge(made, "a", CRASH, now=101.0)

    assert (first.delay, first.group.due) == (1, 101)
    assert (second.delay, second.group.due) == (2, 103)
    assert judge(made, "a", CRASH, now=200.0, ready_for=60.0).delay == 1


@pytest.mark.parametrize(
    ("auto_shutdown", "gone_before", "finish"),
    [
        ("never", 0, False),
        ("any_significant", 0, True),
        ("all_significant", 0, False),
        ("all_significant", 1, True),
    ],
)
def test_A4_significant_children(auto_shutdown: str, gone_before: int, finish: bool) -> None:
    made = table("a", "b", restart="transient", significant=True)
    if gone_before:
        made.remove(made.get("b"))

    assert judge(made, "a", NORMAL, auto_shutdown=auto_shutdown) == End(finish=finish)


def test_A4_the_end_of_an_insignificant_child_finishes_nothing() -> None:
    made = table("a", restart="transient")

    assert judge(made, "a", NORMAL, auto_shutdown="any_significant") == End(finish=False)


def test_A10_merged_groups_start_once_at_the_latest_time() -> None:
    made = table("a", "b", "c", "d")
    waiting = Group([made.get("c"), made.get("d")], 9.0)
    merged = merge(Group([made.get("b"), made.get("c"), made.get("d")], 5.0), [waiting])

    assert [row.id for row in merged.rows] == ["b", "c", "d"]
    assert merged.due == 9.0


@given(st.lists(st.tuples(st.sets(st.integers(0, 7), min_size=1), st.floats(0, 100)), min_size=1, max_size=5))
def test_A10_merge_loses_nobody_and_keeps_order(groups: list[tuple[set[int], float]]) -> None:
    made = table(*(str(number) for number in range(8)))
    made_groups = [Group([made.get(str(n)) for n in sorted(members)], due) for members, due in groups]
    merged = merge(made_groups[0], made_groups[1:])

    orders = [row.order for row in merged.rows]
    assert orders == sorted(set(orders))
    assert {row.id for row in merged.rows} == {str(n) for members, _ in groups for n in members}
    assert merged.due == max(due for _, due in groups)


def test_stop_order_is_reverse_start_order_of_the_living() -> None:
    made = table("a", "b", "c")
    for id in ("a", "c"):
        made.get(id).status = "up"

    assert [row.id for row in stop_order(list(made))] == ["c", "a"]
