"""What a tree shares: observers that misbehave, the message hook, names (rows D3, D10)."""

from __future__ import annotations

import logging
import random

import pytest
import trio

from potrio.supervision import (
    ChildStarted,
    Context,
    DuplicateChild,
    Event,
    Key,
    MessageTimes,
    child,
    latest,
    open_supervisor,
    supervisor,
)
from potrio.supervision.runtime import Runtime


async def quiet(ctx: Context[object]) -> None:
    async for message in ctx.inbox:
        if message == "slow":
            await trio.sleep(2)


@pytest.mark.one_schedule(reason="counts log records, which add up over runs")
async def test_D10_an_observer_that_raises_is_logged_and_removed(autojump_clock, caplog) -> None:
    calls = []
    others = []

    def broken(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("observer")

    tree = supervisor(child(quiet, id="a"), child(quiet, id="b"), id="root")
    async with open_supervisor(tree, observers=[broken, others.append]):
        pass
    assert len(calls) == 1
    assert len([event for event in others if isinstance(event, ChildStarted)]) == 2
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(records) == 1
    assert "has been removed" in records[0].getMessage()


@pytest.mark.parametrize("mailbox", [None, latest(key=lambda message: message)])
async def test_D10_the_hook_sees_the_times_of_every_message(mailbox, autojump_clock) -> None:
    seen: list[MessageTimes] = []
    tree = supervisor(child(quiet, id="a", mailbox=mailbox), id="root")
    async with open_supervisor(tree, message_hook=seen.append) as sup:
        ref = sup.ref("a")
        ref.tell("slow")
        await trio.sleep(1)
        ref.tell("b")
        await ref.send("c")
        await trio.sleep(5)
    assert seen == [
        ("root/a", "slow", 0, 0, 2),
        ("root/a", "b", 1, 2, 2),
        ("root/a", "c", 1, 2, 2),
    ]


async def test_D3_names_are_unique_until_they_are_free(autojump_clock) -> None:
    runtime = Runtime(generator=lambda: random.Random(1))
    key = Key[str]("k")
    runtime.register(key, "first")
    runtime.register(None, "no name")
    with pytest.raises(DuplicateChild):
        runtime.register(key, "second")
    runtime.unregister(key, "second")
    assert runtime.names == {key: "first"}
    runtime.unregister(key, "first")
    runtime.register(key, "second")


async def test_events_are_frozen_values(autojump_clock) -> None:
    log = []
    async with open_supervisor(supervisor(child(quiet, id="a"), id="root"), observers=[log.append]):
        pass
    with pytest.raises(AttributeError):
        log[0].path = "other"
    assert {event.at for event in log} == {0}
