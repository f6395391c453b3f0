"""What a ref is, asking oneself, circles of waiting, joining, inspection, trio's interface (C15, D7, D8)."""

from __future__ import annotations

import pytest
import trio

from potrio.supervision import (
    ActorDead,
    AskCycle,
    AskTimeout,
    Backoff,
    Call,
    ChildBlocked,
    Context,
    Request,
    bounded,
    child,
    open_supervisor,
    supervisor,
)


class Question(Request[str], frozen=True):
    """Asked in the tests."""


async def quiet(ctx: Context[object]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")


def running(fn=quiet, **values):
    return open_supervisor(
        supervisor(child(fn, **{"id": "a", **values}), id="root", backoff=Backoff(1, 1, "none"))
    )


@pytest.mark.shuffled
async def test_a_ref_is_stable_over_restarts_hashable_and_equal() -> None:
    async with running() as sup:
        ref = sup.ref("a")
        ref.tell("crash")
        await trio.sleep(5)
        assert sup.ref("a") == ref
        assert hash(sup.ref("a")) == hash(ref)
        assert ref.alive
        assert repr(ref) == "<Ref root/a>"
        assert ref != "root/a"
    assert not ref.alive


async def test_C15_asking_oneself_raises_at_once(autojump_clock) -> None:
    faults = []

    async def narcissist(ctx: Context[object]) -> None:
        try:
            await ctx.me.ask(Question(), timeout=None)
        except AskCycle as error:
            faults.append((str(error), trio.current_time()))
        await quiet(ctx)

    async with running(narcissist):
        pass
    assert faults == [("actor root/a asked itself", 0)]


async def test_C15_a_helper_task_of_an_actor_may_ask_it(autojump_clock) -> None:
    answers = []

    async def with_helper(ctx: Context[object]) -> None:
        async def helper() -> None:
            answers.append(await ctx.me.ask(Question()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(helper)
            async for call in ctx.inbox:
                call.reply("answer")

    async with running(with_helper):
        await trio.sleep(1)
    assert answers == ["answer"]


@pytest.mark.shuffled
async def test_C15_a_circle_is_reported_and_seen_in_the_tree() -> None:
    log = []

    async def asks_the_other(ctx: Context[object], other: str) -> None:
        async for _ in ctx.inbox:
            with pytest.raises(AskTimeout):
                await ctx.lookup(other).ask(Question(), timeout=5)

    tree = supervisor(
        child(asks_the_other, "b", id="a"),
        child(asks_the_other, "a", id="b"),
        child(quiet, id="c"),
        id="root",
    )
    async with open_supervisor(tree, observers=[log.append]) as sup:
        sup.ref("a").tell("go")
        await trio.sleep(1)
        sup.ref("b").tell("go")
        await trio.sleep(1)
        assert [node.waiting_on for node in sup.tree().children] == ["root/b", "root/a", ""]
        await trio.sleep(10)
        assert [node.waiting_on for node in sup.tree().children][2] == ""
    (blocked,) = [event for event in log if isinstance(event, ChildBlocked)][:1]
    assert sorted(blocked.cycle) == ["root/a", "root/b"]


async def test_C15_a_chain_is_no_circle(autojump_clock) -> None:
    log = []

    async def forwards(ctx: Context[object], to: str) -> None:
        async for call in ctx.inbox:
            call.reply(await ctx.lookup(to).ask(Question()) if to else "end of the chain")

    tree = supervisor(
        child(forwards, "", id="c"), child(forwards, "c", id="b"), child(forwards, "b", id="a"), id="root"
    )
    async with open_supervisor(tree, observers=[log.append]) as sup:
        assert await sup.ref("a").ask(Question()) == "end of the chain"
    assert not [event for event in log if isinstance(event, ChildBlocked)]


@pytest.mark.shuffled
async def test_join_waits_for_the_end_for_good() -> None:
    async def fragile(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if message == "crash":
                raise ValueError("boom")
            return

    async with running(fragile, restart="transient") as sup:
        ref = sup.ref("a")
        ref.tell("crash")
        with trio.move_on_after(3):
            await ref.join()
            raise AssertionError("a crash is not the end")
        ref.tell("return")
        assert (await ref.join()).kind == "normal"
        assert (await ref.join()).kind == "normal", "also afterwards"


@pytest.mark.shuffled
async def test_wait_ready() -> None:
    async with running() as sup:
        ref = sup.ref("a")
        await ref.wait_ready()
        ref.tell("crash")
        await trio.sleep(0.5)
        await ref.wait_ready()
        assert trio.current_time() == 1
        await sup.stop_child("a")
        with pytest.raises(ActorDead):
            await ref.wait_ready()


async def test_wait_ready_of_one_that_ends_meanwhile(autojump_clock) -> None:
    async with running(backoff=Backoff(100, 100, "none")) as sup, trio.open_nursery() as nursery:
        ref = sup.ref("a")
        ref.tell("crash")
        await trio.sleep(1)

        async def wait() -> None:
            with pytest.raises(ActorDead):
                await ref.wait_ready()

        nursery.start_soon(wait)
        await trio.sleep(1)
        await sup.stop_child("a")
    assert trio.current_time() == 2


async def test_D7_inspect_calls_what_the_actor_exposed(autojump_clock) -> None:
    async def exposes(ctx: Context[object]) -> None:
        seen = []
        ctx.expose(lambda: list(seen))
        async for message in ctx.inbox:
            if message == "crash":
                raise ValueError("boom")
            seen.append(message)

    async with running(exposes) as sup:
        ref = sup.ref("a")
        ref.tell(1)
        await trio.sleep(0.1)
        assert ref.inspect() == [1]
        ref.tell("crash")
        await trio.sleep(2)
        assert ref.inspect() == [], "of the new incarnation"
    async with running() as sup:
        with pytest.raises(LookupError, match="root/a"):
            sup.ref("a").inspect()


async def test_channel_is_trios_interface(autojump_clock) -> None:
    got = []

    async def keep(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            got.append(message)

    async with running(keep, mailbox=bounded(1)) as sup:
        async with sup.ref("a").channel() as channel:
            with trio.testing.assert_checkpoints():
                await channel.send("x")
            await channel.send("y")
        with pytest.raises(trio.ClosedResourceError):
            await channel.send("z")
        second = sup.ref("a").channel()
        await trio.sleep(1)
        await sup.stop_child("a")
        with pytest.raises(trio.BrokenResourceError):
            await second.send("z")
    assert got == ["x", "y"]


async def test_asks_of_the_dying_do_not_hang_the_stop(autojump_clock) -> None:
    async def asks_while_stopping(ctx: Context[object]) -> None:
        ctx.ready()
        await ctx.stopping.wait()
        with pytest.raises(ActorDead):
            await ctx.lookup("late").ask(Question(), timeout=None)

    tree = supervisor(child(asks_while_stopping, id="a"), child(quiet, id="late"), id="root")
    async with open_supervisor(tree):
        pass
    assert trio.current_time() == 0


def test_a_call_is_matched_by_its_request() -> None:
    assert Call.__match_args__ == ("msg",)
