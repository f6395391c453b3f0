"""A link that can be cut and fall silent: nothing is lost by silence, nothing comes after a cut."""

from __future__ import annotations

import pytest
import trio

from loadsim.swarm.link_seam import LinkSeam
from potrio.testing.network import MemoryNetwork


@pytest.fixture
async def pair():
    """A link, its stream, and the other end."""
    network = MemoryNetwork()
    listeners = await network.listen_tcp("127.0.0.1", 1)
    link = LinkSeam(network)
    stream = await link.connect_tcp(0, ("127.0.0.1", 1))
    return link, stream, await listeners[0].accept()


async def test_what_passes_passes(autojump_clock, pair) -> None:
    _, stream, other = pair
    await stream.send_all(b"there")
    await other.send_all(b"back")

    assert await other.receive_some() == b"there"
    assert await stream.receive_some() == b"back"


async def test_a_silent_link_holds_up_and_loses_nothing(autojump_clock, pair) -> None:
    link, stream, other = pair
    got: list[tuple[float, bytes]] = []

    async def read() -> None:
        data = bytes(await stream.receive_some())
        got.append((trio.current_time(), data))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(1)
        link.stall()
        await other.send_all(b"late")
        nursery.start_soon(stream.send_all, b"later")
        with trio.move_on_after(1) as nothing:
            await other.receive_some()
        assert nothing.cancelled_caught
        link.resume()

    assert got == [(2.0, b"late")]
    assert await other.receive_some() == b"later"


async def test_a_cut_link_is_broken_on_this_side_and_ends_on_the_other(autojump_clock, pair) -> None:
    link, stream, other = pair
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()

        nursery.start_soon(read)
        await trio.sleep(1)
        await link.drop()

    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x")
    assert await other.receive_some() == b""
    await stream.aclose()


async def test_nobody_connects_over_a_silent_link(autojump_clock, pair) -> None:
    link, *_ = pair
    link.stall()
    with trio.move_on_after(5) as scope:
        await link.connect_tcp(0, ("127.0.0.1", 1))
    assert scope.cancelled_caught
    assert link.wall() == link._inner.wall()
    assert len(link.new_id()) == 36
