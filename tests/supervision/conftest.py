"""Virtual time and shuffled scheduling for the supervision tests. The only file that touches trio's private names."""

from __future__ import annotations

import functools
import gc
import inspect
import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio._core._run as trio_run
from trio.testing import MockClock

SHUFFLES = 50
"""How often a test marked ``shuffled`` runs, each time with the tasks of every batch in another order."""


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> None:
    """Tests of what is collectable look at the heap again and again: what other tests left there is set aside."""
    gc.collect()
    gc.freeze()


DEADLOCK = 10**6
"""Virtual seconds after which nothing will ever happen any more: a test that hangs fails at once."""


@contextmanager
def schedule_of(seed: int) -> Iterator[None]:
    """Let trio order the tasks of every batch by this seed."""
    generator, allowed = trio_run._r, trio_run._ALLOW_DETERMINISTIC_SCHEDULING
    trio_run._r = random.Random(seed)
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True
    try:
        yield
    finally:
        trio_run._r = generator
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = allowed


def run_seeded(fn: Callable[..., Any], seed: int, /, **kwargs: Any) -> Any:
    """Run an async function once, in virtual time, with the schedule of a seed."""

    async def limited() -> Any:
        with trio.fail_after(DEADLOCK):
            return await fn(**kwargs)

    clock = MockClock(autojump_threshold=0)
    if "autojump_clock" in kwargs:
        kwargs["autojump_clock"] = clock
    with schedule_of(seed):
        return trio.run(limited, clock=clock)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"shuffled: {SHUFFLES} runs in virtual time, each with its own task order"
    )
    config.addinivalue_line(
        "markers", "one_schedule(reason): a row's test that cannot be run many times over"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Turn async tests that are marked ``shuffled``, or named after a row, into plain ones that run them many times."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        marked = item.get_closest_marker("shuffled") is not None
        assert not marked or inspect.iscoroutinefunction(item.obj), f"{item.name} is shuffled but not async"
        if marked or (is_of_a_row(item) and item.get_closest_marker("one_schedule") is None):
            item.obj = shuffle(item.obj)


def is_of_a_row(item: pytest.Function) -> bool:
    """Is it an async test in virtual time of one row of the specification (``test_A5_...``)?"""
    named = re.match(r"test_[A-D]\d+_", item.name) is not None
    return named and inspect.iscoroutinefunction(item.obj) and "autojump_clock" in item.fixturenames


def shuffle(fn: Callable[..., Any]) -> Callable[..., None]:
    """Make a test that runs an async one with many schedules, and says with which it failed."""

    @functools.wraps(fn)
    def many(**kwargs: Any) -> None:
        for seed in range(SHUFFLES):
            try:
                run_seeded(fn, seed, **kwargs)
            except BaseException as error:
                error.add_note(f"with the schedule of seed {seed}")
                raise

    return many


@pytest.fixture
def seeded() -> Callable[..., Any]:
    """``seeded(fn, seed, **kwargs)``: run an async function once in virtual time, with the schedule of a seed."""
    return run_seeded


@pytest.fixture
def steps() -> Callable[..., list[str]]:
    """``steps(log, ChildStarted, ...)``: these events of a log, as ``"ChildStarted a 1"``."""

    def pick(log: Iterable[Any], *types: type) -> list[str]:
        return [
            f"{type(event).__name__} {event.path.rpartition('/')[2]} {getattr(event, 'incarnation', '')}".rstrip()
            for event in log
            if not types or isinstance(event, types)
        ]

    return pick


@pytest.fixture
def check_books() -> Callable[[Any], None]:
    """Check the law of every mailbox in a tree: each message is handled, dead, queued or in hand."""

    def check(node: Any) -> None:
        box = node.mailbox
        if box is not None:
            assert box.accepted == box.handled + box.dead_letters + box.depth + box.in_hand, node
        for child in node.children:
            check(child)

    return check
