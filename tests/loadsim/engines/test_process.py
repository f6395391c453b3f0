"""Shards in processes: whatever becomes of one is said, the others go on, and nothing outlives the engine."""

from __future__ import annotations

import fcntl
import os
import signal
import time

import pytest
import trio

from loadsim.engines import watchdog
from loadsim.engines.base import EngineError
from loadsim.engines.process import check_hello, open_process_engine
from loadsim.engines.wire import Hello

from .conftest import spec_of


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def collect(engine, into: list) -> None:
    async for delta in engine.deltas():
        into.append(delta)


async def test_shards_report_and_are_done(command):
    found = []
    async with open_process_engine(command) as engine:
        await engine.start([spec_of("short", shard, 2) for shard in range(2)])
        await collect(engine, found)
        outcomes = await engine.close()

    assert {shard: each.state for shard, each in outcomes.items()} == {0: "done", 1: "done"}
    assert sorted((each.shard, each.seq) for each in found) == [(s, n) for s in range(2) for n in range(5)]
    assert all(each.pid and each.host for each in outcomes.values())


async def test_asked_to_stop_it_ends_in_good_order_and_at_once(command):
    found = []
    async with open_process_engine(command) as engine, trio.open_nursery() as nursery:
        await engine.start([spec_of("orderly")])
        nursery.start_soon(collect, engine, found)
        await trio.sleep(0.2)
        await engine.stop("enough", 60.0)
        outcomes = await engine.close()

    assert (outcomes[0].state, outcomes[0].reason) == ("stopped", "enough")
    assert found[-1].last


async def test_who_does_not_hear_is_cut_off_after_the_grace(command):
    async with open_process_engine(command) as engine, trio.open_nursery() as nursery:
        await engine.start([spec_of("deaf")])
        nursery.start_soon(collect, engine, [])
        await engine.stop("enough", 0.2)
        outcomes = await engine.close()

    assert outcomes[0].state == "stopped"
    assert not is_alive(outcomes[0].pid)


@pytest.mark.parametrize(
    ("behaviour", "state", "reason"),
    [
        ("broken", "lost", "this shard cannot play it"),
        ("crash", "lost", "ZeroDivisionError: a bug"),
        ("suicide", "lost", "ended with -9"),
        ("babble", "lost", "none of its lines"),
    ],
)
async def test_a_shard_that_dies_is_lost_and_the_other_goes_on(command, behaviour, state, reason):
    found = []
    async with open_process_engine(command) as engine:
        await engine.start([spec_of(behaviour, 0, 2), spec_of("short", 1, 2)])
        await collect(engine, found)
        outcomes = await engine.close()

    assert outcomes[0].state == state
    assert reason in (outcomes[0].reason or "")
    assert outcomes[1].state == "done"
    assert [each.seq for each in found if each.shard == 1] == list(range(5))


async def test_a_frozen_shard_is_stalled_and_killed(command, monkeypatch):
    monkeypatch.setattr(watchdog, "STALLED_AFTER_S", 0.3)
    monkeypatch.setattr(watchdog, "LOST_AFTER_S", 0.8)
    heard = watchdog.Watchdog.heard  # silence counts from now on, not from the start instant
    monkeypatch.setattr(watchdog.Watchdog, "heard", lambda self, n, _: heard(self, n, trio.current_time()))
    async with open_process_engine(command) as engine:
        await engine.start([spec_of("frozen")])
        with trio.fail_after(60):
            await collect(engine, [])
            outcomes = await engine.close()

    assert outcomes[0].state == "stalled"
    assert not is_alive(outcomes[0].pid)


async def test_a_late_shard_refuses_and_sends_nothing(command):
    found = []
    async with open_process_engine(command) as engine:
        await engine.start([spec_of("short", start_at_wall=time.time() - 60)])
        await collect(engine, found)
        outcomes = await engine.close()

    assert outcomes[0].state == "refused"
    assert "late" in (outcomes[0].reason or "")
    assert found == []


async def test_leaving_the_block_leaves_no_process(command):
    async with open_process_engine(command) as engine:
        await engine.start([spec_of("deaf")])
        pid = engine._shards[0].process.pid
        assert is_alive(pid)

    assert not is_alive(pid)


async def test_a_shard_ends_with_its_controller(command):
    """What a killed controller leaves behind: the end of the input."""
    async with open_process_engine(command) as engine, trio.open_nursery() as nursery:
        await engine.start([spec_of("deaf")])
        nursery.start_soon(collect, engine, [])
        process = engine._shards[0].process
        await process.stdin.aclose()
        with trio.fail_after(60):
            await process.wait()
        await engine.close()


async def test_a_shard_notices_soon_that_its_reader_is_frozen(command):
    """It ends when it could not write for ten seconds: a pipe with room for minutes of reports would hide that."""
    async with open_process_engine(command) as engine:
        await engine.start([spec_of("deaf")])
        assert fcntl.fcntl(engine._shards[0].process.stdout.fileno(), fcntl.F_GETPIPE_SZ) == 4096


async def test_a_command_that_is_not_there():
    async with open_process_engine(["/nonesuch/python"]) as engine:
        with pytest.raises(EngineError, match="cannot start /nonesuch/python"):
            await engine.start([spec_of("short")])


async def test_a_process_that_is_no_shard():
    async with open_process_engine(["/bin/sh", "-c", "echo no such module >&2; exit 3"]) as engine:
        with pytest.raises(EngineError, match="did not begin: its process ended with 3: no such module"):
            await engine.start([spec_of("short")])


@pytest.mark.parametrize("change", [{"potrio": "0.0.0"}, {"plan_digest": "sha256:other"}])
def test_another_release_or_plan_is_refused(change):
    from loadsim.engines.child import hello
    from potrio.seam import REAL

    spec = spec_of("short")
    true = hello(spec, REAL)
    check_hello(true, spec)
    values = {name: getattr(true, name) for name in Hello.__struct_fields__}

    with pytest.raises(EngineError):
        check_hello(Hello(**(values | change)), spec)


async def test_a_shard_that_was_interrupted_too_is_only_lost(command):
    """Ctrl-C reaches the whole process group: a shard that dies of it must not hang the controller."""
    async with open_process_engine(command) as engine:
        await engine.start([spec_of("deaf")])
        engine._shards[0].process.send_signal(signal.SIGINT)
        with trio.fail_after(60):
            await collect(engine, [])
            outcomes = await engine.close()

    assert outcomes[0].state == "lost"
