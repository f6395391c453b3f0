"""The laws of `potrio.transport.base`, on every implementation, between its two ends, in both directions."""

from __future__ import annotations

import math

import pytest
import trio
import trio.testing

from potrio.errors import ConnectionBroken, ConnectionClosed, LocalProtocolError
from potrio.limits import CLOSE_TIMEOUT
from potrio.transport.base import TransportStatistics

STEPS_MAX = 60
"""More steps than any call of a transport takes."""


async def send_until_stuck(transport):
    """Send to a peer that does not read."""
    while True:
        await transport.send([b"x" * 4000] * 2000)


async def receive_all(transport, count):
    """Receive until there are that many messages."""
    messages = []
    while len(messages) < count:
        messages += await transport.receive()
    return messages


# --- law 1: whole messages, in order ---------------------------------------------------------------------------------


async def test_messages_arrive_whole_and_in_order_both_ways(open_pair):
    messages = [
        "text",
        b"binary",
        "",
        b"",
        "\N{SNOWMAN}" * 50,
        b"\x00\xff" * 40_000,
        "x" * 125,
        "x" * 126,
        b"y" * 65_536,
    ]
    async with open_pair() as (client, server):
        for sender, receiver in ((client, server), (server, client)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sender.send, messages)

                assert await receive_all(receiver, len(messages)) == messages


async def test_many_small_messages(open_pair):
    messages = [f"message {number}" for number in range(1000)]
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.send, messages)

        assert await receive_all(client, 1000) == messages


async def test_a_message_of_a_megabyte(open_pair):
    message = "x" * 1_000_000
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.send, [message])

        assert await receive_all(server, 1) == [message]


async def test_sending_nothing_writes_nothing(open_pair):
    async with open_pair() as (client, server):
        await client.send([])

        assert client.statistics().bytes_sent == 0
        assert server.statistics() == TransportStatistics()


async def test_both_ends_can_send_and_receive_at_once(open_pair):
    messages = [b"z" * 10_000] * 200
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        for sender, receiver in ((client, server), (server, client)):
            nursery.start_soon(sender.send, messages)
            nursery.start_soon(receive_all, receiver, len(messages))


async def test_receive_cancelled_at_each_step_loses_nothing(open_pair, cancelled_at):
    received = []
    async with open_pair() as (client, server):

        async def receive():
            received.extend(await client.receive())

        sent = 0
        for step in range(1, STEPS_MAX):
            await server.send([f"message {sent}", b"and %d" % sent])
            sent += 1
            await trio.testing.wait_all_tasks_blocked(0.001)
            if await cancelled_at(step, receive):
                break
        else:
            pytest.fail("receive takes too many steps")
        received += await receive_all(client, 2 * sent - len(received))

    assert received == [each for number in range(sent) for each in (f"message {number}", b"and %d" % number)]


async def test_receive_cancelled_while_it_waits_loses_nothing(open_pair):
    async with open_pair() as (client, server):
        for number in range(5):
            with trio.move_on_after(0.001):
                await client.receive()
            await server.send([f"message {number}"])

            assert await receive_all(client, 1) == [f"message {number}"]


@pytest.mark.parametrize("call", ["receive", "send"])
async def test_a_second_task_is_refused(open_pair, call):
    async with open_pair() as (client, _), trio.open_nursery() as nursery:

        async def use(task_status=trio.TASK_STATUS_IGNORED):
            with trio.CancelScope() as scope:
                task_status.started(scope)
                if call == "receive":
                    await client.receive()
                else:
                    await send_until_stuck(client)

        scope = await nursery.start(use)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await (client.receive() if call == "receive" else client.send(["x"]))
        scope.cancel()


# --- laws 2 and 3: the end -------------------------------------------------------------------------------------------


async def test_what_came_before_the_end_is_given_before_it(open_pair):
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        await server.send(["one", b"two"])
        await server.send(["three"])
        nursery.start_soon(server.aclose)
        await trio.testing.wait_all_tasks_blocked()

        assert await receive_all(client, 3) == ["one", b"two", "three"]
        for _ in range(3):
            with pytest.raises(ConnectionBroken, match="code 1000"):
                await client.receive()
        with pytest.raises(ConnectionBroken):
            await client.send(["too late"])


async def test_the_peer_sees_code_and_reason_and_the_reason_is_escaped(open_pair, end_of):
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.aclose, 1013, "slow\x1b[31m")

        assert str(await end_of(client)) == r"the peer closed the connection (code 1013, 'slow\x1b[31m')"


async def test_a_close_without_a_code(open_pair, end_of):
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.aclose, 1005)

        assert str(await end_of(server)) == "the peer closed the connection (no code)"


async def test_our_own_end_is_told_from_the_peers(open_pair, end_of):
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        await server.send(["never received"])
        nursery.start_soon(end_of, server)
        await client.aclose()

        for _ in range(2):
            with pytest.raises(ConnectionClosed) as caught:
                await client.receive()
            assert type(caught.value) is ConnectionClosed
            with pytest.raises(ConnectionClosed) as caught:
                await client.send(["too late"])
            assert type(caught.value) is ConnectionClosed


@pytest.mark.parametrize("call", ["receive", "send"])
async def test_closing_wakes_a_waiting_task(open_pair, clock, call):
    async with open_pair() as (client, _), trio.open_nursery() as nursery:

        async def wait():
            with pytest.raises(ConnectionClosed) as caught:
                await (client.receive() if call == "receive" else send_until_stuck(client))
            assert type(caught.value) is ConnectionClosed

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await client.aclose()


# --- law 4: sending --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", [["fine", 7], ["fine", None], ["fine", "\ud800"]], ids=["int", "None", "surrogate"]
)
async def test_what_is_not_a_message_is_refused_and_nothing_is_sent(open_pair, bad):
    async with open_pair() as (client, server):
        with pytest.raises(LocalProtocolError):
            await client.send(bad)
        await client.send(["next"])

        assert await receive_all(server, 1) == ["next"]
        assert client.statistics().messages_sent == 1


async def test_a_send_cancelled_before_it_begins_does_no_harm(open_pair):
    async with open_pair() as (client, server):
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.send(["ghost"])
        assert scope.cancelled_caught
        await client.send(["next"])

        assert await receive_all(server, 1) == ["next"]


async def test_send_cancelled_at_each_step_sends_all_or_nothing_or_ends(open_pair, cancelled_at):
    for step in range(1, STEPS_MAX):
        async with open_pair() as (client, server):
            sent = ["header", b"attachment"]
            over = await cancelled_at(step, lambda client=client, sent=sent: client.send(sent))
            received = []
            try:
                await client.send(["after"])
                while "after" not in received:
                    received += await server.receive()
            except ConnectionBroken:
                assert not over
                continue
            assert received in ([*sent, "after"], ["after"])
            if over:
                assert received == [*sent, "after"]
                break
    else:
        pytest.fail("send takes too many steps")


async def test_a_send_that_was_cancelled_while_it_waited_never_leaves(open_pair, end_of):
    """Ask nobody for a thing and it may come: a caller that has gone must not be served (P3)."""
    async with open_pair() as (client, server):
        received = []
        with trio.move_on_after(0.05):
            await send_until_stuck(client)
        with trio.move_on_after(0.01):
            try:
                await client.send(["ghost"])
            except ConnectionBroken:
                pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            try:
                while True:
                    received += await server.receive()
            except (ConnectionBroken, ConnectionClosed):
                pass

        assert "ghost" not in received


# --- law 5: closing --------------------------------------------------------------------------------------------------


async def test_closing_twice_and_at_once_does_no_harm(open_pair):
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.aclose)
        nursery.start_soon(client.aclose)
        nursery.start_soon(server.aclose)
        nursery.start_soon(server.aclose)
        await client.aclose()


async def test_closing_with_a_code_that_may_not_be_sent_is_our_fault_and_closes(open_pair, end_of):
    async with open_pair() as (client, server):
        with pytest.raises(LocalProtocolError):
            await client.aclose(999)
        with pytest.raises(ConnectionClosed):
            await client.receive()

        assert isinstance(await end_of(server), ConnectionBroken)


async def test_closing_does_not_wait_longer_than_its_timeout(open_pair, clock):
    async with open_pair() as (client, _):
        before = trio.current_time()
        await client.aclose()  # nobody reads at the other end

        assert trio.current_time() - before <= CLOSE_TIMEOUT + 0.01


async def test_closing_while_a_send_is_stuck(open_pair, clock):
    async with open_pair() as (client, _), trio.open_nursery() as nursery:

        async def send():
            with pytest.raises(ConnectionClosed):
                await send_until_stuck(client)

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked(0.005)
        before = trio.current_time()
        await client.aclose()

        assert trio.current_time() - before <= CLOSE_TIMEOUT + 0.01


@pytest.mark.parametrize("call", ["receive", "send", "aclose"])
async def test_cancelled_at_each_step_nothing_is_left_behind(
    open_pair, cancelled_at, end_of, no_leaks, clock, call
):
    for step in range(1, STEPS_MAX):
        async with no_leaks(), open_pair() as (client, server), trio.open_nursery() as nursery:

            async def answer(server=server):
                try:
                    await server.send(["hello"])
                    while True:
                        await server.receive()
                except ConnectionClosed:
                    pass

            nursery.start_soon(answer)
            calls = {
                "receive": client.receive,
                "send": lambda client=client: client.send(["x", b"y"]),
                "aclose": client.aclose,
            }
            over = await cancelled_at(step, calls[call])
            before = trio.current_time()
            with trio.CancelScope() as scope:
                scope.cancel()
                await client.aclose()
            assert trio.current_time() - before <= CLOSE_TIMEOUT + 0.01
            assert isinstance(await end_of(client), ConnectionClosed)
        if over:
            return
    pytest.fail(f"{call} takes too many steps")


async def test_a_cancelled_close_still_says_goodbye(open_pair, end_of):
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        ends = []

        async def listen():
            ends.append(await end_of(server))

        nursery.start_soon(listen)
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.aclose(1001, "going away")

    assert str(ends[0]) == "the peer closed the connection (code 1001, 'going away')"


# --- counters, checkpoints -------------------------------------------------------------------------------------------


async def test_the_counters_of_both_ends_agree(open_pair):
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        await client.send(["one", b"two" * 100])
        await receive_all(server, 2)
        await server.send(["three"] * 300)
        await receive_all(client, 300)
        nursery.start_soon(server.aclose)
        with pytest.raises(ConnectionBroken):
            await client.receive()
    ours, theirs = client.statistics(), server.statistics()

    assert (ours.messages_sent, ours.messages_received) == (2, 300)
    assert (theirs.messages_sent, theirs.messages_received) == (300, 2)
    assert theirs.frames_sent == ours.frames_received == 301
    assert theirs.bytes_sent == ours.bytes_received
    assert ours.frames_sent == theirs.frames_received
    assert ours.bytes_sent == theirs.bytes_received
    assert 0 < ours.reads < math.inf
    assert ours.writes > 0


async def test_each_call_is_a_checkpoint(open_pair):
    async with open_pair() as (client, server):
        with trio.testing.assert_checkpoints():
            await client.send(["x"])
        await receive_all(server, 1)
        await server.send(["x", "y"])
        await trio.testing.wait_all_tasks_blocked(0.001)
        with trio.testing.assert_checkpoints():
            await client.receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.aclose)
            with trio.testing.assert_checkpoints():
                await client.aclose()
        with trio.testing.assert_checkpoints():
            await client.aclose()
        with trio.testing.assert_checkpoints(), pytest.raises(ConnectionClosed):
            await client.receive()
