"""The actor's side: turns for others, bursts, ends, staleness (rows C17, B3)."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from potrio.supervision import Backoff, Context, Limit, bounded, child, open_supervisor, supervisor, unbounded


def running(fn, **values):
    tree = supervisor(
        child(fn, **{"id": "a", "shutdown": 0, **values}),
        id="root",
        backoff=Backoff.none(),
        limit=Limit.never(),
    )
    return open_supervisor(tree)


def work(seconds: float) -> None:
    """Let time pass as it does while a handler computes: nobody else has a turn."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    clock.jump(seconds)


@pytest.mark.shuffled
async def test_C17_a_ticker_beside_a_self_telling_actor_sees_its_ticks() -> None:
    async def busy(ctx: Context[int]) -> None:
        ctx.me.tell(0)
        async for number in ctx.inbox:
            work(2e-6)
            ctx.me.tell(number + 1)

    async with running(busy):
        ticks = 0
        began = trio.current_time()
        while trio.current_time() < began + 0.05:
            await trio.sleep(0.005)
            ticks += 1
    assert ticks >= 9


@pytest.mark.parametrize("burst", [False, True])
@pytest.mark.parametrize("cost", [4e-6, 35e-6, 300e-6])
async def test_C17_others_wait_for_one_slice_and_a_few_handlers_whatever_they_cost(
    cost, burst, autojump_clock
) -> None:
    async def busy(ctx: Context[int]) -> None:
        for number in range(64):
            ctx.me.tell(number)
        if burst:
            while True:
                for number in await ctx.inbox.burst():
                    work(cost)
                    ctx.me.tell(number)
        async for number in ctx.inbox:
            work(cost)
            ctx.me.tell(number)

    async with running(busy):
        late = []
        for _ in range(25):
            due = trio.current_time() + 0.001
            await trio.sleep_until(due)
            late.append(trio.current_time() - due)
    assert max(late) < 0.0005 + 10 * cost


@pytest.mark.shuffled
async def test_C17_a_virtual_clock_that_stands_still_gives_turns_too() -> None:
    turns = 0

    async def busy(ctx: Context[int]) -> None:
        ctx.me.tell(0)
        async for number in ctx.inbox:
            ctx.me.tell(number + 1)

    async with running(busy):
        for _ in range(20):
            await trio.lowlevel.checkpoint()
            turns += 1
    assert turns == 20


async def test_C17_no_checkpoint_while_messages_are_queued(autojump_clock) -> None:
    checked = []

    async def drains(ctx: Context[int]) -> None:
        inbox = ctx.inbox.__aiter__()
        await inbox.__anext__()
        with trio.testing.assert_no_checkpoints():
            for _ in range(50):
                checked.append(await inbox.__anext__())
        await trio.sleep_forever()

    async with running(drains, mailbox=bounded(100)) as sup:
        for number in range(60):
            sup.ref("a").tell(number)
        await trio.sleep(1)
    assert checked == list(range(1, 51))


@pytest.mark.shuffled
async def test_burst_leaves_what_it_has_not_taken_to_the_next_incarnation(check_books) -> None:
    got = []

    async def bursts(ctx: Context[object]) -> None:
        while True:
            for message in await ctx.inbox.burst():
                got.append((ctx.incarnation, message))
                if message == "crash":
                    raise ValueError("boom")

    async with running(bursts) as sup:
        for message in (1, "crash", 2, 3):
            sup.ref("a").tell(message)
        await trio.sleep(1)
        check_books(sup.tree())
        box = sup.tree().children[0].mailbox
        assert (box.handled, box.dead_letters, box.in_hand) == (3, 1, 0)
    assert got == [(1, 1), (1, "crash"), (2, 2), (2, 3)]


async def test_burst_ends_when_the_slice_is_over(autojump_clock) -> None:
    sizes = []
    done = trio.Event()

    async def bursts(ctx: Context[int]) -> None:
        while sum(sizes) < 100:
            count = 0
            for _ in await ctx.inbox.burst():
                count += 1
                work(0.0001)
            sizes.append(count)
        done.set()
        await trio.sleep_forever()

    async with running(bursts) as sup:
        for number in range(100):
            sup.ref("a").tell(number)
        with trio.fail_after(10):
            await done.wait()
    assert max(sizes) <= 6, "half a millisecond each"


@pytest.mark.shuffled
async def test_burst_may_be_left_early(check_books) -> None:
    got = []

    async def one_of_each_burst(ctx: Context[int]) -> None:
        while True:
            for message in await ctx.inbox.burst():
                got.append(message)
                break

    async with running(one_of_each_burst) as sup:
        for number in range(5):
            sup.ref("a").tell(number)
        await trio.sleep(1)
        check_books(sup.tree())
        assert sup.tree().children[0].mailbox.handled == 5
    assert got == [0, 1, 2, 3, 4]


@pytest.mark.shuffled
@pytest.mark.parametrize("how", ["burst", "receive", "where"])
async def test_B3_the_end_of_the_inbox_is_a_clean_end(how: str) -> None:
    async def reads(ctx: Context[int]) -> None:
        while True:
            match how:
                case "burst":
                    for _ in await ctx.inbox.burst():
                        pass
                case "receive":
                    await ctx.inbox.receive()
                case "where":
                    await ctx.inbox.receive(where=lambda number: True)

    async with running(reads, shutdown=5) as sup:
        ref = sup.ref("a")
        ref.tell(1)
        await trio.sleep(1)
        await sup.stop_child("a")
        assert trio.current_time() == 1
        assert await ref.join() == sup.tree().last_failure or (await ref.join()).kind == "shutdown"
        assert (await ref.join()).failure is None


@pytest.mark.shuffled
async def test_B3_the_end_of_the_inbox_inside_a_nursery_is_clean_too() -> None:
    async def reads_in_a_nursery(ctx: Context[int]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            while True:
                await ctx.inbox.receive()

    async with running(reads_in_a_nursery, shutdown=5) as sup:
        ref = sup.ref("a")
        await sup.stop_child("a")
        assert (await ref.join()).kind == "shutdown"


@pytest.mark.shuffled
async def test_an_inbox_dies_with_its_incarnation() -> None:
    kept = []

    async def leaks(ctx: Context[object]) -> None:
        kept.append(ctx)
        async for message in ctx.inbox:
            if message == "crash":
                raise ValueError("boom")

    async with running(leaks) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
        sup.ref("a").tell("for the new one")
        for read in (kept[0].inbox.receive, kept[0].inbox.burst):
            with pytest.raises(trio.ClosedResourceError):
                await read()


@pytest.mark.shuffled
async def test_cancelling_takes_no_message() -> None:
    got = []

    async def impatient(ctx: Context[int]) -> None:
        ctx.ready()
        while len(got) < 20:
            with trio.move_on_after(0.1):
                got.append(await ctx.inbox.receive())
        await trio.sleep_forever()

    async with running(impatient) as sup:
        for number in range(20):
            sup.ref("a").tell(number)
            await trio.sleep(0.1)  # at the very moment of the timeout
        await trio.sleep(1)
    assert got == list(range(20))


async def test_two_readers_are_refused(autojump_clock) -> None:
    faults = []

    async def two(ctx: Context[int]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ctx.inbox.receive)
            await trio.sleep(1)
            with pytest.raises(trio.BusyResourceError) as caught:
                await ctx.inbox.receive()
            faults.append(caught.value)
            nursery.cancel_scope.cancel()
        await trio.sleep_forever()

    async with running(two):
        await trio.sleep(2)
    assert len(faults) == 1


async def test_the_length_is_what_waits(autojump_clock) -> None:
    seen = []

    async def counts(ctx: Context[int]) -> None:
        async for _ in ctx.inbox:
            seen.append(len(ctx.inbox))

    async with running(counts, mailbox=unbounded()) as sup:
        for number in range(3):
            sup.ref("a").tell(number)
        await trio.sleep(1)
    assert seen == [2, 1, 0]


async def test_none_is_a_message_like_any_other(autojump_clock, check_books) -> None:
    got = []

    async def keep(ctx: Context[None]) -> None:
        async for message in ctx.inbox:
            got.append(message)

    async with running(keep) as sup:
        sup.ref("a").tell(None)
        await trio.sleep(1)
        check_books(sup.tree())
    assert got == [None]
