"""Shards on workers of Dask, with real schedulers and workers over TLS: whoever dies, it is said, and nothing is run
again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import distributed
import msgspec
import pytest
import trio

from loadsim.engines import watchdog
from loadsim.engines.base import EngineError
from loadsim.engines.dask import DaskEngine, open_dask_engine
from loadsim.engines.dask_cluster import Tls, security
from loadsim.engines.dask_task import Said, supervise_shard
from loadsim.engines.wire import Bye, Hello, Report, decode_line
from loadsim.live.view import RunView
from loadsim.metrics.merged import Merged
from loadsim.metrics.recorder import Recorder
from loadsim.plan.parse import parse_plan
from loadsim.report.exits import Exit
from loadsim.run import RunOptions, run_plan

from .conftest import COMMAND, spec_of
from .dask_places import Place, certificates, running


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[Place]:
    """Somebody else's scheduler: it would run a task of a dead worker again (its allowed-failures is Dask's 3)."""
    found = Place(tmp_path_factory.mktemp("dask"), tls, workers=2)
    yield found
    found.end()


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    """By this word in its command line a test knows its shards."""
    return f"shard-of-{request.node.name}"


def command(mark: str) -> tuple[str, ...]:
    return (*COMMAND, mark)


def at(place: Place, mark: str, **more):
    return open_dask_engine(place.address, tls=place.tls, command=command(mark), **more)


def specs(*behaviours: str):
    """They may begin a minute from now, and do at once: a busy machine makes none of them late."""
    return [
        spec_of(name, shard, len(behaviours), start_at_wall=time.time() + 60)
        for shard, name in enumerate(behaviours)
    ]


async def collect(engine, into: list) -> None:
    async for delta in engine.deltas():
        into.append(delta)


async def gone(*words: str) -> None:
    """Wait until no such process runs."""
    with trio.fail_after(60):
        while running(*words):  # noqa: ASYNC110  # processes of others: no event tells
            await trio.sleep(0.02)


async def until(true, within_s: float = 60) -> None:
    with trio.fail_after(within_s):
        while not true():  # noqa: ASYNC110  # what others do: no event tells
            await trio.sleep(0.02)


async def test_all_are_done_and_each_report_comes_once(place, mark):
    found = []
    async with at(place, mark) as engine:
        await engine.start(specs("short", "short"))
        await collect(engine, found)
        outcomes = await engine.close()
    merged = Merged()

    assert {shard: each.state for shard, each in outcomes.items()} == {0: "done", 1: "done"}
    assert all(each.pid and each.host for each in outcomes.values())
    assert all(each.clock_offset_ms is not None for each in outcomes.values())
    assert all([merged.add(each) for each in found])
    assert (merged.duplicates, merged.gaps, merged.counters["ticks"]) == (0, 0, 10)
    assert engine.reruns == 0
    assert all(abs(clock.seconds) <= clock.uncertainty_s + 0.05 for clock in engine.clocks.values())
    assert engine.version


async def test_asked_to_stop_they_end_in_good_order(place, mark):
    found = []
    async with at(place, mark) as engine, trio.open_nursery() as nursery:
        await engine.start(specs("orderly", "orderly"))
        nursery.start_soon(collect, engine, found)
        await trio.sleep(0.2)
        await engine.stop("enough", 60.0)
        outcomes = await engine.close()

    assert {(each.state, each.reason) for each in outcomes.values()} == {("stopped", "enough")}
    assert {each.shard for each in found if each.last} == {0, 1}
    assert running(mark) == []


async def test_who_does_not_hear_is_cut_off_after_the_grace(place, mark):
    async with at(place, mark) as engine, trio.open_nursery() as nursery:
        await engine.start(specs("deaf"))
        nursery.start_soon(collect, engine, [])
        await engine.stop("enough", 0.3)
        outcomes = await engine.close()

    assert (outcomes[0].state, outcomes[0].reason) == ("stopped", "enough")
    await gone(mark)


async def test_a_future_that_is_cancelled_stops_its_shard(place, mark):
    """As when the scheduler takes it back for reasons of its own: nobody has sent a word to the worker."""
    async with at(place, mark) as engine, trio.open_nursery() as nursery:
        await engine.start(specs("deaf", "orderly"))
        nursery.start_soon(collect, engine, [])
        await trio.to_thread.run_sync(engine._shards[0].future.cancel)
        await until(lambda: len(running(mark)) == 1)
        await until(lambda: engine._shards[0].outcome is not None)
        assert engine._shards[1].outcome is None
        await engine.stop("enough", 60.0)
        outcomes = await engine.close()

    assert outcomes[0].state == "lost"
    assert outcomes[1].state == "stopped"


async def test_late_is_refused_and_sends_nothing(place, mark):
    found = []
    async with at(place, mark) as engine:
        await engine.start([spec_of("short", start_at_wall=time.time() - 60)])
        await collect(engine, found)
        outcomes = await engine.close()

    assert outcomes[0].state == "refused"
    assert "late" in outcomes[0].reason
    assert found == []


@pytest.mark.parametrize(
    ("behaviour", "reason"), [("suicide", "ended with -9"), ("broken", "this shard cannot play it")]
)
async def test_a_shard_that_dies_is_lost_and_its_worker_lives(place, mark, behaviour, reason):
    async with at(place, mark) as engine:
        await engine.start(specs(behaviour, "short"))
        pid = engine._shards[0].worker_pid
        await collect(engine, [])
        outcomes = await engine.close()

    assert outcomes[0].state == "lost"
    assert reason in outcomes[0].reason
    assert outcomes[1].state == "done"
    os.kill(pid, 0)


async def test_abort_stops_the_others_when_one_is_lost(place, mark):
    async with at(place, mark, on_shard_loss="abort") as engine:
        await engine.start(specs("suicide", "orderly"))
        await collect(engine, [])
        outcomes = await engine.close()

    assert (outcomes[0].state, outcomes[1].state) == ("lost", "stopped")
    assert outcomes[1].reason == "shard 0 was lost"


async def test_two_engines_at_once_do_not_hear_each_other(place, mark):
    found: list[list] = [[], []]

    async def run(number: int) -> None:
        async with at(place, mark) as engine:
            await start_one_by_one.acquire()
            await engine.start(specs("short" if number else "orderly"))
            start_one_by_one.release()
            if number == 0:
                await trio.sleep(0.5)
                await engine.stop("enough", 60.0)
            await collect(engine, found[number])

    start_one_by_one = trio.Lock()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, 0)
        nursery.start_soon(run, 1)

    assert all(Merged().add(each) for one in found for each in one)
    for one in found:
        assert [each.seq for each in one] == list(range(len(one)))
        assert one[-1].last


async def test_leaving_the_block_leaves_no_shard(place, mark):
    async with at(place, mark) as engine:
        await engine.start(specs("deaf", "deaf"))
        assert len(running(mark)) == 2
    await gone(mark)


async def test_being_cancelled_leaves_no_shard(place, mark):
    with trio.CancelScope() as scope:
        async with at(place, mark) as engine:
            await engine.start(specs("deaf"))
            scope.cancel()
            await trio.sleep_forever()
    await gone(mark)


async def test_a_worker_is_for_one_shard(place, mark, monkeypatch):
    monkeypatch.setattr("loadsim.engines.dask.WORKERS_TIMEOUT_S", 0.2)
    async with at(place, mark) as engine:
        # The workers of a fresh scheduler are still on their way when this test is the first.
        await trio.to_thread.run_sync(lambda: engine._cluster.client.wait_for_workers(2, timeout=60))
        with pytest.raises(EngineError, match=r"3 shards need 3 workers .* there are 2 free of 2"):
            await engine.start(specs("short", "short", "short"))


async def test_a_shard_that_does_not_begin_is_an_error(place):
    nothing = ("/bin/sh", "-c", "echo no such module >&2; exit 3")
    async with open_dask_engine(place.address, tls=place.tls, command=nothing) as engine:
        with pytest.raises(EngineError, match=r"did not begin: .*no such module"):
            await engine.start(specs("short"))


async def test_descriptors_are_checked_before_anything_starts(place, mark):
    async with at(place, mark, nofile_min=10**9) as engine:
        with pytest.raises(EngineError, match="raise `ulimit -n` there"):
            await engine.start(specs("short"))
    assert running(mark) == []


@pytest.mark.parametrize("who", ["without a certificate", "with a foreign one"])
async def test_strangers_are_refused(place, tmp_path, who, monkeypatch):
    monkeypatch.setattr("loadsim.engines.dask_cluster.CONNECT_TIMEOUT_S", 1.0)
    plain = who == "without a certificate"
    address = place.address.replace("tls://", "tcp://") if plain else place.address
    with pytest.raises(EngineError, match="no scheduler at"):
        async with open_dask_engine(address, tls=None if plain else certificates(tmp_path / "foreign")):
            raise AssertionError("connected")


async def test_a_worker_that_is_killed_loses_its_shard_and_no_one_runs_it_again(place, mark):
    """The scheduler is free to run it again, the worker is started again; the shard is lost all the same."""
    found = []
    async with at(place, mark) as engine, trio.open_nursery() as nursery:
        await engine.start(specs("deaf", "orderly"))
        nursery.start_soon(collect, engine, found)
        await until(lambda: {each.shard for each in found} == {0, 1})
        os.kill(engine._shards[0].worker_pid, signal.SIGKILL)
        await until(lambda: engine._shards[0].outcome is not None)
        await until(lambda: len(running(mark)) == 1)
        await until(lambda: engine._shards[0].future.cancelled())
        before = len(found)
        client = engine._cluster.client
        await trio.to_thread.run_sync(client.wait_for_workers, 2)
        await until(lambda: len(found) > before + 20)
        assert len(running(mark)) == 1
        await engine.stop("enough", 60.0)
        outcomes = await engine.close()

    assert (outcomes[0].state, outcomes[1].state) == ("lost", "stopped")
    assert "is gone" in outcomes[0].reason
    assert engine.reruns == 0
    assert {each.shard for each in found[before:]} == {1}
    assert running(mark) == []


async def test_a_second_life_of_a_shard_is_not_believed(place, mark):
    """Nor is anything else that somebody says on the topic."""
    found = []
    async with at(place, mark) as engine, trio.open_nursery() as nursery:
        await engine.start(specs("orderly"))
        nursery.start_soon(collect, engine, found)
        line = msgspec.json.encode(Report(Recorder("r", 0).take_delta(1.0)))
        again = {"shard": 0, "attempt": "2", "line": line, "first": True}
        for said in (again, {**again, "shard": 7}, {"shard": 0}, "nonsense", None):
            await trio.to_thread.run_sync(engine._cluster.client.log_event, engine._topics[0], said)
        await until(lambda: engine.reruns == 1)
        await engine.stop("enough", 60.0)

    assert [each.seq for each in found] == list(range(len(found)))


async def test_a_shard_that_the_scheduler_runs_again_refuses(place, mark, tmp_path):
    """Without the engine's care: not pinned, not taken back. The start instant is the fence."""
    spec, ahead = spec_of("deaf"), tmp_path / "ahead"
    ahead.write_text("0")
    said: list[Said] = []
    tls = place.tls
    security = distributed.Security(
        require_encryption=True, tls_ca_file=tls.ca, tls_client_cert=tls.cert, tls_client_key=tls.key
    )

    def kill_its_worker() -> object:
        with distributed.Client(place.address, security=security, set_as_default=False) as client:
            client.wait_for_workers(2)
            client.subscribe_topic("topic", lambda event: said.append(msgspec.convert(event[1], Said)))
            future = client.submit(
                supervise_shard,
                spec.encode(),
                "key",
                "topic",
                (*command(mark), f"ahead={ahead}"),
                key="key",
                pure=False,
                retries=0,
            )
            while not said:
                time.sleep(0.02)
            first = decode_line(said[0].line)
            assert isinstance(first, Hello)
            ahead.write_text("3600")  # what begins now is an hour late
            os.kill(first.pid, signal.SIGKILL)
            answer = future.result(60)
            client.unsubscribe_topic("topic")
            return answer

    assert await trio.to_thread.run_sync(kill_its_worker) == "refused"
    assert len({each.attempt for each in said}) == 2
    second = [decode_line(each.line) for each in said if each.attempt != said[0].attempt]
    assert [type(line) for line in second] == [Hello, Bye]
    assert "late" in second[1].outcome.reason
    await gone(mark)


async def test_the_canary_of_what_is_not_public(place):
    """A worker's state as `unwanted` reads it: a task that runs is wanted, one that is unknown is not."""
    code: dict = {"__name__": "__main__"}  # a function that travels by value
    exec(CANARY, code)
    async with open_dask_engine(place.address, tls=place.tls) as engine:
        client = engine._cluster.client
        await trio.to_thread.run_sync(client.wait_for_workers, 1)
        future = client.submit(code["look"], key="canary", pure=False)
        found = await trio.to_thread.run_sync(future.result, 60)

    assert found == [None, "the scheduler has taken it back: forgotten"]


CANARY = """
def look():
    from distributed import get_worker
    from loadsim.engines.dask_task import unwanted
    return [unwanted(get_worker(), key) for key in ("canary", "unknown")]
"""


async def test_a_scheduler_that_is_killed_ends_every_shard(tmp_path, tls, mark):
    place = Place(tmp_path, tls, workers=1)
    try:
        async with at(place, mark) as engine, trio.open_nursery() as nursery:
            await engine.start(specs("deaf"))
            nursery.start_soon(collect, engine, [])
            os.kill(place.scheduler.pid, signal.SIGKILL)
            with trio.fail_after(60):
                outcomes = await engine.close()
            await gone(mark)
        assert outcomes[0].state == "lost"
        assert "the scheduler is gone" in outcomes[0].reason
    finally:
        place.end()


CONTROLLER = """
import sys, trio
from loadsim.engines.dask import open_dask_engine
from loadsim.engines.dask_cluster import Tls
from loadsim.swarm.spec import ShardSpec

async def main(address, ca, cert, key, *command):
    async with open_dask_engine(address, tls=Tls(ca, cert, key), command=command) as engine:
        await engine.start([ShardSpec.decode(sys.stdin.buffer.readline())])
        print("started", flush=True)
        await trio.sleep_forever()

trio.run(main, *sys.argv[1:])
"""


async def test_a_controller_that_is_killed_leaves_no_shard(place, mark):
    arguments = [place.address, place.tls.ca, place.tls.cert, place.tls.key, *COMMAND, mark]
    controller = subprocess.Popen(  # noqa: ASYNC220  # it takes milliseconds, and nothing else runs here
        [sys.executable, "-c", CONTROLLER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        controller.stdin.write(specs("deaf")[0].encode() + b"\n")
        controller.stdin.flush()
        assert await trio.to_thread.run_sync(controller.stdout.readline) == b"started\n"
        assert running("fake_shard", mark)
    finally:
        controller.kill()
        controller.communicate()
    await gone("fake_shard", mark)


async def test_a_cluster_of_our_own_over_tls_with_a_frozen_worker(tls, mark, monkeypatch):
    """Its worker lives and says nothing: it is stalled, then lost, then killed, and its shard ends with it."""
    monkeypatch.setattr(watchdog, "STALLED_AFTER_S", 1.0)
    monkeypatch.setattr(watchdog, "LOST_AFTER_S", 3.0)
    heard = (
        watchdog.Watchdog.heard
    )  # silence counts from now on, not from the start instant; the other is never silent

    def note(self: watchdog.Watchdog, shard: int, now: float) -> None:
        heard(self, shard, trio.current_time() + 600 * shard)

    monkeypatch.setattr(watchdog.Watchdog, "heard", note)
    before = set(children())
    async with (
        open_dask_engine(workers=2, tls=tls, command=command(mark)) as engine,
        trio.open_nursery() as n,
    ):
        await engine.start(specs("deaf", "orderly"))
        assert engine._cluster.local.scheduler_address.startswith("tls://127.0.0.1:")
        n.start_soon(collect, engine, [])
        for pid in (engine._shards[1].worker_pid, *running(mark)):
            os.kill(pid, signal.SIGINT)  # Ctrl-C, which a terminal sends to all of us, is for the controller
        frozen = engine._shards[0].worker_pid
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: engine.stalled == [0])
        assert engine._shards[0].outcome is None
        await until(lambda: engine._shards[0].outcome is not None)
        await until(lambda: frozen not in running())  # which it cannot do by itself
        await until(lambda: len(running(mark)) == 1)
        await engine.stop("enough", 60.0)
        outcomes = await engine.close()

    assert (outcomes[0].state, outcomes[1].state) == ("lost", "stopped")
    assert "nothing was heard of it" in outcomes[0].reason
    assert running(mark) == []
    await until(lambda: set(children()) <= before)


async def test_in_a_cluster_of_our_own_a_dead_worker_fails_its_task_at_once(mark):
    async with open_dask_engine(workers=1, command=command(mark)) as engine:
        await engine.start(specs("deaf"))
        assert engine._cluster.local.scheduler.allowed_failures == 0
        assert "stealing" not in engine._cluster.local.scheduler.extensions
        os.kill(engine._shards[0].worker_pid, signal.SIGKILL)
        outcomes = await engine.close()
        await gone(mark)

    assert outcomes[0].state == "lost"


def children() -> list[int]:
    """Ours; but for the tracker of shared memory, which Python keeps to its own end once it has one."""
    me = Path(f"/proc/{os.getpid()}/task")
    found = [int(pid) for task in me.iterdir() for pid in (task / "children").read_text().split()]
    return [pid for pid in found if pid not in running("multiprocessing.resource_tracker")]


PLAN = """
[run]
name = "t"
duration = "4s"
[[load]]
client = "a"
model = "closed"
users = [{at = "0s", n = 4}]
[[act]]
client = "a"
do = "open_order"
every = "200ms"
after = "300ms"
params = {duration = 5}
[limits]
lag_p99_ms = 5000
cpu_pct = 1000
omitted = 100000
"""


def wait_for_workers(place: Place) -> None:
    """Somebody before us may have killed one; its nanny starts it again."""
    with distributed.Client(
        place.address, security=security(distributed, place.tls), set_as_default=False
    ) as client:
        client.wait_for_workers(2)


async def test_a_whole_run_that_loses_a_worker_is_invalid_and_nothing_was_heard_twice(place, monkeypatch):
    engines: list[DaskEngine] = []
    true = DaskEngine.start

    async def remember(self, specs) -> None:
        await true(self, specs)
        assert self._nofile_min > 4
        engines.append(self)

    def kill(view: RunView) -> None:
        if view.t >= 1 and engines:
            os.kill(engines.pop()._shards[1].worker_pid, signal.SIGKILL)

    monkeypatch.setattr(DaskEngine, "start", remember)
    await trio.to_thread.run_sync(wait_for_workers, place)
    options = RunOptions(
        engine="dask", shards=2, engine_options={"scheduler": place.address, "tls": place.tls}
    )
    result = await run_plan(parse_plan(PLAN), options, on_second=kill)

    assert engines == []
    assert [shard.state for shard in result.shards] == ["done", "lost"]
    assert result.shards[0].clock_offset_ms is not None
    assert (result.validity.coverage, result.exit) == (0.5, Exit.INVALID), result.checks
    assert [check.what for check in result.checks if not check.ok] == []
    assert result.merged.counters["orders.accepted"] > 5


async def test_an_engine_without_shards_ends_at_once(place):
    async with open_dask_engine(place.address, tls=place.tls) as engine:
        await engine.start([])
        await engine.stop("nothing", 1.0)
        assert await engine.close() == {}
