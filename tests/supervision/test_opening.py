"""The border of a tree: cancellation and Ctrl-C from outside, what is raised, embedding (rows A15, B5, B6, B9, D12)."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from potrio.supervision import (
    Backoff,
    ChildSpecInvalid,
    ChildStarted,
    ChildStopping,
    Context,
    Limit,
    SupervisorFailed,
    child,
    open_supervisor,
    run_supervisor,
    supervisor,
)


class BodyError(Exception):
    """Raised by the body of the async with."""


async def quiet(ctx: Context[str]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")


async def leaves_after(ctx: Context[str], ended: dict[str, float], seconds: float) -> None:
    ctx.ready()
    try:
        await ctx.stopping.wait()
        await trio.sleep(seconds)
    finally:
        ended[ctx.path[5:]] = trio.current_time()


QUIET = supervisor(child(quiet, id="a"), child(quiet, id="b"), id="root", limit=Limit(0, 1))


# --- B5: cancellation from outside -----------------------------------------------------------------------------------


@pytest.mark.shuffled
async def test_B5_outer_cancellation_keeps_order_and_grace() -> None:
    ended: dict[str, float] = {}
    tree = supervisor(child(leaves_after, ended, 2, id="a"), child(leaves_after, ended, 2, id="b"), id="root")
    with trio.move_on_after(10) as scope:
        async with open_supervisor(tree):
            await trio.sleep_forever()

    assert ended == {"b": 12, "a": 14}
    assert scope.cancelled_caught
    assert trio.current_time() == 14


async def test_B5_deadlines_hold_under_outer_cancellation(autojump_clock) -> None:
    ended: dict[str, float] = {}
    tree = supervisor(child(leaves_after, ended, 100, id="a", shutdown=3), id="root")

    with trio.move_on_after(1):
        async with open_supervisor(tree):
            await trio.sleep_forever()

    assert ended == {"a": 4}


async def test_B5_the_body_is_cancelled_at_once(autojump_clock) -> None:
    body = []
    with trio.move_on_after(1):
        async with open_supervisor(supervisor(child(leaves_after, {}, 5, id="a", shutdown=9), id="root")):
            try:
                await trio.sleep_forever()
            finally:
                body.append(trio.current_time())
    assert body == [1]


async def test_B5_an_error_of_the_body_under_cancellation_replaces_it(autojump_clock) -> None:
    with pytest.raises(BodyError), trio.move_on_after(1):
        async with open_supervisor(QUIET):
            try:
                await trio.sleep_forever()
            finally:
                raise BodyError("in cleanup")


async def test_B5_cancelled_before_it_is_entered(autojump_clock) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        async with open_supervisor(QUIET):
            await trio.sleep_forever()
    assert scope.cancelled_caught


# --- B9: what is raised ----------------------------------------------------------------------------------------------


@pytest.mark.shuffled
async def test_B9_only_the_body_failed() -> None:
    error = BodyError("mine")
    with pytest.raises(BodyError) as caught:
        async with open_supervisor(QUIET):
            raise error
    assert caught.value is error


@pytest.mark.shuffled
async def test_B9_only_the_tree_failed() -> None:
    with pytest.raises(SupervisorFailed) as caught:
        async with open_supervisor(QUIET) as sup:
            sup.ref("a").tell("crash")
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, ValueError)
    assert trio.current_time() == 0


@pytest.mark.shuffled
async def test_B9_both_failed() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_supervisor(QUIET) as sup:
            sup.ref("a").tell("crash")
            try:
                await trio.sleep_forever()
            finally:
                raise BodyError("on the way out")
    assert [type(error) for error in caught.value.exceptions] == [BodyError, SupervisorFailed]


@pytest.mark.shuffled
async def test_B9_a_group_of_the_body_stays_the_group_it_was() -> None:
    group = ExceptionGroup("of the body", [BodyError("mine")])
    with pytest.raises(ExceptionGroup) as caught:
        async with open_supervisor(QUIET):
            raise group
    assert caught.value is group


async def test_B9_a_failure_with_a_nursery_in_the_body_is_bare(autojump_clock) -> None:
    with pytest.raises(SupervisorFailed):
        async with open_supervisor(QUIET) as sup, trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            sup.ref("a").tell("crash")
            await trio.sleep_forever()


async def test_B9_leaving_the_body_normally_raises_nothing(autojump_clock) -> None:
    async with open_supervisor(QUIET):
        pass


async def test_B9_a_return_out_of_the_body_is_fine(autojump_clock) -> None:
    async def inner() -> int:
        async with open_supervisor(QUIET):
            return 7

    assert await inner() == 7


async def test_A4_a_tree_that_ends_normally_leaves_the_body_running(autojump_clock) -> None:
    tree = supervisor(
        child(quiet, id="a", restart="transient", significant=True),
        id="root",
        auto_shutdown="any_significant",
    )
    async with open_supervisor(tree) as sup:
        ref = sup.ref("a")
        await sup.stop_child("a")
        sup.request_stop()
        await sup.join()
        assert not ref.tell("x")
        await trio.sleep(5)
    assert trio.current_time() == 5


async def test_something_else_than_a_supervisor_is_refused(autojump_clock) -> None:
    with pytest.raises(ChildSpecInvalid, match="supervisor"):
        async with open_supervisor(child(quiet, id="a")):
            pass


# --- A15: a supervisor inside an actor -------------------------------------------------------------------------------


async def test_A15_a_supervisor_inside_an_actor_ends_before_the_next_incarnation_starts(
    autojump_clock,
) -> None:
    ended: dict[str, float] = {}
    log = []

    async def parent(ctx: Context[str]) -> None:
        inner = supervisor(
            child(leaves_after, ended, 1, id="x"),
            child(leaves_after, ended, 1, id="y"),
            id=f"in{ctx.incarnation}",
        )
        async with open_supervisor(inner, observers=[log.append]):
            await quiet(ctx)

    tree = supervisor(child(parent, id="p", backoff=Backoff.none()), id="root")
    async with open_supervisor(tree, observers=[log.append]) as sup:
        await trio.sleep(1)
        sup.ref("p").tell("crash")
        await trio.sleep(5)
        assert sup.tree().children[0].incarnation == 2
        starts = [event for event in log if isinstance(event, ChildStarted) and event.path == "root/p"]
        assert starts[1].at == 3, "one second for each of x and y"


async def test_A15_a_killed_actor_still_ends_its_own_tree_in_order(autojump_clock) -> None:
    ended: dict[str, float] = {}

    async def parent(ctx: Context[str]) -> None:
        inner = supervisor(
            child(leaves_after, ended, 1, id="x"), child(leaves_after, ended, 1, id="y"), id="inner"
        )
        async with open_supervisor(inner):
            ctx.ready()
            await trio.sleep_forever()

    async with open_supervisor(supervisor(child(parent, id="p", shutdown=2), id="root")):
        pass
    assert ended == {"/y": 3, "/x": 4}, "the deadline of p at 2, then a second for each"


# --- D12: embedding --------------------------------------------------------------------------------------------------


@pytest.mark.shuffled
async def test_D12_several_at_once_and_one_after_the_other() -> None:
    async def one(number: int) -> None:
        async with open_supervisor(QUIET) as sup:
            assert sup.ref("a").tell("x")
            await trio.sleep(number)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(one, number)
    await one(0)


async def test_D12_run_supervisor_as_a_task(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        sup = await nursery.start(run_supervisor, QUIET)
        assert sup.ref("a").tell("x")
        sup.request_stop()
    assert sup.tree().state == "ended"


def test_D12_in_guest_mode() -> None:
    todo: list[Callable[[], object]] = []
    done = []
    got = []

    async def keep(ctx: Context[str]) -> None:
        async for message in ctx.inbox:
            got.append(message)

    refs = []

    async def main() -> None:
        async with open_supervisor(supervisor(child(keep, id="a"), id="root")) as sup:
            refs.append((sup, sup.ref("a")))
            await trio.sleep(0.02)
            sup.ref("a").tell("from inside")
            await trio.sleep(0.02)

    trio.lowlevel.start_guest_run(main, run_sync_soon_threadsafe=todo.append, done_callback=done.append)
    told = False
    give_up_at = time.monotonic() + 60
    while not done and time.monotonic() < give_up_at:
        if refs and not told:
            told = True
            sup, ref = refs[0]
            assert ref.tell("from the host loop")
            sup.post(ref, "posted")
        if todo:
            todo.pop(0)()
        else:
            time.sleep(0.001)
    assert done
    done[0].unwrap()
    assert sorted(got) == ["from inside", "from the host loop", "posted"]


def test_D12_no_signal_handler_and_no_global_is_left() -> None:
    before = signal.getsignal(signal.SIGINT)

    async def main() -> None:
        async with open_supervisor(QUIET):
            during = signal.getsignal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is during

    trio.run(main)
    assert signal.getsignal(signal.SIGINT) is before


# --- B6: Ctrl-C ------------------------------------------------------------------------------------------------------


def run_with_interrupts(main: Callable[[], Awaitable[None]], interrupts: int = 1) -> float:
    """Run in virtual time and send SIGINT whenever nothing more can happen without it; returns how long it took."""

    async def interrupt() -> None:
        for _ in range(interrupts):
            await trio.testing.wait_all_tasks_blocked()
            os.kill(os.getpid(), signal.SIGINT)

    async def interrupted() -> None:
        trio.lowlevel.spawn_system_task(interrupt)
        try:
            await main()
        finally:
            took.append(trio.current_time())

    took: list[float] = []
    with pytest.raises(KeyboardInterrupt):
        trio.run(interrupted, clock=trio.testing.MockClock(autojump_threshold=0))
    return took[0]


def ended_tree(order: list[str], seconds: float):
    async def slow_end(ctx: Context[str]) -> None:
        ctx.ready()
        try:
            await ctx.stopping.wait()
            await trio.sleep(seconds)
        finally:
            order.append(ctx.path[5:])

    return supervisor(child(slow_end, id="a"), child(slow_end, id="b"), id="root")


def test_B6_one_interrupt_is_an_ordered_stop() -> None:
    order: list[str] = []

    async def main() -> None:
        async with open_supervisor(ended_tree(order, 1)):
            await trio.sleep_forever()

    took = run_with_interrupts(main)
    assert order == ["b", "a"]
    assert took == 2, "both had their time"


def test_B6_the_second_interrupt_cuts_everything() -> None:
    order: list[str] = []

    async def main() -> None:
        async with open_supervisor(ended_tree(order, 4)):
            await trio.sleep_forever()

    took = run_with_interrupts(main, 2)
    assert sorted(order) == ["a", "b"]
    assert took == 0, "cut, not waited for"


def test_B6_an_interrupt_during_the_stop_is_the_first_one() -> None:
    order: list[str] = []

    async def main() -> None:
        async with open_supervisor(ended_tree(order, 0.2)):
            pass

    took = run_with_interrupts(main)
    assert order == ["b", "a"]
    assert took == 0.4, "it changes nothing: both had their time"


def test_B6_an_interrupt_during_start_up() -> None:
    order: list[str] = []

    async def never_ready(ctx: Context[str]) -> None:
        await trio.sleep_forever()

    async def early(ctx: Context[str]) -> None:
        try:
            await quiet(ctx)
        finally:
            order.append("early")

    async def main() -> None:
        tree = supervisor(child(early, id="a"), child(never_ready, id="b", shutdown=0), id="root")
        async with open_supervisor(tree):
            raise AssertionError("never ready")

    run_with_interrupts(main)
    assert order == ["early"]


async def test_B6_an_interrupt_inside_a_child_is_never_restarted(autojump_clock) -> None:
    log = []

    async def interrupted(ctx: Context[str]) -> None:
        ctx.ready()
        await trio.sleep(1)
        raise KeyboardInterrupt

    tree = supervisor(child(interrupted, id="a"), child(quiet, id="b"), id="root", limit=Limit.never())
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_supervisor(tree, observers=[log.append]):
            await trio.sleep_forever()
    assert [type(error) for error in caught.value.exceptions] == [KeyboardInterrupt]
    assert len([event for event in log if isinstance(event, ChildStarted)]) == 2
    assert not [event for event in log if isinstance(event, ChildStopping)]


def test_border_leaves_no_reference_circle() -> None:
    import gc

    async def main() -> None:
        try:
            async with open_supervisor(QUIET) as sup:
                sup.ref("a").tell("crash")
                await trio.sleep_forever()
        except SupervisorFailed:
            pass

    trio.run(functools.partial(main))
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        trio.run(main)
        gc.collect()
        leaked = [thing for thing in gc.garbage if isinstance(thing, SupervisorFailed)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert len(leaked) <= 1
