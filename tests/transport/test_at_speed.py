"""Only the wall clock runs at another speed; everything else is the other seam's."""

from __future__ import annotations

import trio

from potrio.testing.network import MemoryNetwork
from potrio.transport.at_speed import AtSpeed


async def test_the_wall_clock_runs_at_its_speed_and_no_other_clock_does(autojump_clock):
    network = MemoryNetwork(epoch=1000.0)
    fast = AtSpeed(network, 20)
    began = fast.wall()
    assert began == network.wall()
    await trio.sleep(3)
    assert fast.wall() == began + 60
    assert fast.now() == network.now()


async def test_what_else_it_does_is_done_by_the_other(autojump_clock):
    network = MemoryNetwork(seed=4)
    fast = AtSpeed(network, 2)
    assert fast.new_id() != MemoryNetwork(seed=5).new_id()
    assert fast.environment() == {}
    (listener,) = await fast.listen_tcp("127.0.0.1", 0)
    assert await network.connect_tcp(0, ("127.0.0.1", listener.port))
    await listener.aclose()
