"""Events in stdlib logging: levels, and one line per trouble (rows C10, D9)."""

from __future__ import annotations

import logging

import pytest
import trio

from potrio.supervision import (
    Backoff,
    ChildBlocked,
    ChildStopError,
    ChildStuck,
    Context,
    DeadLetter,
    Failure,
    Limit,
    SnapshotDropped,
    SupervisorEscalated,
    child,
    log_events,
    open_supervisor,
    supervisor,
)

NAME = "potrio.supervision"


def lines(caplog, level: int = logging.WARNING) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.levelno >= level]


@pytest.mark.one_schedule(reason="counts log records, which add up over runs")
async def test_D9_a_crash_is_a_warning_and_from_the_kth_in_a_row_an_error(caplog, autojump_clock) -> None:
    async def crashes(ctx: Context[str]) -> None:
        ctx.ready()
        await trio.sleep(1)
        raise ValueError("boom")

    caplog.set_level(logging.DEBUG, logger=NAME)
    tree = supervisor(child(crashes, id="a"), id="root", limit=Limit.never(), backoff=Backoff(1, 1, "none"))
    async with open_supervisor(tree, observers=[log_events(error_after=3)]):
        await trio.sleep(7.5)

    told = lines(caplog)
    assert [level for level, _ in told] == ["WARNING", "WARNING", "ERROR", "ERROR"]
    assert told[0][1] == "root/a: crashed after 1 s (ValueError: boom); restart in 1 s"
    assert any("raise ValueError" in text for _, text in lines(caplog, logging.DEBUG)), "the stack, as debug"
    assert caplog.records[-1].event.path


@pytest.mark.one_schedule(reason="counts log records, which add up over runs")
async def test_D9_an_escalation_is_an_error(caplog, autojump_clock) -> None:
    async def crashes(ctx: Context[str]) -> None:
        async for _ in ctx.inbox:
            raise ValueError("boom")

    tree = supervisor(child(crashes, id="a"), id="root", limit=Limit(0, 1))
    with pytest.raises(Exception, match="gave up"):
        async with open_supervisor(tree, observers=[log_events()]) as sup:
            sup.ref("a").tell("x")
            await trio.sleep_forever()
    assert [level for level, _ in lines(caplog)][-2:] == ["ERROR", "ERROR"]
    assert "over a str" in lines(caplog)[-2][1]
    assert "gives up" in lines(caplog)[-1][1]


def test_C10_dead_letters_are_rate_limited_with_a_count(caplog) -> None:
    log = log_events(dead_letter_interval=10)
    for at in (0, 1, 2, 9.9, 10, 11):
        log(DeadLetter(at, "root/a", "x", "full", False))
    log(DeadLetter(3, "root/b", "x", "full", False))
    log(DeadLetter(3, "root/a", "x", "dead", False))

    assert [text for _, text in lines(caplog)] == [
        "root/a: dead letter (full): str",
        "root/a: dead letter (full): str, and 3 more since the last line",
        "root/b: dead letter (full): str",
        "root/a: dead letter (dead): str",
    ]


def test_D9_the_other_troubles(caplog) -> None:
    log = log_events()
    failure = Failure("KeyError", "'x'")
    for event in (
        ChildStopError(0, "root/a", 1, failure),
        ChildStuck(0, "root/a", 1, 3.0, "file.py:3 in deaf"),
        ChildBlocked(0, "root/a", ("root/a", "root/b")),
        SupervisorEscalated(0, "root", "too many restarts"),
        SnapshotDropped(0, "root/a", 3),
    ):
        log(event)
    assert [level for level, _ in lines(caplog)] == ["WARNING", "ERROR", "ERROR", "ERROR", "WARNING"]
    text = "\n".join(text for _, text in lines(caplog))
    for part in (
        "KeyError: 'x'",
        "file.py:3 in deaf",
        "root/a -> root/b -> root/a",
        "too many restarts",
        "snapshot",
    ):
        assert part in text


def test_D9_no_content_of_messages_is_logged(caplog) -> None:
    log_events()(DeadLetter(0, "root/a", "the secret itself", "full", False))
    assert "secret" not in caplog.text


def test_a_logger_of_ones_own_and_no_handler_is_touched(caplog) -> None:
    logger = logging.getLogger("own.name")
    log_events(logger)(SupervisorEscalated(0, "root", "why"))
    assert caplog.records[0].name == "own.name"
    assert logger.handlers == []
    assert logging.getLogger(NAME).handlers == []
