"""A region as a value: what is left of it, and that closing it disarms its timer."""

from __future__ import annotations

from potrio.supervision import Context, child
from potrio.supervision.children import ChildTable
from potrio.supervision.region import Region
from potrio.supervision.timers import Timers


async def quiet(ctx: Context[str]) -> None:
    async for _ in ctx.inbox:
        pass


def test_A10_the_group_of_a_region_is_what_is_still_wanted() -> None:
    table: ChildTable = ChildTable()
    rows = [table.add(child(quiet, id=id), "cell", dynamic=False) for id in "abc"]
    region = Region(stop=[], start=rows, due=7.0)
    rows[1].want = "end"

    assert [row.id for row in region.group.rows] == ["a", "c"]
    assert region.group.due == 7.0


def test_closing_disarms_the_timer() -> None:
    timers = Timers(lambda: 0.0)
    region = Region(stop=[], start=[], due=5.0)
    region.timer = timers.at(5.0, lambda: None)
    region.close()

    assert region.over
    assert len(timers) == 0
