"""A nursery around a block of the caller: its tasks end with the block, and the caller's exception leaves as it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

__all__ = ["open_tasks"]


@asynccontextmanager
async def open_tasks() -> AsyncGenerator[trio.Nursery, None]:
    """Tasks for as long as the block runs; then they are cancelled.

    An exception of the block is raised unwrapped. One of a task cancels the block and is raised in a group: it is a
    bug.
    """
    failed: list[Exception] = []
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except Exception as error:  # noqa: BLE001  # raised again below, outside of the group a nursery makes
            failed.append(error)
        nursery.cancel_scope.cancel("the block has ended")
    if failed:
        raise failed[0]
