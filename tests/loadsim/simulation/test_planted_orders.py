"""Bugs of orders: each has its place in the list, and none changes anything that is not planted."""

from __future__ import annotations

from loadsim.simulation.planted import PLANTED, planted
from loadsim.simulation.planted_orders import ORDER_BUGS


def test_each_is_in_the_list_by_its_name():
    assert all(PLANTED[bug.__name__] is bug for bug in ORDER_BUGS)


def test_after_the_block_the_product_is_whole():
    for bug in ORDER_BUGS:
        before = [getattr(owner, name) for owner, name, _ in bug()]
        with planted(bug.__name__):
            assert all(
                getattr(owner, name) is not real for (owner, name, _), real in zip(bug(), before, strict=True)
            )
        assert [getattr(owner, name) for owner, name, _ in bug()] == before
