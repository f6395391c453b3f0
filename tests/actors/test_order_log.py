"""The log of an order: every reader sees every change in order, however late it reads; old ones make room."""

from __future__ import annotations

import trio

from potrio.actors.evidence import OrderState
from potrio.actors.order_log import CHANGES_KEPT_MAX, Change, ChangeLog, Changes

STATES = list(OrderState)


class Told:
    """A log with somebody who writes it."""

    def __init__(self) -> None:
        self.log: ChangeLog[OrderState] = ChangeLog()
        self.changed = trio.Event()
        self.ended = False

    def add(self, state: OrderState, *, last: bool = False) -> None:
        self.log.add(Change(state, None, state.value))
        self.ended = last
        self.changed.set()
        self.changed = trio.Event()

    async def wait(self) -> None:
        await self.changed.wait()

    def changes(self) -> Changes[OrderState]:
        return Changes(self.log, self.wait, lambda: self.ended)


async def test_every_reader_sees_every_change_from_the_first_on(autojump_clock):
    told = Told()
    seen: list[list[OrderState]] = [[], [], []]

    async def read(which: int, delay: float) -> None:
        await trio.sleep(delay)
        seen[which].extend([change.state async for change in told.changes()])

    async with trio.open_nursery() as nursery:
        for which, delay in enumerate((0.0, 2.5, 10.0)):
            nursery.start_soon(read, which, delay)
        for n, state in enumerate(STATES[:5]):
            await trio.sleep(1)
            told.add(state, last=n == 4)
    assert seen == [STATES[:5]] * 3


async def test_a_cancelled_reader_loses_nothing(autojump_clock):
    told = Told()
    changes = told.changes()
    with trio.move_on_after(1):
        await changes.__anext__()
    told.add(OrderState.SENT)
    assert (await changes.__anext__()).state is OrderState.SENT


async def test_it_is_bounded_and_a_late_reader_gets_what_is_kept():
    told = Told()
    for n in range(3 * CHANGES_KEPT_MAX):
        told.log.add(Change(OrderState.SENT, None, str(n)))
    told.ended = True
    causes = [change.cause async for change in told.changes()]
    assert causes == [str(n) for n in range(2 * CHANGES_KEPT_MAX, 3 * CHANGES_KEPT_MAX)]
    assert told.log.total == 3 * CHANGES_KEPT_MAX
