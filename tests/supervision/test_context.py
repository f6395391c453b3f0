"""What an actor's function gets: timers, watches, names, the snapshot (rows D1, D2, D5, D6)."""

from __future__ import annotations

import pytest
import trio

from potrio.supervision import (
    Backoff,
    ChildCrashed,
    ChildNotFound,
    Context,
    Down,
    Key,
    Limit,
    SnapshotDropped,
    bounded,
    child,
    open_supervisor,
    supervisor,
)

SECOND = Backoff(base=1, cap=1, jitter="none")
OTHER = Key[str]("other")


async def quiet(ctx: Context[object]) -> None:
    async for message in ctx.inbox:
        if message == "crash":
            raise ValueError("boom")
        if message == "return":
            return


def running(*children, log=None, **values):
    tree = supervisor(*children, **{"id": "root", "backoff": SECOND, "limit": Limit.never(), **values})
    return open_supervisor(tree, observers=[log.append] if log is not None else [])


# --- D6: timers ------------------------------------------------------------------------------------------------------


async def test_D6_after_fires_once(autojump_clock) -> None:
    got = []

    async def timed(ctx: Context[str]) -> None:
        timer = ctx.after(3, "now")
        assert timer.active
        async for message in ctx.inbox:
            got.append((message, trio.current_time()))
            assert not timer.active

    async with running(child(timed, id="a")):
        await trio.sleep(10)
    assert got == [("now", 3)]


async def test_D6_every_is_free_of_drift(autojump_clock) -> None:
    got = []

    async def timed(ctx: Context[str]) -> None:
        ctx.every(1, "tick")
        async for _ in ctx.inbox:
            got.append(trio.current_time())
            await trio.sleep(0.3)

    async with running(child(timed, id="a", shutdown=0)):
        await trio.sleep(5.5)
    assert got == [1, 2, 3, 4, 5]


async def test_D6_a_tick_that_comes_late_does_not_shift_the_next(autojump_clock) -> None:
    got = []

    async def timed(ctx: Context[str]) -> None:
        ctx.every(1, "tick")
        async for _ in ctx.inbox:
            got.append(trio.current_time())
            if len(got) == 1:
                autojump_clock.jump(1.25)  # a handler that computes until 2.25, while 2 is due

    async with running(child(timed, id="a", shutdown=0)):
        await trio.sleep(4.5)
    assert got == [1, 2.25, 3, 4]


async def test_D6_every_never_queues_a_second_copy(autojump_clock) -> None:
    got = []

    async def timed(ctx: Context[str]) -> None:
        ctx.every(1, "tick")
        async for _ in ctx.inbox:
            got.append(trio.current_time())
            await trio.sleep(3.5 if len(got) == 1 else 0)

    async with running(child(timed, id="a", shutdown=0)):
        await trio.sleep(6.5)
    assert got == [1, 4.5, 5, 6], "one for 2, 3 and 4 together"


async def test_D6_the_same_key_replaces(autojump_clock) -> None:
    got = []

    async def timed(ctx: Context[str]) -> None:
        ctx.after(1, "first", key="k")
        ctx.after(2, "second", key="k")
        ctx.after(1, "independent")
        ctx.after(1, "independent too")
        async for message in ctx.inbox:
            got.append((message, trio.current_time()))

    async with running(child(timed, id="a")):
        await trio.sleep(5)
    assert got == [("independent", 1), ("independent too", 1), ("second", 2)]


async def test_D6_cancel(autojump_clock) -> None:
    got = []

    async def timed(ctx: Context[str]) -> None:
        timer = ctx.every(1, "tick")
        async for message in ctx.inbox:
            got.append(message)
            if len(got) == 2:
                timer.cancel()
                timer.cancel()

    async with running(child(timed, id="a")):
        await trio.sleep(10)
    assert got == ["tick", "tick"]


@pytest.mark.shuffled
async def test_D6_none_fires_after_the_exit_of_its_incarnation(check_books) -> None:
    got = []

    async def timed(ctx: Context[object]) -> None:
        if ctx.incarnation == 1:
            ctx.every(2, "stale tick")
            ctx.after(2.5, "stale")
        async for message in ctx.inbox:
            got.append((ctx.incarnation, message))
            if message == "crash":
                raise ValueError("boom")

    async with running(child(timed, id="a")) as sup:
        await trio.sleep(2.2)
        sup.ref("a").tell("crash")
        await trio.sleep(20)
        check_books(sup.tree())
        assert len(sup._engine.runtime.timers) == 0
    assert got == [(1, "stale tick"), (1, "crash")]


async def test_D6_an_unread_timer_message_goes_with_its_incarnation(autojump_clock, check_books) -> None:
    got = []

    async def timed(ctx: Context[object]) -> None:
        if ctx.incarnation == 1:
            ctx.after(1, "stale")
        async for message in ctx.inbox:
            got.append((ctx.incarnation, message))
            if message == "slow crash":
                await trio.sleep(2)
                raise ValueError("boom")

    async with running(child(timed, id="a")) as sup:
        sup.ref("a").tell("slow crash")
        await trio.sleep(10)
        check_books(sup.tree())
        assert sup.tree().children[0].mailbox.reasons == {"crashed": 1, "expired": 1}
    assert got == [(1, "slow crash")]


async def test_D6_on_the_data_lane_a_timer_is_a_tell(autojump_clock) -> None:
    got = []

    async def timed(ctx: Context[str]) -> None:
        ctx.every(1, "tick", control=False)
        await trio.sleep(3.5)
        async for message in ctx.inbox:
            got.append(message)

    async with running(child(timed, id="a", mailbox=bounded(2))):
        await trio.sleep(0.2)
    assert got == ["tick", "tick"], "and a full mailbox refuses it"


@pytest.mark.parametrize("period", [0, -1, float("nan")])
async def test_D6_a_period_must_be_positive(period: float, autojump_clock) -> None:
    faults = []

    async def timed(ctx: Context[str]) -> None:
        with pytest.raises(ValueError, match="period"):
            ctx.every(period, "tick")
        faults.append(period)
        await quiet(ctx)

    async with running(child(timed, id="a")):
        pass
    assert len(faults) == 1


# --- D1, D2: watching ------------------------------------------------------------------------------------------------


async def watcher(ctx: Context[object], got: list[object], name: str, restarts: bool = False) -> None:
    ctx.watch(ctx.lookup(name), lambda down: down, restarts=restarts)
    async for message in ctx.inbox:
        got.append((ctx.incarnation, message.path, message.exit.kind if message.exit else "restart"))


@pytest.mark.shuffled
async def test_D1_exactly_one_message_when_the_logical_actor_ends_for_good() -> None:
    got: list[object] = []
    async with running(child(quiet, id="b", restart="transient"), child(watcher, got, "b", id="a")) as sup:
        sup.ref("b").tell("crash")
        await trio.sleep(5)
        assert got == [], "a restart is not the end"
        sup.ref("b").tell("return")
        await trio.sleep(5)
    assert got == [(1, "root/b", "normal")]


@pytest.mark.shuffled
async def test_D1_one_more_per_restart_when_asked() -> None:
    got: list[object] = []
    async with running(child(quiet, id="b"), child(watcher, got, "b", True, id="a")) as sup:
        for _ in range(2):
            sup.ref("b").tell("crash")
            await trio.sleep(5)
        await sup.stop_child("b")
        await trio.sleep(1)
    assert [kind for _, _, kind in got] == ["restart", "restart", "shutdown"]


@pytest.mark.shuffled
async def test_D1_at_once_if_it_is_dead_already() -> None:
    got: list[object] = []

    async def late(ctx: Context[object], ref) -> None:
        ctx.watch(ref, lambda down: down)
        async for message in ctx.inbox:
            got.append((message.exit.kind, trio.current_time()))

    async with running(child(quiet, id="b")) as sup:
        ref = sup.ref("b")
        await sup.stop_child("b")
        await trio.sleep(7)
        await sup.start_child(child(late, ref, id="a"))
        await trio.sleep(1)
    assert got == [("shutdown", 7)]


@pytest.mark.shuffled
async def test_D1_notices_come_on_the_control_lane_of_a_full_mailbox() -> None:
    got = []

    async def busy(ctx: Context[object]) -> None:
        ctx.watch(ctx.lookup("b"), lambda down: "down")
        async for message in ctx.inbox:
            got.append(message)
            await trio.sleep(1)

    async with running(child(quiet, id="b"), child(busy, id="a", mailbox=bounded(1))) as sup:
        sup.ref("a").tell("first")
        await trio.sleep(0.1)
        sup.ref("a").tell("second")
        await sup.stop_child("b")
        await trio.sleep(5)
    assert got == ["first", "down", "second"]


@pytest.mark.shuffled
async def test_D1_a_watch_ends_with_its_incarnation_and_can_be_cancelled() -> None:
    got = []

    async def fickle(ctx: Context[object]) -> None:
        watch = ctx.watch(ctx.lookup("b"), lambda down: f"down {ctx.incarnation}")
        if ctx.incarnation == 3:
            watch.cancel()
        async for message in ctx.inbox:
            got.append(message)
            if message == "crash":
                raise ValueError("boom")

    async with running(child(quiet, id="b"), child(fickle, id="a")) as sup:
        for _ in range(2):
            sup.ref("a").tell("crash")
            await trio.sleep(2)
        await sup.stop_child("b")
        await trio.sleep(1)
    assert got == ["crash", "crash"]


async def test_D2_a_death_pact_crashes_the_watcher(autojump_clock) -> None:
    log = []

    async def pact(ctx: Context[object]) -> None:
        if ctx.incarnation == 1:
            ctx.watch(ctx.lookup("b"), crash=True)
        await quiet(ctx)

    async with running(child(quiet, id="b"), child(pact, id="a"), log=log) as sup:
        await sup.stop_child("b")
        await trio.sleep(5)
        assert sup.tree().children[0].incarnation == 2
    (crash,) = [event for event in log if isinstance(event, ChildCrashed)]
    assert crash.path == "root/a"
    assert crash.failure.type.endswith("ActorDead")


async def test_D1_an_error_in_make_is_the_watchers_crash(autojump_clock) -> None:
    log = []

    async def broken(ctx: Context[object]) -> None:
        if ctx.incarnation == 1:
            ctx.watch(ctx.lookup("b"), lambda down: 1 / 0)
        await quiet(ctx)

    async with running(child(quiet, id="b"), child(broken, id="a"), log=log) as sup:
        await sup.stop_child("b")
        await trio.sleep(5)
        assert sup.tree().state == "running"
    assert [(event.path, event.failure.type) for event in log if isinstance(event, ChildCrashed)] == [
        ("root/a", "ZeroDivisionError")
    ]


async def test_D1_watch_needs_to_know_what_to_do(autojump_clock) -> None:
    faults = []

    async def vague(ctx: Context[object]) -> None:
        with pytest.raises(ValueError, match="make"):
            ctx.watch(ctx.me)
        faults.append(1)
        await quiet(ctx)

    async with running(child(vague, id="a")):
        pass
    assert faults == [1]


def test_a_down_is_a_value() -> None:
    assert Down("root/a", None, None) == Down("root/a", None, None)


# --- D3: names -------------------------------------------------------------------------------------------------------


async def test_D3_lookup_siblings_first_then_upwards_and_keys_anywhere(autojump_clock) -> None:
    found = {}

    async def looks(ctx: Context[object]) -> None:
        found["sibling"] = ctx.lookup("b").path
        found["above"] = ctx.lookup("top").path
        found["key"] = ctx.lookup(OTHER).path
        found["path"] = ctx.lookup("root/far/other").path
        with pytest.raises(ChildNotFound):
            ctx.lookup("nobody")
        await quiet(ctx)

    tree = (
        supervisor(child(quiet, id=OTHER), id="far"),
        child(quiet, id="top"),
        child(quiet, id="b"),
        supervisor(child(looks, id="a"), child(quiet, id="b"), id="near"),
    )
    async with running(*tree):
        pass
    assert found == {
        "sibling": "root/near/b",
        "above": "root/top",
        "key": "root/far/other",
        "path": "root/far/other",
    }


async def test_decision_2_siblings_may_hold_each_others_refs_in_cycles_from_the_start(autojump_clock) -> None:
    got = []

    async def friend(ctx: Context[str], other: str) -> None:
        ref = ctx.lookup(other)  # b has not been started when a looks it up
        ref.tell(f"from {ctx.path}")
        async for message in ctx.inbox:
            got.append(message)

    async with running(child(friend, "b", id="a"), child(friend, "a", id="b")):
        await trio.sleep(1)
    assert sorted(got) == ["from root/a", "from root/b"]


# --- D5: state handover ----------------------------------------------------------------------------------------------


@pytest.mark.shuffled
async def test_D5_a_snapshot_is_found_by_the_next_incarnation() -> None:
    seen = []

    async def counts(ctx: Context[str]) -> None:
        count = ctx.kept or 0
        seen.append((ctx.incarnation, ctx.kept, ctx.last_failure.text if ctx.last_failure else None))
        async for message in ctx.inbox:
            if message == "crash":
                raise ValueError(f"at {count}")
            count += 1
            ctx.keep(count)

    async with running(child(counts, id="a")) as sup:
        for message in ("x", "x", "crash", "x", "crash"):
            sup.ref("a").tell(message)
        await trio.sleep(10)
    assert seen == [(1, None, None), (2, 2, "at 2"), (3, 3, "at 3")]


async def test_D5_two_deaths_before_ready_drop_the_snapshot(autojump_clock) -> None:
    log = []
    seen = []

    async def chokes(ctx: Context[str]) -> None:
        seen.append(ctx.kept)
        if ctx.kept == "poison":
            raise ValueError("cannot restore")
        async for message in ctx.inbox:
            ctx.keep(message)
            raise ValueError("boom")

    async with running(child(chokes, id="a"), log=log) as sup:
        sup.ref("a").tell("poison")
        await trio.sleep(10)
        assert sup.tree().children[0].state == "running"
    assert seen == [None, "poison", "poison", None]
    (dropped,) = [event for event in log if isinstance(event, SnapshotDropped)]
    assert dropped.incarnation == 4


async def test_D5_one_death_with_it_is_forgiven_by_a_ready_one(autojump_clock) -> None:
    seen = []

    async def fragile(ctx: Context[str]) -> None:
        seen.append(ctx.kept)
        if ctx.incarnation in (2, 4):
            raise ValueError("bad day")
        ctx.ready()
        ctx.keep("snapshot") if ctx.incarnation == 1 else None
        await quiet(ctx)

    async with running(child(fragile, id="a")) as sup:
        for _ in range(3):
            sup.ref("a").tell("crash")
            await trio.sleep(5)
    assert seen == [None, "snapshot", "snapshot", "snapshot", "snapshot", "snapshot"]


async def test_the_context_knows_its_place(autojump_clock) -> None:
    places = []

    async def where(ctx: Context[str]) -> None:
        places.append((ctx.path, ctx.me.path, ctx.stopping.is_set()))
        await quiet(ctx)
        places.append(ctx.stopping.is_set())

    async with running(child(where, id="a")):
        pass
    assert places == [("root/a", "root/a", False), True]
