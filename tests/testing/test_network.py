"""The network in memory: what listens is reached, what does not refuses, and one seed gives one history."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import trio

from potrio.seam import FileLocked
from potrio.testing.network import MemoryNetwork


async def test_bytes_go_both_ways_and_the_end_is_seen(autojump_clock):
    network = MemoryNetwork()
    (listener,) = await network.listen_tcp("127.0.0.1", 80)
    ((family, address),) = await network.resolve("venue.example", 80)
    ours = await network.connect_tcp(family, address)
    theirs = await listener.accept()
    await ours.send_all(b"hello")
    assert await theirs.receive_some() == b"hello"
    await theirs.send_all(b"hi")
    assert await ours.receive_some() == b"hi"
    await theirs.aclose()
    assert await ours.receive_some() == b""


async def test_nobody_there_is_refused_and_a_port_is_given_once(autojump_clock):
    network = MemoryNetwork()
    with pytest.raises(ConnectionRefusedError):
        await network.connect_tcp(0, ("127.0.0.1", 80))
    (listener,) = await network.listen_tcp("127.0.0.1", 80)
    with pytest.raises(OSError, match="in use") as caught:
        await network.listen_tcp("127.0.0.1", 80)
    assert caught.value.errno == errno.EADDRINUSE
    await listener.aclose()
    with pytest.raises(ConnectionRefusedError):
        await network.connect_tcp(0, ("127.0.0.1", 80))
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()
    await network.listen_tcp("127.0.0.1", 80)


async def test_port_zero_takes_a_free_one(autojump_clock):
    network = MemoryNetwork()
    ports = {(await network.listen_tcp("127.0.0.1", 0))[0].port for _ in range(5)}
    assert len(ports) == 5


async def test_a_cancelled_accept_loses_no_connection(autojump_clock):
    network = MemoryNetwork()
    (listener,) = await network.listen_tcp("127.0.0.1", 80)
    with trio.move_on_after(1) as scope:
        await listener.accept()
    assert scope.cancelled_caught
    await network.connect_tcp(0, ("127.0.0.1", 80))
    with trio.fail_after(1):
        await listener.accept()


async def test_the_wall_clock_keeps_step_and_can_be_wrong(autojump_clock):
    network = MemoryNetwork(epoch=1000.0)
    start = trio.current_time()
    await trio.sleep(5)
    assert network.wall() == 1000.0 + start + 5
    network.wall_jump_s = -3.0
    assert network.wall() == 1000.0 + start + 2
    assert network.now() == start + 5


def history(seed: int) -> list[object]:
    network = MemoryNetwork(seed)
    return [network.new_id(), network.mask_bytes(4), network.generator().random(), network.new_id()]


def test_one_seed_one_history():
    assert history(1) == history(1)
    assert history(1) != history(2)
    first, _, _, second = history(1)
    assert first != second


def test_ids_have_the_form_of_a_uuid():
    parts = MemoryNetwork().new_id().split("-")
    assert [len(part) for part in parts] == [8, 4, 4, 4, 12]


def test_nothing_of_the_real_world():
    network = MemoryNetwork()
    assert network.environment() == {}
    with pytest.raises(FileNotFoundError):
        network.read_file(Path(__file__))
    with pytest.raises(OSError, match="no files"):
        network.write_file(Path("x"), b"")


async def test_databases_last_as_long_as_the_network_and_locks_as_long_as_their_holder(autojump_clock):
    network, other = MemoryNetwork(), MemoryNetwork()
    path = Path("orders.db")
    database = network.open_database(path)
    database.execute("CREATE TABLE things (name)")
    database.execute("BEGIN")
    database.execute("INSERT INTO things VALUES ('lost')")
    database.close()  # the end of a process: what was not committed is gone
    database = network.open_database(path)
    assert database.execute("SELECT count(*) FROM things").fetchone() == (0,)
    database.close()
    empty = other.open_database(path)
    assert empty.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    empty.close()
    release = network.lock_file(path)
    with pytest.raises(FileLocked):
        network.lock_file(path)
    other.lock_file(path)()
    release()
    network.lock_file(path)()


async def test_what_would_be_a_thread_runs_at_once_in_virtual_time(autojump_clock):
    assert await MemoryNetwork().in_thread(trio.current_time) == 0.0
