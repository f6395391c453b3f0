"""Flights: one question for equal askers, an answer or an error for each, and no asker is another's hostage."""

from __future__ import annotations

import pytest
import trio

from potrio.actors.flights import Flights
from potrio.errors import HistoryShort


class Desk:
    def __init__(self) -> None:
        self.flights: Flights[str, int] = Flights()
        self.asked = 0
        self.answers: list[object] = []
        self.error: Exception | None = None

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await trio.sleep(10)
        if self.error is not None:
            raise self.error
        return number

    async def want(self, key: str = "k", task_status=trio.TASK_STATUS_IGNORED) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            try:
                self.answers.append(await self.flights.share(key, self.ask))
            except HistoryShort as error:
                self.answers.append(error)


async def test_equal_questions_at_the_same_time_are_one(autojump_clock):
    desk = Desk()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            await nursery.start(desk.want)
        await nursery.start(desk.want, "other")
    assert sorted(desk.answers) == [1, 1, 1, 1, 1, 2]
    assert (desk.asked, desk.flights.shared, len(desk.flights)) == (2, 4, 0)
    await desk.want()
    assert desk.answers[-1] == 3, "an answer is shared while it is asked for, not kept"


@pytest.mark.parametrize("gone", [0, 1, 3])
async def test_cancelling_one_disturbs_no_other(autojump_clock, gone):
    desk = Desk()
    async with trio.open_nursery() as nursery:
        scopes = [await nursery.start(desk.want) for _ in range(4)]
        await trio.sleep(5)
        scopes[gone].cancel()
    assert desk.answers == [2 if gone == 0 else 1] * 3
    assert trio.current_time() == (15 if gone == 0 else 10), "the next one takes over at once"
    assert len(desk.flights) == 0


async def test_all_cancelled_leave_nothing_behind(autojump_clock):
    desk = Desk()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            await nursery.start(desk.want)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert (desk.answers, len(desk.flights)) == ([], 0)
    await desk.want()
    assert desk.answers == [2]


async def test_an_error_is_everybodys_and_each_has_one_of_its_own(autojump_clock):
    desk = Desk()
    desk.error = HistoryShort(3, 7)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            await nursery.start(desk.want)
    assert desk.asked == 1
    assert [(error.have, error.want) for error in desk.answers] == [(3, 7)] * 3
    assert len({id(error) for error in desk.answers}) == 3
