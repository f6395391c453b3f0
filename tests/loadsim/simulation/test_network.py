"""Connections of messages and of bytes through one network, and a disk that can be full."""

from __future__ import annotations

import math
import sqlite3

import pytest
import trio

from loadsim.simulation.clock import SimClock
from loadsim.simulation.history import History
from loadsim.simulation.network import Door, SimNetwork
from potrio.errors import ConnectRefused, UpgradeRejected


def run(main, level="message"):
    clock = SimClock()
    network = SimNetwork(1, clock, History(clock), level=level, latency="near")
    trio.run(main, network, clock=clock)


def test_messages_reach_the_door_that_listens():
    async def main(network):
        (listener,) = await network.listen_tcp("127.0.0.1", 80)

        async def serve():
            door = await listener.accept()
            assert isinstance(door, Door)
            door.opened.set()
            await door.transport.send(await door.transport.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            ours = await network.connect_messages(80, "ws://x")
            await ours.send(["hello"])
            assert await ours.receive() == ["hello"]
            await ours.aclose()

    run(main)


def test_a_wait_ends_with_its_event_or_at_its_deadline():
    async def main(network):
        await network.wait_until(trio.Event(), 3.0)
        assert network.now() == 3.0
        await network.wait_until(trio.Event(), 1.0)  # passed long ago
        assert network.now() == 3.0
        event = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(network.wait_until, event, math.inf)
            nursery.start_soon(network.wait_until, event, 100.0)
            await trio.sleep(4)
            event.set()
        assert network.now() == 7.0

    run(main)


def test_who_is_refused_is_told_at_which_stage():
    async def main(network):
        with pytest.raises(ConnectRefused):
            await network.connect_messages(80, "ws://x")
        (listener,) = await network.listen_tcp("127.0.0.1", 80)

        async def refuse():
            door = await listener.accept()
            door.refused = 503
            await door.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refuse)
            with pytest.raises(UpgradeRejected, match="503"):
                await network.connect_messages(80, "ws://x")
        network.unreachable = True
        with pytest.raises(ConnectRefused):
            await network.connect_messages(80, "ws://x")

    run(main)


def test_a_broken_disk_leaves_no_half_of_a_transaction():
    async def main(network):
        database = network.open_database("journal")
        database.execute("CREATE TABLE t (x)")
        network.disk.fails_every = 2
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            database.execute("INSERT INTO t VALUES (2)")
        assert not database.in_transaction
        assert database.execute("SELECT x FROM t").fetchall() == []
        assert network.disk.failures == 1
        database.close()

    run(main)


def test_a_full_disk_takes_nothing_and_later_all_again():
    async def main(network):
        database = network.open_database("journal")
        database.execute("CREATE TABLE t (x)")
        network.disk.full = True
        with pytest.raises(sqlite3.OperationalError, match="full"):
            database.execute("INSERT INTO t VALUES (1)")
        network.disk.full = False
        database.execute("INSERT INTO t VALUES (1)")
        assert network.open_database("journal").execute("SELECT x FROM t").fetchall() == [(1,)]
        database.close()

    run(main)
