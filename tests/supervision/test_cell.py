"""The logical actor: what outlives incarnations, and that nothing else does."""

from __future__ import annotations

import pytest
import trio

from potrio.supervision import (
    ActorEnded,
    Backoff,
    ChildReady,
    ChildStarted,
    Context,
    Key,
    Limit,
    child,
    open_supervisor,
    supervisor,
)

NAME = Key[str]("name")


async def quiet(ctx: Context[str]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")


@pytest.mark.shuffled
async def test_one_end_for_good_per_actor_and_none_per_incarnation() -> None:
    log = []
    tree = supervisor(child(quiet, id="a"), id="root", limit=Limit.never(), backoff=Backoff.none())
    async with open_supervisor(tree, observers=[log.append]) as sup:
        for _ in range(3):
            sup.ref("a").tell("crash")
        await trio.sleep(1)
    assert [event.path for event in log if isinstance(event, ActorEnded)] == ["root/a", "root"]
    assert len([event for event in log if isinstance(event, ChildStarted)]) == 4


@pytest.mark.shuffled
async def test_B1_ready_is_a_latch() -> None:
    log = []

    async def eager(ctx: Context[str]) -> None:
        for _ in range(3):
            ctx.ready()
        await quiet(ctx)

    async with open_supervisor(supervisor(child(eager, id="a"), id="root"), observers=[log.append]):
        await trio.sleep(1)
    assert len([event for event in log if isinstance(event, ChildReady)]) == 2


@pytest.mark.shuffled
async def test_D3_the_key_is_free_when_watchers_hear_of_the_end() -> None:
    free = []

    async def watcher(ctx: Context[object]) -> None:
        ctx.watch(ctx.lookup(NAME), lambda down: down)
        async for _ in ctx.inbox:
            free.append(NAME not in ctx._cell.runtime.names)

    async with open_supervisor(supervisor(child(quiet, id=NAME), child(watcher, id="w"), id="root")) as sup:
        await sup.stop_child(NAME)
        await trio.sleep(1)
    assert free == [True]


@pytest.mark.shuffled
async def test_A2_stopping_is_told_to_an_actor_that_asks_late() -> None:
    seen = []

    async def late(ctx: Context[str]) -> None:
        ctx.ready()
        await trio.sleep(5)
        seen.append(ctx.stopping.is_set())

    async with open_supervisor(supervisor(child(late, id="a", shutdown=9), id="root")) as sup:
        await trio.sleep(1)
        sup.request_stop()
    assert seen == [True]


async def test_the_repr_says_what_it_is(autojump_clock) -> None:
    async with open_supervisor(supervisor(child(quiet, id="a"), id="root")) as sup:
        assert repr(sup._engine.table.get("a").cell) == "<actor root/a #1 running>"
        assert repr(sup) == "<Supervisor root>"
