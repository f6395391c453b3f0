"""The handle of a running supervisor: dynamic children, manual operations, names, events, threads (A6, A7, C18, D3)."""

from __future__ import annotations

import pytest
import trio

from potrio.supervision import (
    Backoff,
    ChildNotFound,
    ChildStarted,
    ChildStartFailed,
    Context,
    DuplicateChild,
    Key,
    Limit,
    RestartScheduled,
    SupervisorStopping,
    TooManyChildren,
    Traced,
    child,
    open_supervisor,
    supervisor,
)

LONG = Backoff(base=1000, cap=1000, jitter="none")
NAME = Key[str]("name")


async def quiet(ctx: Context[str]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")


def root(*children, **values):
    return supervisor(*children, id="root", **values)


def states(sup) -> dict[str, str]:
    return {node.path.rpartition("/")[2]: node.state for node in sup.tree().children}


# --- A6: dynamic children --------------------------------------------------------------------------------------------


@pytest.mark.shuffled
async def test_A6_start_child_returns_the_ref_when_ready() -> None:
    async def slow(ctx: Context[str]) -> None:
        await trio.sleep(3)
        await quiet(ctx)

    async with open_supervisor(root()) as sup:
        ref = await sup.start_child(child(slow, id="a"))
        assert trio.current_time() == 3
        assert ref == sup.ref("a")
        assert ref.tell("x")


@pytest.mark.shuffled
async def test_A6_a_failed_start_is_raised_and_harms_no_sibling() -> None:
    async def fails(ctx: Context[str]) -> None:
        raise ValueError("cannot start")

    async with open_supervisor(root(child(quiet, id="a"), strategy="one_for_all")) as sup:
        with pytest.raises(ChildStartFailed, match="cannot start") as caught:
            await sup.start_child(child(fails, id="b"))
        assert isinstance(caught.value.__cause__, ValueError)
        assert states(sup) == {"a": "running"}
        assert sup.tree().children[0].incarnation == 1
        await sup.start_child(child(quiet, id="b"))  # its name is free again


async def test_A6_one_too_many_is_refused_and_children_in_backoff_count(autojump_clock) -> None:
    async with open_supervisor(root(max_children=2, backoff=LONG)) as sup:
        ref = await sup.start_child(child(quiet, id="a"))
        await sup.start_child(child(quiet, id="b"))
        ref.tell("crash")
        await trio.sleep(1)
        assert states(sup)["a"] == "backoff"
        with pytest.raises(TooManyChildren):
            await sup.start_child(child(quiet, id="c"))
        await sup.stop_child("a")
        await sup.start_child(child(quiet, id="c"))


async def test_A6_a_taken_id_or_key_is_refused(autojump_clock) -> None:
    async with open_supervisor(root(child(quiet, id=NAME), supervisor(id="sub"))) as sup:
        with pytest.raises(DuplicateChild):
            await sup.start_child(child(quiet, id="name"))
        with pytest.raises(DuplicateChild):
            await sup.supervisor("sub").start_child(child(quiet, id=NAME))
        assert sup.supervisor("sub").tree().children == ()


@pytest.mark.shuffled
async def test_A6_cancelling_start_child_takes_it_out_again() -> None:
    async def hangs(ctx: Context[str]) -> None:
        await trio.sleep_forever()

    async with open_supervisor(root()) as sup:
        with trio.move_on_after(1):
            await sup.start_child(child(hangs, id="a", shutdown=0))
        await trio.sleep(1)
        assert states(sup) == {}


async def test_A6_many_may_be_started_at_once(autojump_clock) -> None:
    async def slow(ctx: Context[str]) -> None:
        await trio.sleep(3)
        await quiet(ctx)

    async with open_supervisor(root()) as sup:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(sup.start_child, child(slow, id=str(number)))
        assert trio.current_time() == 3
        assert len(states(sup)) == 10


async def test_a_stopping_supervisor_takes_no_children(autojump_clock) -> None:
    async with open_supervisor(root()) as sup:
        sup.request_stop()
        with pytest.raises(SupervisorStopping):
            await sup.start_child(child(quiet, id="a"))


# --- A7: manual operations -------------------------------------------------------------------------------------------


@pytest.mark.shuffled
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_A7_stop_child_is_never_answered_by_a_restart(restart: str) -> None:
    log = []
    async with open_supervisor(root(child(quiet, id="a", restart=restart)), observers=[log.append]) as sup:
        ref = sup.ref("a")
        await sup.stop_child("a")
        assert not ref.alive
        await trio.sleep(100)
        assert states(sup) == {}
    assert len([event for event in log if isinstance(event, ChildStarted)]) == 1


async def test_A7_both_finish_only_when_the_old_task_has_exited(autojump_clock) -> None:
    async def slow_end(ctx: Context[str]) -> None:
        ctx.ready()
        await ctx.stopping.wait()
        await trio.sleep(2)

    async with open_supervisor(root(child(slow_end, id="a"))) as sup:
        await sup.restart_child("a")
        assert trio.current_time() == 2
        assert sup.tree().children[0].incarnation == 2
        await sup.stop_child("a")
        assert trio.current_time() == 4


async def test_A7_restart_child_uses_up_no_intensity(autojump_clock) -> None:
    async with open_supervisor(root(child(quiet, id="a"), limit=Limit(0, 1))) as sup:
        for _ in range(5):
            await sup.restart_child("a")
        assert sup.tree().children[0].incarnation == 6


async def test_A7_both_work_in_backoff(autojump_clock) -> None:
    async with open_supervisor(root(child(quiet, id="a"), child(quiet, id="b"), backoff=LONG)) as sup:
        sup.ref("a").tell("crash")
        sup.ref("b").tell("crash")
        await trio.sleep(1)
        assert states(sup) == {"a": "backoff", "b": "backoff"}
        await sup.restart_child("a")
        await sup.stop_child("b")
        assert trio.current_time() == 1
        assert states(sup) == {"a": "running"}


@pytest.mark.shuffled
async def test_A7_a_crash_that_meets_stop_child_is_not_restarted() -> None:
    async with open_supervisor(root(child(quiet, id="a"), backoff=Backoff.none())) as sup:
        ref = sup.ref("a")
        ref.tell("crash")
        await sup.stop_child("a")
        await trio.sleep(10)
        assert states(sup) == {}


async def test_A7_restart_child_tells_of_a_failed_start(autojump_clock) -> None:
    async def fails_second(ctx: Context[str]) -> None:
        if ctx.incarnation == 2:
            raise ValueError("not now")
        await quiet(ctx)

    async with open_supervisor(
        root(child(fails_second, id="a"), backoff=Backoff(base=1, jitter="none"))
    ) as sup:
        with pytest.raises(ChildStartFailed, match="not now"):
            await sup.restart_child("a")
        await trio.sleep(2)
        assert sup.tree().children[0].incarnation == 3


async def test_A7_unknown_children(autojump_clock) -> None:
    async with open_supervisor(root(child(quiet, id="a"))) as sup:
        for operation in (sup.stop_child, sup.restart_child):
            with pytest.raises(ChildNotFound):
                await operation("nobody")
            with pytest.raises(ChildNotFound):
                await operation(Key("a"))


async def test_A7_stop_child_while_it_is_being_restarted_with_its_group(autojump_clock) -> None:
    async def slow_end(ctx: Context[str]) -> None:
        ctx.ready()
        await ctx.stopping.wait()
        await trio.sleep(2)

    tree = root(child(quiet, id="a"), child(slow_end, id="b"), strategy="one_for_all", backoff=Backoff.none())
    async with open_supervisor(tree) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
        await sup.stop_child("b")
        await trio.sleep(5)
        assert states(sup) == {"a": "running"}


# --- D3: names -------------------------------------------------------------------------------------------------------


async def test_D3_paths_and_keys(autojump_clock) -> None:
    tree = root(supervisor(child(quiet, id=NAME), child(quiet, id="b"), id="link"), child(quiet, id="c"))
    async with open_supervisor(tree) as sup:
        link = sup.supervisor("link")
        assert sup.ref(NAME).path == "root/link/name"
        assert sup.ref("link/name") == sup.ref(NAME) == sup.ref("root/link/name") == link.ref("name")
        assert link.ref("c") == sup.ref("c"), "further up"
        for name in ("b", "link/nobody", "root/nobody", Key("nobody"), "link/b/c"):
            with pytest.raises(ChildNotFound):
                sup.ref(name)
        with pytest.raises(ChildNotFound):
            sup.supervisor("c")


@pytest.mark.shuffled
async def test_D3_a_name_is_free_before_the_exit_is_reported() -> None:
    taken = []

    async with open_supervisor(root()) as sup:
        for _ in range(3):
            ref = await sup.start_child(child(quiet, id=NAME, restart="temporary"))
            async with trio.open_nursery() as nursery:

                async def reuse(ref=ref) -> None:
                    await ref.join()
                    taken.append(await sup.start_child(child(quiet, id=NAME, restart="temporary")))

                nursery.start_soon(reuse)
                await sup.stop_child(NAME)
            await sup.stop_child(NAME)
    assert len(set(taken)) == 3


# --- events, trace, threads ------------------------------------------------------------------------------------------


async def test_events_as_a_stream(autojump_clock) -> None:
    async with open_supervisor(root(child(quiet, id="a"))) as sup, sup.events() as events:
        sup.ref("a").tell("crash")
        while not isinstance(event := await events.receive(), RestartScheduled):
            pass
        assert event.path == "root/a"


async def test_events_of_a_slow_reader_are_bounded(autojump_clock) -> None:
    async with open_supervisor(root(child(quiet, id="a"))) as sup, sup.events(size=2) as events:
        for _ in range(5):
            await sup.restart_child("a")
        assert events.statistics().current_buffer_used == 2


async def test_observe_until_told_otherwise(autojump_clock) -> None:
    log = []
    async with open_supervisor(root(child(quiet, id="a"))) as sup:
        end = sup.observe(log.append)
        await sup.restart_child("a")
        seen = len(log)
        end()
        await sup.restart_child("a")
        assert 0 < len(log) == seen


@pytest.mark.shuffled
async def test_D8_trace_sees_every_accepted_and_finished_message() -> None:
    steps: list[Traced] = []
    async with open_supervisor(root(child(quiet, id="a"))) as sup:
        ref = sup.ref("a")
        ref.tell("before")
        await trio.sleep(1)
        sup.trace(ref, steps.append)
        ref.tell("one")
        await ref.send("two")
        await trio.sleep(1)
        sup.trace(ref, None)
        ref.tell("after")
        await trio.sleep(1)
    assert sorted((step.step, step.message) for step in steps) == [
        ("accepted", "one"),
        ("accepted", "two"),
        ("finished", "one"),
        ("finished", "two"),
    ]


async def test_C18_post_is_the_way_in_from_a_thread() -> None:
    got = []
    wanted = trio.Event()

    async def keep(ctx: Context[str]) -> None:
        async for message in ctx.inbox:
            got.append(message)
            wanted.set()

    async with open_supervisor(root(child(keep, id="a"))) as sup:
        ref = sup.ref("a")

        def in_a_thread() -> None:
            with pytest.raises(RuntimeError, match="post"):
                ref.tell("straight")
            sup.post(ref, "posted")

        await trio.to_thread.run_sync(in_a_thread)
        with trio.fail_after(60):
            await wanted.wait()
    assert got == ["posted"]
