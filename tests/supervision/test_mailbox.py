"""A mailbox over crashes, restarts, stash, suspension and the end (rows C7-C9, C16)."""

from __future__ import annotations

import pytest
import trio

from potrio.supervision import (
    Backoff,
    Context,
    DeadLetter,
    Limit,
    Request,
    StashFull,
    bounded,
    child,
    open_supervisor,
    supervisor,
)

SECOND = Backoff(base=1, cap=1, jitter="none")


class Question(Request[str], frozen=True):
    """Asked in the tests."""


class Notes:
    """What an actor got and what became a dead letter."""

    def __init__(self) -> None:
        self.got: list[object] = []
        self.dead: list[tuple[object, str]] = []

    def observe(self, event: object) -> None:
        if isinstance(event, DeadLetter):
            self.dead.append((event.message, event.reason))

    async def __call__(self, ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            self.got.append(message)
            if str(message).startswith("crash"):
                raise ValueError(str(message))

    def running(self, fn=None, **values):
        spec = child(fn or self, **{"id": "a", **values})
        tree = supervisor(spec, id="root", limit=Limit.never(), backoff=SECOND)
        return open_supervisor(tree, observers=[self.observe])


# --- C7, C8, C9: restarts --------------------------------------------------------------------------------------------


@pytest.mark.shuffled
async def test_C7_queued_messages_are_kept_in_order_over_restarts(check_books) -> None:
    notes = Notes()
    async with notes.running() as sup:
        for message in (1, "crash a", 2, "crash b", 3):
            sup.ref("a").tell(message)
        await trio.sleep(0.5)
        check_books(sup.tree())
        sup.ref("a").tell("while down")
        await trio.sleep(5)
        check_books(sup.tree())
    assert notes.got == [1, "crash a", 2, "crash b", 3, "while down"]


@pytest.mark.shuffled
async def test_C8_the_message_in_hand_is_dead_lettered_exactly_once() -> None:
    notes = Notes()
    failures = []

    def observe(event: object) -> None:
        if isinstance(event, DeadLetter):
            failures.append(event.failure)

    async with notes.running() as sup:
        sup.observe(observe)
        sup.ref("a").tell("crash")
        await trio.sleep(5)
    assert notes.dead == [("crash", "crashed")]
    assert notes.got == ["crash"], "not redelivered"
    assert failures[0].text == "crash"


async def test_C7_the_mailbox_keeps_its_bound_while_in_backoff(autojump_clock) -> None:
    notes = Notes()
    async with notes.running(mailbox=bounded(2), backoff=Backoff(base=100, cap=100, jitter="none")) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
        assert [sup.ref("a").tell(number) for number in range(3)] == [True, True, False]
    assert notes.dead == [("crash", "crashed"), (2, "full"), (0, "stopping"), (1, "stopping")]


async def test_C7_on_restart_drop(autojump_clock, check_books) -> None:
    notes = Notes()
    async with notes.running(mailbox=bounded(9, on_restart="drop")) as sup:
        for message in ("crash", 1, 2):
            sup.ref("a").tell(message)
        await trio.sleep(5)
        check_books(sup.tree())
        sup.ref("a").tell(3)
        await trio.sleep(1)
    assert notes.got == ["crash", 3]
    assert notes.dead == [("crash", "crashed"), (1, "dropped"), (2, "dropped")]


@pytest.mark.shuffled
async def test_C7_a_group_restart_keeps_the_mailboxes_of_the_bystanders() -> None:
    notes = Notes()

    async def slow(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            await trio.sleep(0.1)
            notes.got.append((ctx.incarnation, message))

    tree = supervisor(
        child(Notes(), id="x"), child(slow, id="a"), id="root", strategy="one_for_all", backoff=SECOND
    )
    async with open_supervisor(tree, observers=[notes.observe]) as sup:
        for number in range(4):
            sup.ref("a").tell(number)
        sup.ref("x").tell("crash")
        await trio.sleep(0.01)
        assert sup.ref("a").tell("while down"), "a restart closes no mailbox"
        await trio.sleep(5)
    assert [message for _, message in notes.got] == [0, 1, 2, 3, "while down"]
    assert notes.got[0] == (1, 0), "the one in hand was finished"
    assert notes.got[1][0] == 2
    assert notes.dead == [("crash", "crashed")]


@pytest.mark.shuffled
async def test_C9_without_redelivery_a_poison_message_crashes_once() -> None:
    notes = Notes()
    async with notes.running() as sup:
        sup.ref("a").tell("crash")
        sup.ref("a").tell("next")
        await trio.sleep(9)
        assert sup.tree().children[0].incarnation == 2
    assert notes.got == ["crash", "next"]


@pytest.mark.shuffled
async def test_C9_redelivery_to_the_front_and_then_poison(check_books) -> None:
    notes = Notes()
    async with notes.running(redeliver=2) as sup:
        sup.ref("a").tell("crash")
        sup.ref("a").tell("next")
        for _ in range(9):
            await trio.sleep(0.7)
            check_books(sup.tree())
        assert sup.tree().children[0].incarnation == 4
    assert notes.got == ["crash", "crash", "crash", "next"]
    assert notes.dead == [("crash", "poison")]


async def test_C9_a_redelivered_message_that_works_is_handled(autojump_clock) -> None:
    notes = Notes()

    async def works_the_second_time(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            notes.got.append(message)
            if ctx.incarnation == 1:
                raise ValueError("boom")

    async with notes.running(works_the_second_time, redeliver=1) as sup:
        sup.ref("a").tell("x")
        await trio.sleep(5)
        assert sup.tree().children[0].mailbox.handled == 1
    assert notes.got == ["x", "x"]
    assert notes.dead == []


async def test_C9_a_redelivered_request_is_answered_by_the_next_incarnation(autojump_clock) -> None:
    async def answers_the_second_time(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if ctx.incarnation == 1:
                raise ValueError("boom")
            message.reply("answer")

    async with Notes().running(answers_the_second_time, redeliver=1) as sup:
        assert await sup.ref("a").ask(Question()) == "answer"
        assert trio.current_time() == 1


async def test_C9_an_answered_request_is_not_redelivered(autojump_clock) -> None:
    notes = Notes()

    async def answers_then_crashes(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            notes.got.append(ctx.incarnation)
            message.reply("answer")
            raise ValueError("boom")

    async with notes.running(answers_then_crashes, redeliver=5) as sup:
        assert await sup.ref("a").ask(Question()) == "answer"
        await trio.sleep(10)
    assert notes.got == [1]


# --- C16: stash ------------------------------------------------------------------------------------------------------


async def test_C16_stash_is_bounded(autojump_clock) -> None:
    notes = Notes()

    async def hoarder(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if message == 2:
                with pytest.raises(StashFull, match="2 messages"):
                    ctx.inbox.stash(message)
                return
            ctx.inbox.stash(message)

    async with notes.running(hoarder, stash_max=2, restart="transient") as sup:
        ref = sup.ref("a")
        for number in range(3):
            ref.tell(number)
        await ref.join()
    assert notes.dead == [(0, "dead"), (1, "dead")]


@pytest.mark.shuffled
async def test_C16_unstash_puts_all_back_in_front_in_order(check_books) -> None:
    notes = Notes()

    async def waits_for_open(ctx: Context[object]) -> None:
        is_open = False
        async for message in ctx.inbox:
            if message == "open":
                is_open = True
                assert ctx.inbox.unstash() == 3
            elif is_open:
                notes.got.append(message)
            else:
                ctx.inbox.stash(message)

    async with notes.running(waits_for_open) as sup:
        for message in (1, 2, 3):
            sup.ref("a").tell(message)
        await trio.sleep(1)
        assert sup.tree().children[0].mailbox.depth == 3, "set aside is still queued"
        check_books(sup.tree())
        sup.ref("a").tell("open")
        sup.ref("a").tell(4)
        await trio.sleep(1)
        check_books(sup.tree())
    assert notes.got == [1, 2, 3, 4]


@pytest.mark.shuffled
async def test_C16_a_restart_puts_the_stash_back_in_front(check_books) -> None:
    notes = Notes()

    async def stashes_in_its_first_life(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if ctx.incarnation > 1:
                notes.got.append(message)
            elif message == "crash":
                raise ValueError("boom")
            else:
                ctx.inbox.stash(message)

    async with notes.running(stashes_in_its_first_life) as sup:
        for message in (1, 2, "crash", 3):
            sup.ref("a").tell(message)
        await trio.sleep(0.5)
        check_books(sup.tree())
        await trio.sleep(5)
    assert notes.got == [1, 2, 3]
    assert notes.dead == [("crash", "crashed")]


async def test_C16_on_stop_the_stash_is_dead_lettered(autojump_clock) -> None:
    notes = Notes()

    async def stashes(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            ctx.inbox.stash(message)

    async with notes.running(stashes) as sup:
        sup.ref("a").tell("x")
        await trio.sleep(1)
    assert notes.dead == [("x", "stopping")]


async def test_C16_only_the_message_in_hand_can_be_stashed(autojump_clock) -> None:
    faults = []

    async def wrong(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            ctx.inbox.stash(message)
            for what in (message, "stranger"):
                with pytest.raises(RuntimeError) as caught:
                    ctx.inbox.stash(what)
                faults.append(str(caught.value))

    async with Notes().running(wrong) as sup:
        sup.ref("a").tell("x")
        await trio.sleep(1)
    assert len(faults) == 2


async def test_C16_requests_in_the_stash(autojump_clock, check_books) -> None:
    async def later(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if message == "open":
                ctx.inbox.unstash()
            elif ctx.me.alive and message.deadline > 5:
                message.reply("answer") if trio.current_time() >= 1 else ctx.inbox.stash(message)
            else:
                ctx.inbox.stash(message)

    async with Notes().running(later) as sup:
        ref = sup.ref("a")
        answers = []

        async def ask(timeout: float) -> None:
            with trio.move_on_after(timeout):
                answers.append(await ref.ask(Question(), timeout=10))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 9)
            nursery.start_soon(ask, 0.5)  # its asker goes away while it is set aside
            await trio.sleep(1)
            check_books(sup.tree())
            assert sup.tree().children[0].mailbox.depth == 1
            ref.tell("open")
        assert answers == ["answer"]
        check_books(sup.tree())


@pytest.mark.shuffled
async def test_C16_receive_where_skips_without_losing_order(check_books) -> None:
    notes = Notes()

    async def picky(ctx: Context[int]) -> None:
        notes.got.append(await ctx.inbox.receive(where=lambda number: number % 2 == 0))
        notes.got.append(await ctx.inbox.receive(where=lambda number: number > 4))
        async for number in ctx.inbox:
            notes.got.append(number)

    async with notes.running(picky) as sup:
        for number in (1, 3, 4, 5):
            sup.ref("a").tell(number)
            await trio.sleep(0.1)
            check_books(sup.tree())
        sup.ref("a").tell(6)
        await trio.sleep(1)
        check_books(sup.tree())
    assert notes.got == [4, 5, 1, 3, 6]


async def test_C16_receive_where_keeps_the_bound(autojump_clock) -> None:
    async def picky(ctx: Context[int]) -> None:
        await ctx.inbox.receive(where=lambda number: number == "never")

    async with Notes().running(picky, mailbox=bounded(3), shutdown=0) as sup:
        results = []
        for number in range(6):
            results.append(sup.ref("a").tell(number))
            await trio.sleep(1)
        assert results == [True, True, True, False, False, False]


# --- D8: suspension --------------------------------------------------------------------------------------------------


@pytest.mark.shuffled
async def test_D8_suspend_returns_when_nothing_is_in_hand_and_resume_goes_on() -> None:
    notes = Notes()

    async def slow(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            await trio.sleep(2)
            notes.got.append((message, trio.current_time()))

    async with notes.running(slow) as sup:
        ref = sup.ref("a")
        ref.tell("a")
        ref.tell("b")
        await trio.sleep(1)
        await ref.suspend()
        assert trio.current_time() == 2
        await trio.sleep(10)
        assert notes.got == [("a", 2)]
        ref.resume()
        await trio.sleep(3)
    assert notes.got == [("a", 2), ("b", 14)]


async def test_D8_a_cancelled_suspend_resumes(autojump_clock) -> None:
    notes = Notes()

    async def slow(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            await trio.sleep(2)
            notes.got.append(message)

    async with notes.running(slow) as sup:
        ref = sup.ref("a")
        ref.tell("a")
        ref.tell("b")
        await trio.sleep(1)
        with trio.move_on_after(0.5):
            await ref.suspend()
        await trio.sleep(5)
    assert notes.got == ["a", "b"]


async def test_D8_a_suspended_actor_can_be_stopped(autojump_clock) -> None:
    notes = Notes()
    async with notes.running() as sup:
        await sup.ref("a").suspend()
        sup.ref("a").tell("x")
        await trio.sleep(1)
    assert trio.current_time() == 1
    assert notes.dead == [("x", "stopping")]


async def test_D8_suspend_with_burst(autojump_clock) -> None:
    notes = Notes()

    async def bursts(ctx: Context[object]) -> None:
        while True:
            for message in await ctx.inbox.burst():
                notes.got.append(message)

    async with notes.running(bursts) as sup:
        ref = sup.ref("a")
        await ref.suspend()
        ref.tell("x")
        await trio.sleep(1)
        assert notes.got == []
        ref.resume()
        await trio.sleep(1)
        assert notes.got == ["x"]
