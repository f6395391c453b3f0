"""One incarnation: its task, its name, its context variables, its end."""

from __future__ import annotations

import contextvars

import pytest
import trio

from potrio.supervision import Backoff, Context, child, open_supervisor, supervisor

TRACE = contextvars.ContextVar("trace", default="none")


async def quiet(ctx: Context[object]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")


async def test_a_task_is_named_after_its_path_and_incarnation(autojump_clock) -> None:
    names = []

    async def named(ctx: Context[object]) -> None:
        names.append(trio.lowlevel.current_task().name)
        await quiet(ctx)

    tree = supervisor(child(named, id="a"), id="root", backoff=Backoff.none())
    async with open_supervisor(tree) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
    assert names == ["root/a#1", "root/a#2"]


@pytest.mark.shuffled
async def test_context_variables_do_not_leak_from_whoever_asked_for_the_start() -> None:
    seen = []

    async def looks(ctx: Context[object]) -> None:
        seen.append(TRACE.get())
        TRACE.set("set by the actor")
        await quiet(ctx)

    async with open_supervisor(supervisor(id="root", backoff=Backoff.none())) as sup:
        TRACE.set("set by the caller")
        await sup.start_child(child(looks, id="a"))
        sup.ref("a").tell("crash")
        await trio.sleep(1)
    assert seen == ["none", "none"]


@pytest.mark.shuffled
async def test_A7_the_next_incarnation_starts_after_the_old_task_has_ended() -> None:
    alive = []
    overlap = []

    async def exclusive(ctx: Context[object]) -> None:
        overlap.append(len(alive))
        alive.append(ctx.incarnation)
        try:
            await quiet(ctx)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            alive.remove(ctx.incarnation)

    async with open_supervisor(
        supervisor(child(exclusive, id="a"), id="root", backoff=Backoff.none())
    ) as sup:
        for _ in range(3):
            sup.ref("a").tell("crash")
            await sup.restart_child("a")
    assert set(overlap) == {0}


async def test_helper_tasks_of_an_actor_end_with_it(autojump_clock) -> None:
    ended = []

    async def with_helper(ctx: Context[object]) -> None:
        async def helper() -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append(ctx.incarnation)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(helper)
            await quiet(ctx)
            nursery.cancel_scope.cancel()

    async with open_supervisor(
        supervisor(child(with_helper, id="a"), id="root", backoff=Backoff.none())
    ) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
    assert ended == [1, 2]
