"""One child's start and stop: start_timeout, shutdown deadlines, children that do not end (rows B2-B4)."""

from __future__ import annotations

import math

import pytest
import trio
import trio.lowlevel

from potrio.supervision import (
    Backoff,
    ChildCrashed,
    ChildStuck,
    Context,
    DeadLetter,
    StartTimeout,
    SupervisorFailed,
    child,
    open_supervisor,
    supervisor,
)


async def quiet(ctx: Context[str]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")


async def hangs(ctx: Context[str]) -> None:
    await trio.sleep_forever()


async def test_B2_start_timeout_of_a_first_start(autojump_clock) -> None:
    with pytest.raises(SupervisorFailed) as caught:
        async with open_supervisor(supervisor(child(hangs, id="a", start_timeout=3), id="root")):
            raise AssertionError("never ready")
    assert isinstance(caught.value.__cause__, StartTimeout)
    assert trio.current_time() == 3


async def test_B2_start_timeout_of_a_restart_counts_as_a_crash(autojump_clock) -> None:
    log = []

    async def slow_second_start(ctx: Context[str]) -> None:
        if ctx.incarnation == 2:
            await trio.sleep_forever()
        await quiet(ctx)

    tree = supervisor(child(slow_second_start, id="a", start_timeout=3), id="root", backoff=Backoff.none())
    async with open_supervisor(tree, observers=[log.append]) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(10)
        assert sup.tree().children[0].incarnation == 3
    crashes = [event for event in log if isinstance(event, ChildCrashed)]
    assert [event.failure.type.rpartition(".")[2] for event in crashes] == ["ValueError", "StartTimeout"]
    assert crashes[1].at == 3


async def test_B2_a_child_that_is_ready_in_time_is_left_alone(autojump_clock) -> None:
    async def slow(ctx: Context[str]) -> None:
        await trio.sleep(2.9)
        await quiet(ctx)

    async with open_supervisor(supervisor(child(slow, id="a", start_timeout=3), id="root")) as sup:
        await trio.sleep(10)
        assert sup.tree().children[0].incarnation == 1


@pytest.mark.parametrize(("shutdown", "ends_at"), [(0, 0), (2, 2), (math.inf, 7)])
async def test_B3_shutdown_zero_seconds_and_for_ever(shutdown: float, ends_at: float, autojump_clock) -> None:
    async def needs_seven(ctx: Context[str]) -> None:
        ctx.ready()
        await ctx.stopping.wait()
        await trio.sleep(7)

    async with open_supervisor(supervisor(child(needs_seven, id="a", shutdown=shutdown), id="root")):
        pass
    assert trio.current_time() == ends_at


@pytest.mark.shuffled
async def test_B3_no_new_messages_and_the_queued_ones_first() -> None:
    got = []
    dead = []

    async def slow_worker(ctx: Context[str]) -> None:
        async for message in ctx.inbox:
            await trio.sleep(1)
            got.append(message)

    def observe(event) -> None:
        if isinstance(event, DeadLetter):
            dead.append((event.message, event.reason, event.accepted))

    async with open_supervisor(supervisor(child(slow_worker, id="a"), id="root"), observers=[observe]) as sup:
        ref = sup.ref("a")
        for number in range(3):
            ref.tell(number)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sup.stop_child, "a")
            await trio.sleep(0.5)
            assert not ref.tell("too late")
    assert got == [0, 1, 2]
    assert dead == [("too late", "stopping", False)]
    assert trio.current_time() == 3


@pytest.mark.shuffled
async def test_B3_without_drain_the_inbox_ends_at_once(check_books) -> None:
    got = []
    dead = []

    async def slow_worker(ctx: Context[str]) -> None:
        async for message in ctx.inbox:
            await trio.sleep(1)
            got.append(message)

    def observe(event) -> None:
        if isinstance(event, DeadLetter):
            dead.append((event.message, event.reason))

    tree = supervisor(child(slow_worker, id="a", drain=False), id="root")
    async with open_supervisor(tree, observers=[observe]) as sup:
        ref = sup.ref("a")
        for number in range(3):
            ref.tell(number)
        await trio.sleep(0.5)
        await sup.stop_child("a")
    assert got == [0], "the one in hand is finished"
    assert dead == [(1, "stopping"), (2, "stopping")]


async def test_B3_messages_not_handled_by_the_deadline_are_dead_letters(autojump_clock) -> None:
    dead = []

    async def slow_worker(ctx: Context[str]) -> None:
        async for _ in ctx.inbox:
            await trio.sleep(1)

    def observe(event) -> None:
        if isinstance(event, DeadLetter):
            dead.append((event.message, event.reason))

    tree = supervisor(child(slow_worker, id="a", shutdown=1.5), id="root")
    async with open_supervisor(tree, observers=[observe]) as sup:
        for number in range(4):
            sup.ref("a").tell(number)
        await trio.lowlevel.checkpoint()
    assert dead == [(1, "crashed"), (2, "stopping"), (3, "stopping")]


async def test_B4_an_uncooperative_child_is_reported_with_its_stack_and_waited_for(autojump_clock) -> None:
    log = []

    async def deaf_place() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(20)

    async def deaf(ctx: Context[str]) -> None:
        ctx.ready()
        await deaf_place()

    tree = supervisor(child(quiet, id="before"), child(deaf, id="a", shutdown=2), id="root")
    async with open_supervisor(tree, observers=[log.append], stuck_every=5) as sup:
        ref = sup.ref("a")

    stuck = [event for event in log if isinstance(event, ChildStuck)]
    assert [event.at for event in stuck] == [3, 8, 13, 18], "a second after its deadline, then every 5 s"
    assert stuck[0].path == "root/a"
    assert stuck[0].age == 1
    assert "deaf_place" in stuck[0].stack
    assert "test_stage.py" in stuck[0].stack
    assert trio.current_time() == 20, "the tree still ends when it returns"
    assert (await ref.join()).kind == "shutdown", "it returned by itself in the end"


async def test_B4_a_start_that_does_not_listen_is_reported_too(autojump_clock) -> None:
    log = []

    async def deaf(ctx: Context[str]) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(20)

    with pytest.raises(SupervisorFailed):
        async with open_supervisor(
            supervisor(child(deaf, id="a", start_timeout=1), id="root"), observers=[log.append]
        ):
            raise AssertionError("never ready")
    assert [event.at for event in log if isinstance(event, ChildStuck)] == [2, 7, 12, 17]


async def test_a_cooperative_child_is_never_called_stuck(autojump_clock) -> None:
    log = []
    async with open_supervisor(
        supervisor(child(hangs_ready, id="a", shutdown=1), id="root"), observers=[log.append]
    ):
        pass
    assert not [event for event in log if isinstance(event, ChildStuck)]
    assert trio.current_time() == 1


async def hangs_ready(ctx: Context[str]) -> None:
    ctx.ready()
    await trio.sleep_forever()
