"""Asking again: only within the deadline, only what is safe, and never fifty probes at once."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from potrio.actors.breaker import Breaker, BreakerState
from potrio.actors.repeat import Repeater, Retry
from potrio.errors import CircuitOpen, ConfigError, NotConnected, RequestError, RequestTimeout
from potrio.supervision.backoff import Backoff
from potrio.testing.network import MemoryNetwork

PAUSE = Backoff(base=1.0, cap=8.0, jitter="none")
TIMED_OUT = RequestTimeout("no answer")


class Venue:
    """Answers as it is told to: an error is raised, anything else returned; then it repeats the last."""

    def __init__(self, *script: object, takes: float = 0.0) -> None:
        self.script = list(script)
        self.takes = takes
        self.asked: list[float] = []
        self.now = self.most = 0

    async def __call__(self) -> object:
        self.asked.append(trio.current_time())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await trio.sleep(self.takes)
        finally:
            self.now -= 1
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        return said


def repeater(failures: int = 100, attempts: int = 3) -> Repeater:
    return Repeater(
        Breaker("history", failures=failures, recovery_s=10.0), MemoryNetwork(), Retry(attempts, PAUSE)
    )


async def test_a_question_without_an_answer_is_asked_again_after_a_pause(autojump_clock):
    venue, asking = Venue(TIMED_OUT, TIMED_OUT, 42), repeater()
    assert await asking.ask(venue) == 42
    assert venue.asked == [0.0, 1.0, 3.0]
    assert asking.retries == 2


async def test_the_last_error_is_the_callers(autojump_clock):
    venue = Venue(TIMED_OUT)
    with pytest.raises(RequestTimeout):
        await repeater().ask(venue)
    assert len(venue.asked) == 3


async def test_no_pause_is_begun_that_ends_after_the_callers_deadline(autojump_clock):
    venue = Venue(TIMED_OUT, takes=0.5)
    with trio.fail_after(2.5), pytest.raises(RequestTimeout):
        await repeater().ask(venue)
    assert venue.asked == [0.0, 1.5]
    assert trio.current_time() == 2.0


@pytest.mark.parametrize("error", [RequestError("this is wrong"), NotConnected("no link"), ValueError("odd")])
async def test_any_other_error_is_not_repeated_and_speaks_against_nobody(autojump_clock, error):
    venue, asking = Venue(error), repeater(failures=1)
    for _ in range(3):
        with pytest.raises(type(error)):
            await asking.ask(venue)
    assert len(venue.asked) == 3
    assert asking.breaker.state(trio.current_time()) is BreakerState.CLOSED


async def test_an_open_breaker_says_when_to_come_back(autojump_clock):
    venue, asking = Venue(TIMED_OUT), repeater(failures=2, attempts=1)
    for _ in range(2):
        with pytest.raises(RequestTimeout):
            await asking.ask(venue)
    await trio.sleep(4)
    with pytest.raises(CircuitOpen) as refused:
        await asking.ask(venue)
    assert refused.value.retry_in_s == 6.0
    assert refused.value.retry_at == MemoryNetwork().wall() + 6.0
    assert len(venue.asked) == 2


async def test_of_fifty_callers_one_probes(autojump_clock):
    venue, asking = Venue(TIMED_OUT, 42, takes=1.0), repeater(failures=1, attempts=1)
    with pytest.raises(RequestTimeout):
        await asking.ask(venue)
    await trio.sleep(10)
    outcomes: list[str] = []

    async def caller() -> None:
        try:
            outcomes.append(str(await asking.ask(venue)))
        except CircuitOpen:
            outcomes.append("open")

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(caller)
    assert sorted(outcomes) == ["42"] + ["open"] * 49
    assert venue.most == 1
    assert len(venue.asked) == 2
    assert await asking.ask(venue) == 42


async def test_a_probe_that_is_cancelled_leaves_the_way_open_for_another(autojump_clock):
    venue, asking = Venue(TIMED_OUT, 42, takes=1.0), repeater(failures=1, attempts=1)
    with pytest.raises(RequestTimeout):
        await asking.ask(venue)
    await trio.sleep(10)
    with trio.move_on_after(0.5):
        await asking.ask(venue)
    assert await asking.ask(venue) == 42


async def test_an_answer_that_comes_after_the_breaker_opened_does_not_close_it(autojump_clock):
    asking = repeater(failures=1, attempts=1)
    slow, broken = Venue(42, takes=5.0), Venue(TIMED_OUT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asking.ask, slow)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RequestTimeout):
            await asking.ask(broken)
    assert asking.breaker.state(trio.current_time()) is BreakerState.OPEN


async def test_jitter_is_the_seams(autojump_clock):
    one, two = (Repeater(Breaker("x"), MemoryNetwork(seed=4), Retry(4)) for _ in range(2))
    times = []
    for asking in (one, two):
        venue, start = Venue(TIMED_OUT), trio.current_time()
        with pytest.raises(RequestTimeout):
            await asking.ask(venue)
        times.append([round(at - start, 9) for at in venue.asked])
    assert times[0] == times[1]
    assert isinstance(one._generator, random.Random)


def test_no_attempt_is_no_request():
    with pytest.raises(ConfigError):
        Retry(0)
