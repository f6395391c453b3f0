"""Putting and taking: overflow rules, waiting senders, the control lane (rows C2, C3, C5, C6)."""

from __future__ import annotations

import pytest
import trio

from potrio.supervision import (
    ActorDead,
    Call,
    Context,
    DeadLetter,
    Request,
    bounded,
    child,
    lanes,
    latest,
    open_supervisor,
    supervisor,
    unbounded,
)


class Question(Request[str], frozen=True):
    """Asked in the tests."""


class Gate:
    """An actor that waits for the gate before it reads, and keeps what it gets."""

    def __init__(self) -> None:
        self.open = trio.Event()
        self.got: list[object] = []
        self.dead: list[tuple[object, str]] = []

    async def __call__(self, ctx: Context[object]) -> None:
        ctx.ready()
        await self.open.wait()
        async for message in ctx.inbox:
            self.got.append(message)
            if isinstance(message, Call):
                message.reply("answer")

    def observe(self, event: object) -> None:
        if isinstance(event, DeadLetter):
            self.dead.append((event.message, event.reason))

    def running(self, mailbox, **values):
        tree = supervisor(child(self, id="a", mailbox=mailbox, **values), id="root")
        return open_supervisor(tree, observers=[self.observe])


def books(sup):
    return sup.tree().children[0].mailbox


@pytest.mark.shuffled
async def test_C1_tell_says_whether_it_was_queued(check_books) -> None:
    gate = Gate()
    async with gate.running(bounded(2)) as sup:
        ref = sup.ref("a")
        assert [ref.tell(number) for number in range(4)] == [True, True, False, False]
        assert gate.dead == [(2, "full"), (3, "full")]
        assert books(sup).depth == books(sup).peak == 2
        assert books(sup).dropped == 2
        gate.open.set()
        await trio.sleep(1)
        assert gate.got == [0, 1]
        check_books(sup.tree())
    assert not ref.tell("after the end")
    assert gate.dead[-1] == ("after the end", "dead")


async def test_C1_tell_is_no_checkpoint(autojump_clock) -> None:
    gate = Gate()
    async with gate.running(bounded(2)) as sup:
        with trio.testing.assert_no_checkpoints():
            sup.ref("a").tell("x")
        gate.open.set()


@pytest.mark.shuffled
async def test_C3_drop_oldest(check_books) -> None:
    gate = Gate()
    async with gate.running(bounded(2, "drop_oldest")) as sup:
        assert all(sup.ref("a").tell(number) for number in range(5))
        assert gate.dead == [(0, "dropped"), (1, "dropped"), (2, "dropped")]
        check_books(sup.tree())
        gate.open.set()
        await trio.sleep(1)
    assert gate.got == [3, 4]


@pytest.mark.shuffled
async def test_C3_drop_newest(check_books) -> None:
    gate = Gate()
    async with gate.running(bounded(2, "drop_newest")) as sup:
        assert [sup.ref("a").tell(number) for number in range(4)] == [True, True, False, False]
        assert gate.dead == [(2, "dropped"), (3, "dropped")]
        check_books(sup.tree())
        gate.open.set()
        await trio.sleep(1)
    assert gate.got == [0, 1]


@pytest.mark.shuffled
async def test_C4_latest_in_an_actor(check_books) -> None:
    gate = Gate()
    async with gate.running(latest(key=lambda item: item[0])) as sup:
        for item in (("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2)):
            assert sup.ref("a").tell(item)
        check_books(sup.tree())
        gate.open.set()
        await trio.sleep(1)
    assert gate.got == [("a", 2), ("b", 2), ("c", 1)]
    assert gate.dead == [(("a", 1), "dropped"), (("b", 1), "dropped")]


async def test_C4_requests_are_never_conflated(autojump_clock) -> None:
    gate = Gate()
    async with gate.running(latest(key=type)) as sup:
        answers = []

        async def ask() -> None:
            answers.append(await sup.ref("a").ask(Question()))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
            await trio.sleep(1)
            gate.open.set()
        assert answers == ["answer"] * 3


@pytest.mark.shuffled
async def test_C2_send_waits_for_room_first_come_first_served(check_books) -> None:
    gate = Gate()
    sent = []
    async with gate.running(bounded(1)) as sup:
        ref = sup.ref("a")

        async def send(number: int) -> None:
            await ref.send(number)
            sent.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(send, number)
                await trio.sleep(1)
            assert sent == [0]
            assert not ref.tell("no room")
            check_books(sup.tree())
            gate.open.set()
        await trio.sleep(1)
    assert gate.got == [0, 1, 2, 3, 4]
    assert sorted(sent) == [0, 1, 2, 3, 4]


@pytest.mark.shuffled
async def test_C2_a_cancelled_send_has_not_queued(check_books) -> None:
    gate = Gate()
    async with gate.running(bounded(1)) as sup:
        ref = sup.ref("a")
        await ref.send("first")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.send, "third")
            with trio.move_on_after(1) as scope:
                await ref.send("second")
            assert scope.cancelled_caught
            check_books(sup.tree())
            gate.open.set()
        await trio.sleep(1)
    assert gate.got == ["first", "third"]


@pytest.mark.shuffled
async def test_C2_send_raises_when_the_actor_ends_meanwhile(check_books) -> None:
    gate = Gate()
    async with gate.running(bounded(1), shutdown=0) as sup:
        ref = sup.ref("a")
        await ref.send("first")
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                with pytest.raises(ActorDead):
                    await ref.send("second")

            nursery.start_soon(send)
            await trio.sleep(1)
            await sup.stop_child("a")
        with pytest.raises(ActorDead):
            await ref.send("third")
    assert gate.dead == [("second", "stopping"), ("first", "stopping"), ("third", "dead")]


async def test_C2_send_is_no_checkpoint_when_there_is_room(autojump_clock) -> None:
    gate = Gate()
    async with gate.running(bounded(1)) as sup:
        with trio.testing.assert_no_checkpoints():
            await sup.ref("a").send("x")
        gate.open.set()


async def test_C2_send_never_waits_where_the_spec_drops(autojump_clock) -> None:
    gate = Gate()
    async with gate.running(bounded(1, "drop_newest")) as sup:
        await sup.ref("a").send("kept")
        await sup.ref("a").send("dropped")
        assert gate.dead == [("dropped", "dropped")]
        gate.open.set()


@pytest.mark.shuffled
async def test_C5_lanes_in_an_actor_and_a_full_lane_blocks_no_other() -> None:
    gate = Gate()
    mailbox = lanes(unbounded(), bounded(1), lane=lambda item: 0 if str(item).startswith("!") else 1)
    async with gate.running(mailbox) as sup:
        ref = sup.ref("a")
        await ref.send("one")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.send, "two")
            await trio.sleep(1)
            await ref.send("!urgent")
            assert trio.current_time() % 10 == 1, "did not wait behind the full lane"
            gate.open.set()
        await trio.sleep(1)
    assert gate.got == ["!urgent", "one", "two"]


async def test_C5_the_lane_function_sees_the_request_itself(autojump_clock) -> None:
    seen = []
    gate = Gate()

    def lane(message: object) -> int:
        seen.append(type(message))
        return 0

    async with gate.running(lanes(bounded(2), lane=lane)) as sup:
        gate.open.set()
        assert await sup.ref("a").ask(Question()) == "answer"
    assert seen == [Question]


@pytest.mark.shuffled
async def test_C5_stop_works_on_a_full_mailbox() -> None:
    gate = Gate()
    async with gate.running(bounded(1), drain=False) as sup:
        assert sup.ref("a").tell("x")
        assert not sup.ref("a").tell("y")
        gate.open.set()
        await sup.stop_child("a")
    assert gate.got == []


@pytest.mark.shuffled
async def test_C5_timers_come_before_data_on_a_full_mailbox() -> None:
    got = []

    async def slow(ctx: Context[str]) -> None:
        ctx.after(1, "timer")
        async for message in ctx.inbox:
            got.append(message)
            await trio.sleep(2)

    async with open_supervisor(supervisor(child(slow, id="a", mailbox=bounded(2)), id="root")) as sup:
        ref = sup.ref("a")
        ref.tell("first")
        await trio.sleep(0.5)
        ref.tell("second")
        ref.tell("third")
        await trio.sleep(20)
    assert got == ["first", "timer", "second", "third"]


@pytest.mark.shuffled
async def test_C6_one_sender_one_order_across_tell_send_and_ask_and_a_restart() -> None:
    got = []

    async def keeper(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if message == "crash":
                raise ValueError("boom")
            if isinstance(message, Call):
                got.append("asked")
                message.reply("answer")
            else:
                got.append(message)

    async with open_supervisor(supervisor(child(keeper, id="a"), id="root")) as sup:
        ref = sup.ref("a")
        for number in range(3):
            ref.tell(number)
            await ref.send(number + 0.5)
        ref.tell("crash")
        ref.tell(3)
        assert await ref.ask(Question()) == "answer"
        await ref.send("last")
        await trio.sleep(5)
    assert got == [0, 0.5, 1, 1.5, 2, 2.5, 3, "asked", "last"]


async def test_C3_wait_of_the_oldest(autojump_clock) -> None:
    gate = Gate()
    async with gate.running(bounded(1000)) as sup:
        ref = sup.ref("a")
        assert books(sup).oldest_wait == 0
        ref.tell(0)
        await trio.sleep(3)
        ref.tell(1)
        assert books(sup).oldest_wait == 3
        for number in range(200):
            ref.tell(number)
        await trio.sleep(2)
        assert books(sup).oldest_wait == 5
        gate.open.set()
        await trio.sleep(1)
        assert books(sup).oldest_wait == 0


async def test_C3_wait_of_the_oldest_moves_on_with_the_queue(autojump_clock) -> None:
    async def slow(ctx: Context[int]) -> None:
        async for _ in ctx.inbox:
            await trio.sleep(1)

    async with open_supervisor(supervisor(child(slow, id="a", shutdown=0), id="root")) as sup:
        ref = sup.ref("a")
        for _ in range(300):
            ref.tell(0)
            await trio.sleep(0.5)
        await trio.sleep(0.25)
        # 150 s have passed and about 150 messages are handled: number 151 came after 75 s, to within 64 messages
        assert 75 <= books(sup).oldest_wait <= 75 + 32 + 1


@pytest.mark.shuffled
async def test_C3_waiting_senders_never_push_the_peak_above_the_bound() -> None:
    gate = Gate()
    async with gate.running(bounded(3)) as sup, trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(sup.ref("a").send, number)
        await trio.sleep(1)
        gate.open.set()
        await trio.sleep(1)
        assert books(sup).peak == 3
    assert sorted(gate.got) == list(range(8))


@pytest.mark.shuffled
async def test_C13_the_place_of_an_abandoned_request_goes_to_a_waiting_sender(check_books) -> None:
    gate = Gate()
    async with gate.running(bounded(1)) as sup:
        ref = sup.ref("a")

        async def asks() -> None:
            with trio.move_on_after(2):
                await ref.ask(Question(), timeout=None)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(asks)
            await trio.sleep(1)
            await ref.send("has to wait")
            assert trio.current_time() == 2
            check_books(sup.tree())
        gate.open.set()
        await trio.sleep(1)
    assert gate.got == ["has to wait"]
