"""Groups of children on their way down and up: order, one after the other, merged groups."""

from __future__ import annotations

import pytest
import trio

from potrio.supervision import (
    Backoff,
    ChildReady,
    ChildStarted,
    ChildStopping,
    Context,
    Limit,
    SupervisorFailed,
    child,
    open_supervisor,
    supervisor,
)

NOW = Backoff.none()


async def quiet(ctx: Context[str]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")


async def test_B1_a_child_is_not_called_before_the_one_before_is_ready(autojump_clock) -> None:
    called = []

    async def slow(ctx: Context[str], seconds: float) -> None:
        called.append((ctx.path[5:], trio.current_time()))
        await trio.sleep(seconds)
        await quiet(ctx)

    tree = supervisor(child(slow, 1, id="a"), child(slow, 2, id="b"), child(slow, 3, id="c"), id="root")
    async with open_supervisor(tree) as sup:
        assert trio.current_time() == 6, "ready when the whole tree is ready"
        assert {node.state for node in sup.tree().children} == {"running"}
    assert called == [("a", 0), ("b", 1), ("c", 3)]


@pytest.mark.shuffled
async def test_B1_ready_although_the_mailbox_never_runs_dry() -> None:
    async def self_telling(ctx: Context[int]) -> None:
        ctx.me.tell(0)
        async for number in ctx.inbox:
            if number < 200:
                ctx.me.tell(number + 1)

    async with open_supervisor(
        supervisor(child(self_telling, id="a"), child(quiet, id="b"), id="root")
    ) as sup:
        assert sup.tree().children[1].state == "running"


@pytest.mark.shuffled
async def test_B1_ready_then_crash_in_one_step_is_no_failed_start() -> None:
    async def ready_then_crash(ctx: Context[str]) -> None:
        ctx.ready()
        if ctx.incarnation < 3:
            raise ValueError("boom")
        await quiet(ctx)

    tree = supervisor(child(ready_then_crash, id="a"), child(quiet, id="b"), id="root", backoff=NOW)
    async with open_supervisor(tree) as sup:
        await trio.sleep(1)
        assert [node.incarnation for node in sup.tree().children] == [3, 1]


@pytest.mark.shuffled
async def test_B2_a_failed_first_start_unwinds_the_earlier_ones_in_reverse(steps) -> None:
    log = []

    async def fails(ctx: Context[str]) -> None:
        raise ValueError("cannot start")

    tree = supervisor(
        child(quiet, id="a"),
        child(quiet, id="b"),
        child(fails, id="c"),
        child(quiet, id="d"),
        id="root",
        limit=Limit(99, 1),
    )
    with pytest.raises(SupervisorFailed, match="c did not start") as caught:
        async with open_supervisor(tree, observers=[log.append]):
            raise AssertionError("the body must not run")

    assert isinstance(caught.value.__cause__, ValueError)
    assert steps(log, ChildStarted) == ["ChildStarted a 1", "ChildStarted b 1", "ChildStarted c 1"], (
        "no second try"
    )
    assert steps(log, ChildStopping) == ["ChildStopping b 1", "ChildStopping a 1"]


@pytest.mark.shuffled
async def test_B2_a_failed_first_start_deep_down_fails_the_whole() -> None:
    async def fails(ctx: Context[str]) -> None:
        raise ValueError("cannot start")

    tree = supervisor(
        supervisor(child(fails, id="a"), id="mid", limit=Limit(99, 1)), id="root", limit=Limit(99, 1)
    )
    with pytest.raises(SupervisorFailed, match="mid did not start") as caught:
        async with open_supervisor(tree):
            raise AssertionError("the body must not run")
    assert str(caught.value.__cause__.__cause__) == "cannot start"


async def test_B2_a_failed_start_at_a_restart_is_one_more_attempt(autojump_clock) -> None:
    starts = []

    async def fails_twice(ctx: Context[str]) -> None:
        starts.append(trio.current_time())
        if ctx.incarnation in (2, 3):
            raise ValueError("not yet")
        await quiet(ctx)

    backoff = Backoff(base=1, cap=8, jitter="none")
    async with open_supervisor(supervisor(child(fails_twice, id="a"), id="root", backoff=backoff)) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(10)
        assert sup.tree().children[0].state == "running"
    assert starts == [0, 1, 3, 7]


async def test_B3_stop_is_in_reverse_order_one_after_the_other_with_deadlines(autojump_clock) -> None:
    ended = {}

    async def leaves_after(ctx: Context[str], seconds: float) -> None:
        ctx.ready()
        try:
            await ctx.stopping.wait()
            await trio.sleep(seconds)
        finally:
            ended[ctx.path[5:]] = trio.current_time()

    tree = supervisor(
        child(leaves_after, 1, id="a", shutdown=5),
        child(leaves_after, 10, id="b", shutdown=3),
        child(leaves_after, 2, id="c", shutdown=5),
        id="root",
    )
    async with open_supervisor(tree) as sup:
        refs = [sup.ref(id) for id in "abc"]
    assert ended == {"c": 2, "b": 5, "a": 6}
    assert [(await ref.join()).kind for ref in refs] == ["shutdown", "killed", "shutdown"]


async def test_A10_a_crash_of_an_earlier_sibling_enlarges_a_waiting_group(autojump_clock, steps) -> None:
    log = []
    tree = supervisor(
        child(quiet, id="a"),
        child(quiet, id="b", backoff=Backoff(base=2, jitter="none")),
        child(quiet, id="c", backoff=Backoff(base=10, jitter="none")),
        child(quiet, id="d"),
        id="root",
        strategy="rest_for_one",
    )
    async with open_supervisor(tree, observers=[log.append]) as sup:
        log.clear()
        sup.ref("c").tell("crash")
        await trio.sleep(1)
        sup.ref("b").tell("crash")
        await trio.sleep(8.5)
        assert [node.state for node in sup.tree().children] == ["running", "backoff", "backoff", "backoff"]
        await trio.sleep(1)
        assert [node.incarnation for node in sup.tree().children] == [1, 2, 2, 2]

    starts = [event for event in log if isinstance(event, ChildStarted)]
    assert steps(starts) == ["ChildStarted b 2", "ChildStarted c 2", "ChildStarted d 2"]
    assert {event.at for event in starts} == {10.0}, "once, at the latest of the due times"


async def test_A10_an_earlier_due_time_does_not_start_the_group_early(autojump_clock) -> None:
    tree = supervisor(
        child(quiet, id="a", backoff=Backoff(base=1, jitter="none")),
        child(quiet, id="b", backoff=Backoff(base=20, jitter="none")),
        id="root",
        strategy="rest_for_one",
    )
    async with open_supervisor(tree) as sup:
        sup.ref("b").tell("crash")
        await trio.sleep(1)
        sup.ref("a").tell("crash")
        await trio.sleep(10)
        assert [node.state for node in sup.tree().children] == ["backoff", "backoff"]
        await trio.sleep(9.5)
        assert [node.state for node in sup.tree().children] == ["running", "running"]


async def test_A5_a_crash_while_its_group_starts_restarts_the_rest_of_it(autojump_clock, steps) -> None:
    log = []

    async def fails_once_later(ctx: Context[str]) -> None:
        await trio.sleep(1)
        if ctx.incarnation == 2:
            raise ValueError("in the middle of the group's start")
        await quiet(ctx)

    tree = supervisor(
        child(quiet, id="a"),
        child(fails_once_later, id="b"),
        child(quiet, id="c"),
        id="root",
        strategy="one_for_all",
        backoff=NOW,
    )
    async with open_supervisor(tree, observers=[log.append]) as sup:
        log.clear()
        sup.ref("c").tell("crash")
        await trio.sleep(5)
        assert [node.state for node in sup.tree().children] == ["running"] * 3
    assert steps(log, ChildStarted)[:5] == [
        "ChildStarted a 2",
        "ChildStarted b 2",
        "ChildStarted a 3",
        "ChildStarted b 3",
        "ChildStarted c 2",
    ]


@pytest.mark.shuffled
async def test_A6_dynamic_children_stop_together(steps) -> None:
    log = []

    async def slow_end(ctx: Context[str], seconds: float) -> None:
        ctx.ready()
        await ctx.stopping.wait()
        await trio.sleep(seconds)

    async with open_supervisor(supervisor(child(quiet, id="a"), id="root"), observers=[log.append]) as sup:
        for number, seconds in enumerate((1, 3, 2)):
            await sup.start_child(child(slow_end, seconds, id=f"d{number}"))
    assert trio.current_time() == 3, "the largest of their times, not the sum"
    assert steps(log, ChildStopping)[-1] == "ChildStopping a 1", "the others after them"


@pytest.mark.shuffled
async def test_D11_the_whole_start_is_in_order_whatever_the_schedule(steps) -> None:
    log = []
    tree = supervisor(
        supervisor(child(quiet, id="a"), child(quiet, id="b"), id="x"),
        supervisor(child(quiet, id="c"), id="y"),
        id="root",
    )
    async with open_supervisor(tree, observers=[log.append]):
        pass
    assert steps(log, ChildReady) == [f"ChildReady {id} 1" for id in ("a", "b", "x", "c", "y", "root")]
    assert steps(log, ChildStopping) == [f"ChildStopping {id} 1" for id in ("y", "c", "x", "b", "a")]
