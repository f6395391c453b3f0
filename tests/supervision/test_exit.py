"""What the end of an incarnation means: the table of supervision.md 3.3, row by row, first pure, then in a tree."""

from __future__ import annotations

import gc
import weakref

import pytest
import trio

from potrio.supervision import (
    Backoff,
    ChildCrashed,
    ChildExited,
    ChildStopError,
    Context,
    Failure,
    Limit,
    child,
    open_supervisor,
    supervisor,
)
from potrio.supervision.exit import classify


class Gone(BaseException):
    """Stands for trio's Cancelled, which cannot be made by hand."""


class Odd(BaseException):
    """Neither an Exception nor one of the well-known fatal ones."""


def grouped(*errors: BaseException) -> BaseExceptionGroup[BaseException]:
    return BaseExceptionGroup("several", errors)


ROWS = [
    # name, error, flags, kind, goes on through the supervisor
    ("returns", None, {}, "normal", False),
    ("returns when asked", None, {"asked": True}, "shutdown", False),
    ("exception", ValueError("x"), {}, "crashed", False),
    ("group of exceptions", ExceptionGroup("g", [ValueError("x"), KeyError("y")]), {}, "crashed", False),
    ("cancelled from above", Gone(), {"around_cancelled": True}, "cancelled", True),
    (
        "group of cancellations from above",
        grouped(Gone(), Gone()),
        {"around_cancelled": True},
        "cancelled",
        True,
    ),
    ("own scope absorbed it", None, {"killed": True, "asked": True}, "killed", False),
    ("cleanup of a stop raised", ValueError("x"), {"asked": True}, "crashed", False),
    ("cancellation and error", grouped(Gone(), ValueError("x")), {"around_cancelled": True}, "crashed", True),
    ("keyboard interrupt", KeyboardInterrupt(), {}, "fatal", True),
    ("system exit", SystemExit(1), {}, "fatal", True),
    ("generator exit", GeneratorExit(), {}, "fatal", True),
    ("group with a fatal one", grouped(ValueError("x"), grouped(KeyboardInterrupt())), {}, "fatal", True),
    ("other base exception", Odd(), {}, "fatal", True),
    ("group with another base exception", grouped(Odd(), Gone()), {"around_cancelled": True}, "fatal", True),
    ("stray cancellation", Gone(), {}, "crashed", False),
    ("group of stray cancellations", grouped(Gone()), {}, "crashed", False),
    ("stray cancellation and error", grouped(Gone(), ValueError("x")), {}, "crashed", False),
]


@pytest.mark.parametrize(
    ("error", "flags", "kind", "reraise"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_B7_what_is_a_crash(
    error: BaseException | None, flags: dict[str, bool], kind: str, reraise: bool
) -> None:
    verdict = classify(error, cancelled=Gone, **flags)

    assert (verdict.exit.kind, verdict.reraise) == (kind, reraise)
    assert (verdict.exit.failure is not None) == (kind in ("crashed", "fatal"))


def test_B7_only_the_error_of_a_split_group_is_reported() -> None:
    verdict = classify(grouped(Gone(), ValueError("what it was")), cancelled=Gone, around_cancelled=True)

    assert verdict.exit.failure is not None
    assert verdict.exit.failure.type == "ExceptionGroup"
    assert "Gone" not in verdict.exit.failure.text


# --- the same rows, each as the child of a two-level tree ------------------------------------------------------------


async def returns(ctx: Context[str]) -> None:
    ctx.ready()


async def raises(ctx: Context[str]) -> None:
    ctx.ready()
    if ctx.incarnation == 1:
        raise ValueError("boom")
    await trio.sleep_forever()


async def raises_group(ctx: Context[str]) -> None:
    ctx.ready()
    if ctx.incarnation == 1:
        async with trio.open_nursery():
            raise ValueError("boom")
    await trio.sleep_forever()


async def raises_stray_cancelled(ctx: Context[str]) -> None:
    ctx.ready()
    if ctx.incarnation == 1:
        kept: list[BaseException] = []
        with trio.move_on_after(0):
            try:
                await trio.sleep_forever()
            except trio.Cancelled as cancelled:
                kept.append(cancelled)  # what nobody should do
        raise kept.pop()
    await trio.sleep_forever()


async def waits(ctx: Context[str]) -> None:
    ctx.ready()
    await trio.sleep_forever()


async def cleanup_raises(ctx: Context[str]) -> None:
    ctx.ready()
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("in cleanup")


TREE_ROWS = [
    (returns, "transient", "normal", 0),
    (returns, "permanent", "normal", 1),
    (raises, "transient", "crashed", 1),
    (raises_group, "transient", "crashed", 1),
    (raises_stray_cancelled, "transient", "crashed", 1),
    (waits, "permanent", "killed", 0),
    (cleanup_raises, "permanent", "crashed", 0),
]


@pytest.mark.parametrize(("fn", "restart", "kind", "restarts"), TREE_ROWS)
async def test_B7_rows_in_a_two_level_tree(fn, restart, kind, restarts, autojump_clock) -> None:
    log = []
    # the first restart is at once, the second (of the row that returns every time) would be a minute later
    slow = Backoff(base=0.0) if restarts == 0 else Backoff(base=1.0, cap=1.0, jitter="none")
    below = supervisor(
        child(fn, id="a", restart=restart, shutdown=0), id="mid", limit=Limit.never(), backoff=slow
    )

    async with open_supervisor(supervisor(below, id="root"), observers=[log.append]) as sup:
        await trio.sleep(1.5)
        mid = sup.supervisor("mid").tree()

    exits = [
        event.exit.kind for event in log if isinstance(event, ChildExited) and event.path == "root/mid/a"
    ]
    assert exits[0] == kind
    assert (mid.children[0].restarts if mid.children else 0) == restarts
    assert not [event for event in log if isinstance(event, ChildExited) and event.path == "root/mid"][:-1], (
        "no row reached the supervisor above"
    )
    assert bool([event for event in log if isinstance(event, ChildStopError)]) == (fn is cleanup_raises)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
async def test_B7_fatal_goes_through_every_supervisor(error: BaseException, autojump_clock) -> None:
    async def fatal(ctx: Context[str]) -> None:
        ctx.ready()
        await trio.sleep(1)
        raise error

    runs = []

    async def bystander(ctx: Context[str]) -> None:
        runs.append(ctx.incarnation)
        await trio.sleep_forever()

    tree = supervisor(
        supervisor(child(fatal, id="a"), id="mid"),
        supervisor(child(bystander, id="b"), id="other"),
        id="root",
    )

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_supervisor(tree):
            await trio.sleep_forever()

    assert caught.value.exceptions == (error,), "it leaves unchanged"
    assert runs in ([1], []), "nothing was restarted"


async def test_B7_stray_cancelled_restarts_only_its_actor(autojump_clock) -> None:
    log = []
    tree = supervisor(
        child(waits, id="before"),
        child(raises_stray_cancelled, id="a", backoff=Backoff.none()),
        child(waits, id="after"),
        id="root",
    )

    async with open_supervisor(tree, observers=[log.append]) as sup:
        await trio.sleep(1)
        assert [node.incarnation for node in sup.tree().children] == [1, 2, 1]

    crash = next(event for event in log if isinstance(event, ChildCrashed))
    assert crash.failure.type == "trio.Cancelled"


# --- failures as values ----------------------------------------------------------------------------------------------


def test_B10_failure_is_a_value() -> None:
    try:
        raise KeyError("lost")
    except KeyError as error:
        failure = Failure.of(error)

    assert failure.type == "KeyError"
    assert failure.text == "'lost'"
    assert "test_exit.py" in failure.stack
    assert str(failure) == "KeyError: 'lost'"


def test_failure_of_an_error_that_cannot_be_printed() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "no text" in Failure.of(Broken()).text


def test_failure_of_endless_recursion_is_short() -> None:
    def forever() -> None:
        forever()

    try:
        forever()
    except RecursionError as error:
        failure = Failure.of(error)

    assert len(failure.stack) < 20_000


class Locals:
    """Something an actor holds in a local variable."""


async def test_B10_locals_of_the_dead_are_collectable_at_once(autojump_clock) -> None:
    seen: list[weakref.ref[Locals]] = []

    async def crasher(ctx: Context[str]) -> None:
        precious = Locals()
        seen.append(weakref.ref(precious))
        async for _ in ctx.inbox:
            raise ValueError("boom")

    tree = supervisor(child(crasher, id="a", backoff=Backoff.none()), id="root", limit=Limit.never())
    gc.collect()
    gc.disable()
    try:
        async with open_supervisor(tree) as sup:
            for _ in range(3):
                sup.ref("a").tell("x")
                await trio.sleep(1)
            assert [ref() is None for ref in seen] == [True, True, True, False], "without the cycle collector"
            assert sup.tree().children[0].last_failure.text == "boom"
    finally:
        gc.enable()
