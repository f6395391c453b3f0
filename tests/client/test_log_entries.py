"""The log as an iterator in the program: bounded, in order, of every thread, without tokens, over with its block."""

from __future__ import annotations

import logging

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import ConfigError, open_log
from potrio.logs import ROOT, potrio_logger, redacting
from potrio.secrets import Secret

from .conftest import hurt, until

TOKEN = "a0entries0canary0of0potrio"
LOG = potrio_logger("client")


async def rest(log) -> list:
    """What waits in a log that has been closed."""
    return [entry async for entry in log]


async def test_the_story_of_a_link_with_its_fields(autojump_clock, connect, venue):
    """As it happens: an entry wakes who waits for it."""
    told = []
    with open_log("INFO") as log:

        async def read():
            async for entry in log:
                told.append(entry)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            async with connect() as client:
                hurt(venue, FaultKind.DROP)
                await until(lambda: client.epoch == 2 and client.phase.value == "ready")
                await until(lambda: any(entry.fields.get("epoch") == 2 for entry in told))
            nursery.cancel_scope.cancel()
    link = [entry.fields["kind"] for entry in told if entry.logger == "potrio.client"]
    assert link[:3] == ["up", "lost", "up"]
    assert {entry.level for entry in told} <= {"INFO", "WARNING", "ERROR"}
    assert "a0test0session0of0potrio0x" not in repr(told)


async def test_levels_and_the_end(caplog):
    before = ROOT.level, list(ROOT.handlers)
    with open_log("warning") as log:
        LOG.info("too quiet")
        LOG.warning("number %d", 1, extra={"kind": "up", "epoch": 7, "seconds": None})
    LOG.warning("after it")
    (entry,) = await rest(log)
    assert (entry.level, entry.logger, entry.message) == ("WARNING", "potrio.client", "number 1")
    assert entry.fields == {"kind": "up", "epoch": 7}
    assert (ROOT.level, list(ROOT.handlers)) == before


async def test_loggers_that_say_more_already_go_on_doing_so(monkeypatch):
    monkeypatch.setattr(ROOT, "level", logging.DEBUG)
    ROOT.manager._clear_cache()
    with open_log("ERROR") as log:
        assert LOG.isEnabledFor(logging.DEBUG)
        LOG.debug("for others")
    assert await rest(log) == []
    monkeypatch.undo()
    ROOT.manager._clear_cache()


async def test_no_token_in_messages_fields_and_tracebacks_also_of_strange_loggers():
    with open_log("DEBUG") as log, redacting(Secret(TOKEN)):
        for logger in (LOG, logging.getLogger("potrio.somebody_elses")):
            try:
                raise ValueError(f"no {TOKEN}")
            except ValueError:
                logger.exception("the session %s", TOKEN, extra={"path": f"root/{TOKEN}"})
    entries = await rest(log)
    assert [entry.message for entry in entries] == ["the session ***"] * 2
    assert all("ValueError: no ***" in (entry.traceback or "") for entry in entries)
    assert TOKEN not in repr(entries)


async def test_a_log_that_is_not_read_is_bounded_and_the_newest_stay():
    with open_log(capacity=3) as log:
        for number in range(10):
            LOG.warning("%d", number)
    assert log.dropped == 7
    assert [entry.message for entry in await rest(log)] == ["7", "8", "9"]


async def test_of_every_thread_and_whoever_waits_is_woken():
    with open_log(capacity=10_000) as log, trio.fail_after(10):

        def say() -> None:
            for number in range(100):
                LOG.warning("%d", number)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(trio.to_thread.run_sync, say)
            got = [int((await anext(log)).message) for _ in range(500)]
    assert sorted(got) == sorted([*range(100)] * 5)
    assert log.dropped == 0


async def test_cancelling_a_wait_loses_nothing(autojump_clock):
    with open_log() as log:
        with trio.move_on_after(1) as scope:
            await anext(log)
        assert scope.cancelled_caught
        LOG.warning("later")
        assert (await anext(log)).message == "later"


def test_a_record_after_the_run_hurts_nobody():
    async def main():
        manager = open_log()
        manager.__enter__()
        return manager

    manager = trio.run(main)
    LOG.warning("nobody reads it")
    manager.__exit__(None, None, None)


@pytest.mark.parametrize(("arguments", "path"), [({"level": "LOUD"}, "level"), ({"capacity": 0}, "capacity")])
async def test_what_cannot_be_is_refused(arguments, path):
    with pytest.raises(ConfigError) as caught, open_log(**arguments):
        pass
    assert caught.value.path == path
