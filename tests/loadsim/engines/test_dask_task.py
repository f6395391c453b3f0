"""The supervisor of a shard in a worker: it passes on what the shard says, and ends it when nobody wants it."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import msgspec
import pytest
import trio

from loadsim.engines.dask_task import RUNNING, Said, Supervision, stop_shard, unwanted
from loadsim.engines.wire import Bye, Hello, Report, decode_line

from .conftest import COMMAND, spec_of


class Worker:
    """As much of a worker of Dask as the supervisor looks at."""

    def __init__(self, state: str | None = "executing", status: str = "running") -> None:
        self.status = SimpleNamespace(name=status)
        task = {} if state is None else {"key": SimpleNamespace(state=state)}
        self.state = SimpleNamespace(tasks=task)
        self.said: list[Said] = []

    def log_event(self, topic: str, said: dict) -> None:
        assert topic == "topic"
        self.said.append(msgspec.convert(said, Said))

    @property
    def lines(self) -> list:
        return [decode_line(said.line) for said in self.said]


def supervision(worker: Worker, behaviour: str, command=COMMAND) -> Supervision:
    return Supervision(worker, spec_of(behaviour, start_at_wall=time.time() + 60), "key", "topic", command)


async def test_hello_reports_and_bye_are_events_of_one_life():
    worker = Worker()
    state = await supervision(worker, "short").run()
    hello, *reports, bye = worker.lines

    assert state == "done"
    assert isinstance(hello, Hello)
    assert [each.delta.seq for each in reports if isinstance(each, Report)] == [0, 1, 2, 3, 4]
    assert isinstance(bye, Bye)
    assert bye.outcome.state == "done"
    assert len({said.attempt for said in worker.said}) == 1
    assert [said.first for said in worker.said].count(True) == 1
    assert RUNNING == {}


async def test_a_word_from_another_thread_stops_it_in_good_order():
    worker = Worker()

    async def speak() -> None:
        while len(worker.said) < 3:  # noqa: ASYNC110  # of a process: no event tells
            await trio.sleep(0.01)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(stop_shard("key", "enough", 60.0)))
        thread.start()
        await trio.to_thread.run_sync(thread.join)
        assert answers == [True]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        state = await supervision(worker, "orderly").run()

    assert state == "stopped"
    assert worker.lines[-2].delta.last
    assert worker.lines[-1].outcome.reason == "enough"
    assert stop_shard("key", "enough", 60.0) is False


@pytest.mark.parametrize("behaviour", ["deaf", "frozen"])
async def test_a_task_that_is_taken_back_ends_its_shard(behaviour):
    """One that runs sees the end of its input; one that is frozen is killed a second later."""
    worker = Worker()

    async def take_it_back() -> None:
        while len(worker.said) < 3:  # noqa: ASYNC110  # of a process: no event tells
            await trio.sleep(0.01)
        worker.state.tasks["key"].state = "cancelled"

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_it_back)
            state = await supervision(worker, behaviour).run()

    assert state == "stopped"
    assert worker.lines[-1].outcome.reason == "the scheduler has taken it back: cancelled"


async def test_a_shard_that_does_not_begin_is_lost():
    worker = Worker()
    state = await supervision(worker, "short", ("/bin/sh", "-c", "exit 3")).run()

    assert state == "lost"
    assert "did not begin" in worker.lines[-1].outcome.reason


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        (Worker(), None),
        (Worker(status="closing"), "its worker is closing"),
        (Worker(status="paused"), "its worker is paused"),
        (Worker("released"), "taken it back: released"),
        (Worker(None), "taken it back: forgotten"),
        (SimpleNamespace(status=SimpleNamespace(name="running")), "cannot be watched"),
    ],
)
def test_who_is_wanted(worker, words):
    found = unwanted(worker, "key")

    assert found is words is None or words in found
