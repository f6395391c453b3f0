"""The engine: restart kinds, strategies, escalation, simultaneous crashes, and answers while children fail."""

from __future__ import annotations

import random

import pytest
import trio

from potrio.supervision import (
    Backoff,
    ChildCrashed,
    ChildExited,
    ChildReady,
    ChildStarted,
    ChildStopError,
    ChildStopping,
    Context,
    Limit,
    RestartScheduled,
    SupervisorEscalated,
    SupervisorFailed,
    child,
    open_supervisor,
    service,
    supervisor,
)

NOW = Backoff.none()
SECOND = Backoff(base=1, cap=1, jitter="none")


async def quiet(ctx: Context[str]) -> None:
    async for message in ctx.inbox:
        match message:
            case "crash":
                raise ValueError("boom")
            case "return":
                return
            case "hang":
                with trio.CancelScope(shield=True):
                    await trio.sleep(100)


def incarnations(sup) -> dict[str, int]:
    return {node.path.rpartition("/")[2]: node.incarnation for node in sup.tree().children}


def children(*ids: str, **values) -> list:
    return [child(quiet, id=id, **values) for id in ids]


# --- A2: restart kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("how", ["return", "crash", "deadline kill", "stop request"])
async def test_A2_restart_kind_and_exit(restart: str, how: str, autojump_clock) -> None:
    async def slow_start(ctx: Context[str]) -> None:
        if ctx.incarnation == 1:
            ctx.ready()
            await quiet(ctx)
        await trio.sleep_forever()

    # A deadline kill that nobody asked for: a service that its own start_timeout cuts on the second incarnation is
    # counted below; here a sibling's group restart runs into the deadline of a child that does not listen.
    async def deaf(ctx: Context[str]) -> None:
        ctx.ready()
        await trio.sleep_forever()

    fn = deaf if how == "deadline kill" else quiet
    tree = supervisor(
        child(quiet, id="trigger", backoff=NOW),
        child(fn, id="a", restart=restart, shutdown=3),
        id="root",
        strategy="one_for_all" if how == "deadline kill" else "one_for_one",
        backoff=NOW,
    )
    async with open_supervisor(tree) as sup:
        match how:
            case "stop request":
                await sup.stop_child("a")
            case "deadline kill":
                sup.ref("trigger").tell("crash")
            case _:
                sup.ref("a").tell(how)
        await trio.sleep(10)
        found = incarnations(sup)

    expected = {
        ("permanent", "return"): 2,
        ("permanent", "crash"): 2,
        ("permanent", "deadline kill"): 2,
        ("transient", "crash"): 2,
        ("transient", "deadline kill"): 2,
    }
    assert found.get("a") == expected.get((restart, how)), "restarted, or its spec removed"


@pytest.mark.shuffled
async def test_A2_temporary_bystander_is_stopped_and_not_restarted() -> None:
    log = []
    tree = supervisor(
        *children("a"),
        child(quiet, id="t", restart="temporary"),
        *children("b"),
        id="root",
        strategy="one_for_all",
        backoff=NOW,
    )
    async with open_supervisor(tree, observers=[log.append]) as sup:
        log.clear()
        bystander = sup.ref("t")
        sup.ref("a").tell("crash")
        assert (await bystander.join()).kind == "shutdown"
        await sup.ref("b").wait_ready()
        await trio.sleep(1)
        assert incarnations(sup) == {"a": 2, "b": 2}
        told = {event.path[-1]: event.for_good for event in log if isinstance(event, ChildStopping)}
        assert told == {"b": False, "t": True}, "for the bystander it is the end, and it is told so"
        assert [event.group for event in log if isinstance(event, RestartScheduled)] == [("a", "b")]


async def test_A14_a_permanent_child_that_returns_is_an_early_exit(autojump_clock) -> None:
    log = []
    tree = supervisor(*children("a"), id="root", limit=Limit(1, 100), backoff=NOW)

    with pytest.raises(SupervisorFailed) as caught:
        async with open_supervisor(tree, observers=[log.append]) as sup:
            sup.ref("a").tell("return")
            await trio.sleep(1)
            assert "EarlyExit" in sup.tree().children[0].last_failure.type
            sup.ref("a").tell("return")
            await trio.sleep_forever()

    assert type(caught.value.__cause__).__name__ == "EarlyExit"
    assert [event.decision for event in log if isinstance(event, ChildCrashed)] == [
        "restart in 0 s",
        "escalate",
    ]


# --- A3: terminal errors ---------------------------------------------------------------------------------------------


class Rejected(Exception):
    """Credentials were rejected: do not retry."""


async def rejected(ctx: Context[str]) -> None:
    async for _ in ctx.inbox:
        raise Rejected("no")


async def test_A3_stop_on_escalates_for_permanent_without_using_the_window(autojump_clock) -> None:
    tree = supervisor(
        child(rejected, id="a", stop_on=(Rejected,)), id="root", limit=Limit.never(), backoff=NOW
    )

    with pytest.raises(SupervisorFailed) as caught:
        async with open_supervisor(tree) as sup:
            sup.ref("a").tell("x")
            await trio.sleep_forever()

    assert isinstance(caught.value.__cause__, Rejected)
    assert trio.current_time() == 0


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_A3_stop_on_ends_the_others_for_good(restart: str, autojump_clock) -> None:
    tree = supervisor(
        child(rejected, id="a", restart=restart, stop_on=(Rejected,)), *children("b"), id="root"
    )

    async with open_supervisor(tree) as sup:
        ref = sup.ref("a")
        ref.tell("x")
        assert (await ref.join()).kind == "crashed"
        assert incarnations(sup) == {"b": 1}


async def test_A3_stop_on_reaches_through_supervisors_by_the_chain_of_causes(autojump_clock) -> None:
    inner = supervisor(child(rejected, id="a", stop_on=(Rejected,)), id="mid", stop_on=(Rejected,))

    with pytest.raises(SupervisorFailed) as caught:
        async with open_supervisor(supervisor(inner, id="root", limit=Limit.never())) as sup:
            sup.ref("mid/a").tell("x")
            await trio.sleep_forever()

    assert isinstance(caught.value.__cause__, SupervisorFailed)
    assert isinstance(caught.value.__cause__.__cause__, Rejected)


# --- A4: significant children ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("auto_shutdown", "needed"), [("any_significant", 1), ("all_significant", 2)])
async def test_A4_auto_shutdown(auto_shutdown: str, needed: int, autojump_clock) -> None:
    log = []
    tree = supervisor(
        *children("first"),
        *children("s1", "s2", restart="transient", significant=True),
        *children("last"),
        id="root",
        auto_shutdown=auto_shutdown,
    )
    async with open_supervisor(tree, observers=[log.append]) as sup:
        sup.ref("s1").tell("return")
        await trio.sleep(1)
        if needed == 2:
            assert incarnations(sup) == {"first": 1, "s2": 1, "last": 1}
            sup.ref("s2").tell("return")
        assert (await sup.join()).kind == "shutdown", "it exits normally"

    stopped = [event.path[5:] for event in log if isinstance(event, ChildStopping)]
    assert stopped == (["last", "s2", "first"] if needed == 1 else ["last", "first"])


async def test_A4_a_stop_by_a_group_restart_or_stop_child_does_not_trigger_it(autojump_clock) -> None:
    tree = supervisor(
        *children("a"),
        *children("s", restart="transient", significant=True),
        id="root",
        strategy="one_for_all",
        auto_shutdown="any_significant",
        backoff=NOW,
    )
    async with open_supervisor(tree) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
        assert incarnations(sup) == {"a": 2, "s": 2}
        await sup.stop_child("s")
        await trio.sleep(1)
        assert incarnations(sup) == {"a": 2}


# --- A5: strategies --------------------------------------------------------------------------------------------------

STRATEGIES = [
    ("one_for_one", {"a": 1, "b": 2, "c": 1}, [], ["b"]),
    ("one_for_all", {"a": 2, "b": 2, "c": 2}, ["c", "a"], ["a", "b", "c"]),
    ("rest_for_one", {"a": 1, "b": 2, "c": 2}, ["c"], ["b", "c"]),
]


@pytest.mark.shuffled
@pytest.mark.parametrize(
    ("strategy", "after", "stops", "starts"), STRATEGIES, ids=[row[0] for row in STRATEGIES]
)
async def test_A5_strategies(strategy, after, stops, starts, steps) -> None:
    log = []
    tree = supervisor(*children("a", "b", "c"), id="root", strategy=strategy, backoff=NOW)

    async with open_supervisor(tree, observers=[log.append]) as sup:
        log.clear()
        sup.ref("b").tell("crash")
        await trio.sleep(1)
        assert incarnations(sup) == after
        happened = steps(log, ChildStopping, ChildExited, ChildStarted, ChildReady)

    expected = ["ChildExited b 1"]
    for id in stops:
        expected += [f"ChildStopping {id} 1", f"ChildExited {id} 1"]
    for id in starts:
        expected += [f"ChildStarted {id} 2", f"ChildReady {id} 2"]
    assert happened == expected


async def test_A5_an_exit_of_an_old_incarnation_is_ignored(autojump_clock) -> None:
    tree = supervisor(*children("a"), id="root", backoff=NOW)

    async with open_supervisor(tree) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
        engine = sup._engine
        cell = engine.table.get("a").cell
        engine.post(engine.on_exit, cell, 1, stale_exit(), ValueError("late news"))
        await trio.sleep(1)
        assert incarnations(sup) == {"a": 2}


def stale_exit():
    from potrio.supervision import Exit, Failure

    return Exit("crashed", Failure("ValueError", "late news"))


# --- A11: answers while children fail --------------------------------------------------------------------------------


async def test_A11_answers_during_backoff(autojump_clock) -> None:
    tree = supervisor(*children("a"), id="root", backoff=Backoff(base=1000, cap=1000, jitter="none"))

    async with open_supervisor(tree) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
        assert sup.tree().children[0].state == "backoff"
        assert sup.tree().children[0].restart_in == 999
        await sup.start_child(child(quiet, id="b"))
        await sup.stop_child("b")
        assert trio.current_time() == 1
    assert trio.current_time() == 1, "stopping did not wait for the backoff either"


async def test_A11_answers_during_a_hanging_start(autojump_clock) -> None:
    async def hangs(ctx: Context[str]) -> None:
        await trio.sleep_forever()

    async with open_supervisor(supervisor(*children("a"), id="root")) as sup:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sup.start_child, child(hangs, id="hanging", shutdown=0))
            await trio.sleep(1)
            await sup.start_child(child(quiet, id="b"))
            assert {node.path: node.state for node in sup.tree().children}["root/hanging"] == "starting"
            assert trio.current_time() == 1
            nursery.cancel_scope.cancel()
        await trio.sleep(1)
        assert incarnations(sup) == {"a": 1, "b": 1}, (
            "the start that nobody waits for any more was taken back"
        )
    assert trio.current_time() == 2


async def test_A11_stop_during_the_first_start(autojump_clock) -> None:
    async def hangs(ctx: Context[str]) -> None:
        await trio.sleep_forever()

    tree = supervisor(*children("a"), child(hangs, id="b", shutdown=2), *children("c"), id="root")

    with trio.move_on_after(10) as scope:
        async with open_supervisor(tree):
            raise AssertionError("never ready")
    assert scope.cancelled_caught
    assert trio.current_time() == 12


# --- A12: escalation -------------------------------------------------------------------------------------------------


async def test_A12_escalation_product_and_chain_of_causes(autojump_clock) -> None:
    runs = []
    log = []

    async def fails(ctx: Context[str]) -> None:
        runs.append(trio.current_time())
        ctx.ready()
        await trio.sleep(1)
        raise ValueError(f"run {len(runs)}")

    inner = supervisor(child(fails, id="a"), *children("b"), id="mid", limit=Limit(2, 100), backoff=NOW)
    tree = supervisor(inner, id="root", limit=Limit(1, 100), backoff=NOW)

    with pytest.raises(SupervisorFailed) as caught:
        async with open_supervisor(tree, observers=[log.append]):
            await trio.sleep_forever()

    assert len(runs) == 6, "limit 2 inside limit 1: 3 runs, twice"
    assert caught.value.path == "root"
    middle = caught.value.__cause__
    assert isinstance(middle, SupervisorFailed)
    assert middle.path == "root/mid"
    assert isinstance(middle.__cause__, ValueError)
    assert str(middle.__cause__) == "run 6"
    assert len(middle.history) == 3
    assert "run 4" in middle.history[0]
    kinds = [(type(event).__name__, event.path) for event in log]
    escalated = kinds.index(("SupervisorEscalated", "root/mid"))
    stopped = kinds.index(("ChildExited", "root/mid/b"))
    assert escalated < stopped < kinds.index(("ChildExited", "root/mid")), "children in order first"


async def test_A12_the_report_of_many_crashes_is_of_the_last_ones(autojump_clock) -> None:
    runs = []

    async def fails(ctx: Context[str]) -> None:
        runs.append(1)
        ctx.ready()
        await trio.sleep(1)
        raise ValueError(f"run {len(runs)}")

    tree = supervisor(child(fails, id="a"), id="root", limit=Limit(24, 100), backoff=NOW)
    with pytest.raises(SupervisorFailed) as caught:
        async with open_supervisor(tree):
            await trio.sleep_forever()

    last = len(runs)
    assert last == 25
    assert len(caught.value.history) == 16
    assert [line.split("run ")[1].split()[0] for line in caught.value.history] == [
        str(number) for number in range(last - 15, last + 1)
    ]


async def test_A12_refs_and_mailboxes_survive_the_restart_of_a_supervisor(autojump_clock) -> None:
    got = []

    async def fragile(ctx: Context[str]) -> None:
        async for message in ctx.inbox:
            if message == "crash":
                raise ValueError("boom")
            got.append(message)

    inner = supervisor(child(fragile, id="a"), id="mid", limit=Limit(0, 1))
    tree = supervisor(inner, id="root", backoff=SECOND)

    async with open_supervisor(tree) as sup:
        ref = sup.ref("mid/a")
        ref.tell("crash")
        ref.tell("queued before")
        await trio.sleep(0.5)
        assert got == []
        ref.tell("queued while down")
        await trio.sleep(1)
        assert got == ["queued before", "queued while down"]
        assert sup.ref("mid/a") == ref


async def test_A12_dynamic_children_are_gone_after_the_restart_of_their_supervisor(autojump_clock) -> None:
    inner = supervisor(*children("a"), id="mid", limit=Limit(0, 1))

    async with open_supervisor(supervisor(inner, id="root", backoff=NOW)) as sup:
        extra = await sup.supervisor("mid").start_child(child(quiet, id="extra"))
        sup.ref("mid/a").tell("crash")
        assert (await extra.join()).kind == "shutdown"
        await sup.ref("mid/a").wait_ready()
        assert [node.path for node in sup.supervisor("mid").tree().children] == ["root/mid/a"]


# --- A13: simultaneous crashes ---------------------------------------------------------------------------------------


@pytest.mark.shuffled
@pytest.mark.parametrize(
    ("strategy", "allowed"), [("one_for_all", (1,)), ("one_for_one", (2,)), ("rest_for_one", (1, 2))]
)
async def test_A13_two_siblings_crash_in_one_batch(strategy: str, allowed: tuple[int, ...]) -> None:
    log = []
    gate = trio.Event()

    async def together(ctx: Context[str]) -> None:
        ctx.ready()
        if ctx.incarnation == 1:
            await gate.wait()
            raise ValueError("boom")
        await trio.sleep_forever()

    tree = supervisor(
        child(together, id="a", shutdown=0),
        child(together, id="b", shutdown=0),
        id="root",
        strategy=strategy,
        backoff=NOW,
    )
    async with open_supervisor(tree, observers=[log.append]) as sup:
        gate.set()
        await trio.sleep(1)
        assert incarnations(sup) == {"a": 2, "b": 2} or strategy == "rest_for_one"
        assert all(number >= 2 for number in incarnations(sup).values())

    assert len([event for event in log if isinstance(event, RestartScheduled)]) in allowed
    assert len([event for event in log if isinstance(event, ChildCrashed)]) == 2, "each crash is reported"


# --- B8, D9: reports -------------------------------------------------------------------------------------------------


async def test_B8_an_error_while_stopping_is_reported_and_changes_nothing(autojump_clock) -> None:
    log = []

    async def bad_cleanup(ctx: Context[str]) -> None:
        try:
            await quiet(ctx)
        finally:
            if ctx.stopping.is_set():
                raise KeyError("cleanup")

    tree = supervisor(
        *children("a"),
        child(bad_cleanup, id="b"),
        *children("c"),
        id="root",
        strategy="one_for_all",
        backoff=NOW,
    )

    async with open_supervisor(tree, observers=[log.append]) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
        assert incarnations(sup) == {"a": 2, "b": 2, "c": 2}

    errors = [event for event in log if isinstance(event, ChildStopError)]
    assert [event.failure.text for event in errors] == ["'cleanup'", "'cleanup'"]
    assert len([event for event in log if isinstance(event, ChildCrashed)]) == 1
    assert [event.path[-1] for event in log if isinstance(event, ChildStopping)] == ["c", "b", "c", "b", "a"]


async def test_B8_an_error_while_stopping_is_noted_in_an_escalation(autojump_clock) -> None:
    async def bad_cleanup(ctx: Context[str]) -> None:
        try:
            await quiet(ctx)
        finally:
            raise KeyError("cleanup")

    tree = supervisor(*children("a"), child(bad_cleanup, id="b"), id="root", limit=Limit(0, 1))

    with pytest.raises(SupervisorFailed) as caught:
        async with open_supervisor(tree) as sup:
            sup.ref("a").tell("crash")
            await trio.sleep_forever()

    assert len(caught.value.notes) == 1
    assert "root/b" in caught.value.notes[0]
    assert "cleanup" in caught.value.notes[0]


async def test_D9_a_crash_report_tells_everything(autojump_clock) -> None:
    log = []

    async with open_supervisor(
        supervisor(*children("a"), id="root", backoff=SECOND), observers=[log.append]
    ) as sup:
        await trio.sleep(5)
        for message in ("crash", "next", "more"):
            sup.ref("a").tell(message)
        await trio.sleep(0.5)

    (report,) = [event for event in log if isinstance(event, ChildCrashed)]
    assert (report.path, report.incarnation, report.message, report.depth) == ("root/a", 1, "str", 2)
    assert (report.uptime, report.in_a_row, report.decision) == (5.0, 1, "restart in 1 s")
    assert report.failure.text == "boom"
    assert "raise ValueError" in report.failure.stack


# --- D11: determinism ------------------------------------------------------------------------------------------------


def test_D11_two_runs_with_the_same_seeds_give_the_same_log(seeded) -> None:
    async def flaky(ctx: Context[str]) -> None:
        ctx.ready()
        await trio.sleep(ctx.incarnation * 0.7)
        raise ValueError(ctx.path)

    async def run(jitter: int) -> list[str]:
        log = []
        tree = supervisor(
            *(child(flaky, id=id) for id in "abc"),
            id="root",
            limit=Limit.never(),
            backoff=Backoff(base=1, cap=5),
            strategy="rest_for_one",
        )
        async with open_supervisor(
            tree, observers=[lambda event: log.append(repr(event))], rng=random.Random(jitter)
        ):
            await trio.sleep(100)
        return log

    first, second, other = (seeded(run, 7, jitter=jitter) for jitter in (1, 1, 2))
    assert len(first) > 100
    assert first == second
    assert first != other


async def test_a_supervisor_without_children_is_ready_and_ends(autojump_clock) -> None:
    async with open_supervisor(supervisor(supervisor(id="empty"), id="root")) as sup:
        assert sup.tree().children[0].state == "running"
        await sup.supervisor("empty").start_child(child(quiet, id="a"))


async def test_a_service_that_crashes_is_restarted(autojump_clock) -> None:
    runs = []

    async def fragile(*, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        runs.append(trio.current_time())
        task_status.started(len(runs))
        await trio.sleep(1)
        raise ValueError("boom")

    tree = supervisor(service(fragile, id="s"), id="root", limit=Limit.never(), backoff=SECOND)
    async with open_supervisor(tree) as sup:
        await trio.sleep(5)
        assert sup.value("s") == 3
    assert runs == [0, 2, 4]


def test_escalation_event_is_exported() -> None:
    assert SupervisorEscalated(0.0, "root", "why").reason == "why"
