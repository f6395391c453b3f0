"""The ordered table of children."""

from __future__ import annotations

import pytest

from potrio.supervision import Context, DuplicateChild, child
from potrio.supervision.children import ChildTable


async def quiet(ctx: Context[str]) -> None:
    async for _ in ctx.inbox:
        pass


def table(*ids: str) -> ChildTable[str, str]:
    made: ChildTable[str, str] = ChildTable()
    for id in ids:
        made.add(child(quiet, id=id), f"cell of {id}", dynamic=False)
    return made


def ids(rows) -> list[str]:
    return [row.id for row in rows]


def test_order_is_the_order_of_adding() -> None:
    made = table("a", "b", "c")

    assert ids(made) == ["a", "b", "c"]
    assert ids(reversed(made)) == ["c", "b", "a"]
    assert len(made) == 3


def test_A5_after_gives_later_siblings_only() -> None:
    made = table("a", "b", "c", "d")

    assert ids(made.after(made.get("b"))) == ["c", "d"]
    assert ids(made.after(made.get("d"))) == []


def test_a_name_is_free_after_removal_and_comes_last_when_given_again() -> None:
    made = table("a", "b", "c")
    made.remove(made.get("a"))
    made.add(child(quiet, id="a"), "new", dynamic=True)

    assert ids(made) == ["b", "c", "a"]
    assert ids(made.after(made.get("c"))) == ["a"]
    assert made.get("a").dynamic


def test_D3_a_taken_name_is_refused() -> None:
    with pytest.raises(DuplicateChild):
        table("a", "a")


def test_significant_children_are_counted() -> None:
    made: ChildTable[str, str] = ChildTable()
    for id, significant in (("a", True), ("b", False), ("c", True)):
        made.add(child(quiet, id=id, restart="temporary", significant=significant), "cell", dynamic=False)
    assert made.significant == 2
    made.remove(made.get("a"))
    assert made.significant == 1


def test_a_new_row_is_down_wanted_up_and_first() -> None:
    row = table("a").get("a")

    assert (row.status, row.want, row.first, row.attempt, row.alive) == ("down", "up", True, 0, False)
    assert repr(row) == "<child a #0 down, wanted up>"


def test_only_rows_of_the_table_can_be_removed() -> None:
    stranger = table("a").get("a")
    with pytest.raises(AssertionError):
        table("a").remove(stranger)
