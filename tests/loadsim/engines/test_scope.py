"""Tasks end with the block, and the caller's exception leaves as it is."""

from __future__ import annotations

import pytest
import trio

from loadsim.engines.scope import open_tasks


async def test_tasks_end_with_the_block(autojump_clock):
    async with open_tasks() as nursery:
        nursery.start_soon(trio.sleep_forever)


async def test_an_exception_of_the_block_is_not_wrapped(autojump_clock):
    with pytest.raises(KeyError):
        async with open_tasks() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise KeyError("mine")


async def test_an_exception_of_a_task_is_a_group(autojump_clock):
    async def fail() -> None:
        raise KeyError("theirs")

    with pytest.raises(BaseExceptionGroup):
        async with open_tasks() as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()


async def test_cancelling_passes_through(autojump_clock):
    with trio.move_on_after(1) as scope:
        async with open_tasks() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()

    assert scope.cancelled_caught
