"""Opening: a block closes what it opened, a handle is its owner's, and nothing is closed that was not opened."""

from __future__ import annotations

import pytest
import trio

from potrio.client.opening import Opening


class Thing:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


async def test_a_block_closes_what_it_opened():
    thing = Thing()

    async def opened() -> Thing:
        await trio.lowlevel.checkpoint()
        return thing

    async with Opening(opened) as got:
        assert got is thing
        assert thing.closed == 0
    assert thing.closed == 1
    with pytest.raises(RuntimeError, match="mine"):
        async with Opening(opened):
            raise RuntimeError("mine")
    assert thing.closed == 2


async def test_a_handle_is_its_owners():
    thing = Thing()

    async def opened() -> Thing:
        return thing

    assert await Opening(opened) is thing
    assert thing.closed == 0


async def test_what_fails_to_open_raises_and_nothing_runs_before():
    calls = []

    async def opened() -> Thing:
        calls.append(1)
        raise ValueError("no")

    opening = Opening(opened)
    assert calls == []
    with pytest.raises(ValueError, match="no"):
        async with opening:
            pytest.fail("entered")
