"""Requests and replies: what the asker gets in every case, and when (rows C11-C14)."""

from __future__ import annotations

import gc
import weakref

import pytest
import trio

from potrio.supervision import (
    ActorCrashed,
    ActorDead,
    AskTimeout,
    Backoff,
    Call,
    Context,
    DeadLetter,
    Limit,
    MailboxFull,
    NoReply,
    Request,
    bounded,
    child,
    latest,
    open_supervisor,
    supervisor,
)


class Question(Request[str], frozen=True):
    """Asked in the tests."""

    text: str = ""


TEN = Backoff(base=10, cap=10, jitter="none")


class World:
    """One actor that does with requests what their text says; the outcome of each ask with its moment."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.held: list[Call[str]] = []
        self.dead: list[tuple[object, str]] = []
        self.outcomes: list[tuple[str, float]] = []

    async def __call__(self, ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if not isinstance(message, Call):
                if message == "crash":
                    raise ValueError("boom")
                if message == "drop held":
                    self.held.clear()
                    gc.collect()
                if message == "return":
                    return
                continue
            self.served.append(message.msg.text)
            match message.msg.text:
                case "crash":
                    await trio.sleep(2)
                    raise ValueError("boom")
                case "slow":
                    await trio.sleep(3)
                    message.reply("late")
                case "hold":
                    self.held.append(message)
                case "refuse":
                    message.fail(KeyError("no"))
                case "forget":
                    pass
                case "return":
                    return
                case text:
                    message.reply(f"re: {text}")

    def observe(self, event: object) -> None:
        if isinstance(event, DeadLetter):
            self.dead.append((getattr(event.message, "text", event.message), event.reason))

    def running(self, **values):
        spec = child(self, **{"id": "a", "shutdown": 0, **values})
        tree = supervisor(spec, id="root", limit=Limit.never(), backoff=TEN)
        return open_supervisor(tree, observers=[self.observe])

    async def ask(self, ref, text: str, **values) -> None:
        try:
            outcome = await ref.ask(Question(text), **values)
        except Exception as error:  # noqa: BLE001 - the outcome is what the test looks at
            outcome = type(error).__name__
            if error.__cause__ is not None:
                outcome += f" from {type(error.__cause__).__name__}"
        self.outcomes.append((outcome, trio.current_time()))


@pytest.mark.shuffled
async def test_C11_a_reply_comes_back() -> None:
    world = World()
    async with world.running() as sup:
        assert await sup.ref("a").ask(Question("hello")) == "re: hello"
        assert await sup.ref("a").ask(Question("hello"), timeout=None) == "re: hello"


async def test_C11_an_error_comes_back(autojump_clock) -> None:
    async with World().running() as sup:
        with pytest.raises(KeyError, match="no"):
            await sup.ref("a").ask(Question("refuse"))


@pytest.mark.shuffled
async def test_C12_a_dead_callee_is_an_error_without_time_passing() -> None:
    world = World()
    async with world.running() as sup:
        ref = sup.ref("a")
        await sup.stop_child("a")
        await world.ask(ref, "x")
    assert world.outcomes == [("ActorDead", 0)]


@pytest.mark.shuffled
async def test_C12_a_crash_with_the_request_in_hand() -> None:
    world = World()
    async with world.running() as sup:
        await world.ask(sup.ref("a"), "crash")
    assert world.outcomes == [("ActorCrashed from ValueError", 2)]


@pytest.mark.shuffled
async def test_C12_a_crash_with_a_request_held_for_later() -> None:
    world = World()
    async with world.running() as sup, trio.open_nursery() as nursery:
        nursery.start_soon(world.ask, sup.ref("a"), "hold")
        await trio.sleep(1)
        sup.ref("a").tell("crash")
    assert world.outcomes == [("ActorCrashed from ValueError", 1)]


@pytest.mark.shuffled
async def test_C12_a_crash_with_the_request_queued_is_served_by_the_next_incarnation() -> None:
    world = World()
    async with world.running() as sup:
        sup.ref("a").tell("crash")
        await world.ask(sup.ref("a"), "x", timeout=60)
    assert world.outcomes == [("re: x", 10)]


@pytest.mark.shuffled
async def test_C12_a_stop_for_good_with_the_request_queued() -> None:
    world = World()
    async with world.running(drain=False) as sup, trio.open_nursery() as nursery:
        nursery.start_soon(world.ask, sup.ref("a"), "slow")
        await trio.sleep(1)
        nursery.start_soon(world.ask, sup.ref("a"), "queued")
        await trio.sleep(1)
        await sup.stop_child("a")
    assert sorted(world.outcomes) == [("ActorCrashed", 2), ("ActorDead", 2)]
    assert ("queued", "stopping") in world.dead


@pytest.mark.shuffled
async def test_C13_a_timeout_at_its_moment() -> None:
    world = World()
    async with world.running() as sup:
        await world.ask(sup.ref("a"), "slow", timeout=1.5)
        await trio.sleep(5)
    assert world.outcomes == [("AskTimeout", 1.5)]
    assert world.dead == [("late", "late_reply")]


async def test_C11_the_default_timeout_is_the_actors(autojump_clock) -> None:
    world = World()
    async with world.running(ask_timeout=0.25) as sup:
        await world.ask(sup.ref("a"), "hold")
    assert world.outcomes == [("AskTimeout", 0.25)]


async def test_C13_ask_timeout_is_a_too_slow_error(autojump_clock) -> None:
    async with World().running() as sup:
        with pytest.raises(trio.TooSlowError, match=r"root/a did not answer within 1 s"):
            await sup.ref("a").ask(Question("hold"), timeout=1)


async def test_C11_no_timeout_waits(autojump_clock) -> None:
    world = World()
    async with world.running() as sup, trio.open_nursery() as nursery:

        async def ask() -> None:
            await world.ask(sup.ref("a"), "hold", timeout=None)

        nursery.start_soon(ask)
        await trio.sleep(10_000)
        world.held[0].reply("at last")
    assert world.outcomes == [("at last", 10_000)]


@pytest.mark.shuffled
async def test_C13_an_expired_request_is_never_delivered_after_a_backoff(check_books) -> None:
    world = World()
    async with world.running() as sup:
        sup.ref("a").tell("crash")
        await world.ask(sup.ref("a"), "order", timeout=3)
        check_books(sup.tree())
        assert sup.tree().children[0].mailbox.depth == 0
        await trio.sleep(60)
        check_books(sup.tree())
    assert world.served == []
    assert world.dead == [("crash", "crashed"), ("order", "abandoned")]
    assert world.outcomes == [("AskTimeout", 3)]


@pytest.mark.shuffled
async def test_C13_a_cancelled_asker_leaves_nothing_behind(check_books) -> None:
    world = World()
    async with world.running() as sup:
        sup.ref("a").tell("crash")
        with trio.move_on_after(1):
            await sup.ref("a").ask(Question("order"), timeout=None)
        assert world.dead == [("crash", "crashed"), ("order", "abandoned")]
        await trio.sleep(60)
        check_books(sup.tree())
    assert world.served == []


async def test_C13_ask_under_a_cancelled_scope_is_not_delivered(autojump_clock) -> None:
    world = World()
    async with world.running() as sup:
        with trio.CancelScope() as scope:
            scope.cancel()
            await sup.ref("a").ask(Question("order"))
        await trio.sleep(1)
    assert world.served == []


@pytest.mark.shuffled
async def test_C13_the_callee_sees_that_the_asker_has_gone() -> None:
    world = World()
    async with world.running() as sup:
        await world.ask(sup.ref("a"), "hold", timeout=1)
        (call,) = world.held
        assert call.abandoned
        assert call.reply("late") is False
        assert world.dead == [("late", "late_reply")]
        assert call.deadline == 1


async def test_C13_nothing_of_an_abandoned_request_stays_referenced(autojump_clock) -> None:
    class Payload:
        pass

    class Heavy(Request[str], frozen=True, weakref=True):
        payload: Payload

    world = World()
    async with world.running(backoff=Backoff(base=10**5, cap=10**5, jitter="none")) as sup:
        sup.ref("a").tell("crash")
        await trio.sleep(1)
        payload = Payload()
        seen = weakref.ref(payload)
        with pytest.raises(AskTimeout):
            await sup.ref("a").ask(Heavy(payload), timeout=1)
        del payload
        world.dead.clear()
        await trio.sleep(1)  # trio's own loop keeps the error of the task it runs until that task waits
        gc.collect()
        assert seen() is None, "although its shell waits in the mailbox of an actor in backoff"


async def test_C13_shells_of_abandoned_requests_take_no_room(autojump_clock, check_books) -> None:
    world = World()
    async with world.running(mailbox=bounded(2), backoff=Backoff(base=100, cap=100, jitter="none")) as sup:
        ref = sup.ref("a")
        ref.tell("crash")
        await trio.sleep(1)
        for _ in range(2):
            await world.ask(ref, "order", timeout=1)
        assert [ref.tell(number) for number in range(3)] == [True, True, False]
        check_books(sup.tree())
        await trio.sleep(200)
        check_books(sup.tree())


async def test_C10_a_request_out_of_time_is_expired_even_before_the_timer_has_run(
    autojump_clock, check_books
) -> None:
    world = World()

    async def stalls(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if message == "stall":
                autojump_clock.jump(10)  # time passes, and no other task has a turn
            else:
                world.served.append(message.msg.text)

    tree = supervisor(child(stalls, id="a"), id="root")
    async with open_supervisor(tree, observers=[world.observe]) as sup:
        sup.ref("a").tell("stall")
        await world.ask(sup.ref("a"), "order", timeout=2)
        check_books(sup.tree())
    assert world.served == []
    assert world.outcomes[0][0] == "AskTimeout"
    assert world.dead[0][1] in ("expired", "abandoned")


# --- C14 -------------------------------------------------------------------------------------------------------------


async def test_C14_a_second_reply_is_an_error_in_the_callee(autojump_clock) -> None:
    faults = []

    async def twice(ctx: Context[object]) -> None:
        async for call in ctx.inbox:
            assert call.reply("one")
            with pytest.raises(RuntimeError, match="answered already"):
                call.reply("two")
            faults.append("refused")
            with pytest.raises(RuntimeError, match="answered already"):
                call.fail(ValueError("three"))
            faults.append("refused")

    async with open_supervisor(supervisor(child(twice, id="a"), id="root")) as sup:
        assert await sup.ref("a").ask(Question()) == "one"
        await trio.sleep(1)
    assert faults == ["refused", "refused"]


@pytest.mark.shuffled
async def test_C14_replies_may_come_later_and_from_elsewhere() -> None:
    world = World()
    async with world.running() as sup, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(world.ask, sup.ref("a"), "hold")
        await trio.sleep(1)
        for number, call in enumerate(reversed(world.held)):
            call.reply(str(number))
    assert sorted(world.outcomes) == [("0", 1), ("1", 1), ("2", 1)]


@pytest.mark.shuffled
async def test_C14_an_unanswered_request_fails_when_the_call_is_dropped() -> None:
    world = World()
    async with world.running() as sup, trio.open_nursery() as nursery:

        async def ask() -> None:
            await world.ask(sup.ref("a"), "hold", timeout=None)

        nursery.start_soon(ask)
        await trio.sleep(1)
        sup.ref("a").tell("drop held")
    assert world.outcomes == [("NoReply", 1)]


@pytest.mark.shuffled
async def test_C14_a_forgotten_request_fails_when_the_actor_takes_the_next_message() -> None:
    world = World()
    async with world.running() as sup, trio.open_nursery() as nursery:

        async def ask() -> None:
            await world.ask(sup.ref("a"), "forget", timeout=100)

        nursery.start_soon(ask)
        await trio.sleep(1)
        sup.ref("a").tell("next")
    assert world.outcomes == [("NoReply", 1)]


@pytest.mark.shuffled
async def test_C14_an_unanswered_request_fails_when_the_actor_returns() -> None:
    world = World()
    async with world.running(restart="transient") as sup, trio.open_nursery() as nursery:
        nursery.start_soon(world.ask, sup.ref("a"), "hold")
        await trio.sleep(1)
        sup.ref("a").tell("return")
    assert world.outcomes == [("NoReply", 1)]


async def test_C11_no_room_is_said_at_once(autojump_clock) -> None:
    world = World()
    async with world.running(mailbox=bounded(1)) as sup:
        ref = sup.ref("a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.ask, ref, "slow")
            await trio.sleep(0.5)
            ref.tell("fills the mailbox")
            with pytest.raises(MailboxFull):
                await ref.ask(Question("x"))
    assert trio.current_time() == 3


@pytest.mark.parametrize(("overflow", "reason"), [("drop_oldest", "dropped"), ("drop_newest", "dropped")])
async def test_C11_a_request_that_the_mailbox_gives_up_fails_at_once(
    overflow, reason, autojump_clock
) -> None:
    world = World()
    async with world.running(mailbox=bounded(1, overflow)) as sup, trio.open_nursery() as nursery:
        ref = sup.ref("a")
        nursery.start_soon(world.ask, ref, "slow")
        await trio.sleep(0.5)
        nursery.start_soon(world.ask, ref, "first")
        await trio.sleep(0.5)
        nursery.start_soon(world.ask, ref, "second")
        await trio.sleep(0.5)
    assert sorted(world.outcomes)[0] == ("NoReply", 0.5 + 0.5)
    assert (("first" if overflow == "drop_oldest" else "second"), reason) in world.dead


async def test_C10_on_restart_drop_fails_queued_requests(autojump_clock) -> None:
    world = World()
    async with world.running(mailbox=latest(key=type, on_restart="drop")) as sup:
        sup.ref("a").tell("crash")
        await world.ask(sup.ref("a"), "x", timeout=60)
    assert world.outcomes == [("NoReply", 10)]


def test_errors_name_the_actor() -> None:
    for error in (ActorDead("root/a"), ActorCrashed("root/a"), NoReply("root/a"), MailboxFull("root/a")):
        assert "root/a" in str(error)
    assert isinstance(ActorCrashed("x"), ActorDead)


async def test_the_repr_of_a_call_shows_no_content(autojump_clock) -> None:
    world = World()
    async with world.running() as sup, trio.open_nursery() as nursery:
        nursery.start_soon(world.ask, sup.ref("a"), "hold")
        await trio.sleep(1)
        call = world.held[0]
        assert repr(call) == "<Call Question open>"
        call.reply("x")
        assert repr(call) == "<Call Question answered>"


# --- requests that are passed on -------------------------------------------------------------------------------------


def relay(world: World, **values):
    async def front(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if message == "crash":
                raise ValueError("boom")
            await ctx.lookup("a").send(message)

    children = (
        child(world, **{"id": "a", "shutdown": 0, **values}),
        child(front, id="front", restart="temporary"),
    )
    return open_supervisor(
        supervisor(*children, id="root", limit=Limit.never(), backoff=TEN), observers=[world.observe]
    )


@pytest.mark.shuffled
async def test_C14_a_request_may_be_passed_on_and_answered_by_another_actor(check_books) -> None:
    world = World()
    async with relay(world) as sup:
        assert await sup.ref("front").ask(Question("hello")) == "re: hello"
        check_books(sup.tree())


@pytest.mark.shuffled
async def test_C12_who_has_taken_a_request_over_answers_for_it(check_books) -> None:
    world = World()
    async with relay(world) as sup:
        await world.ask(sup.ref("front"), "crash")
        assert world.outcomes == [("ActorCrashed from ValueError", 2)]
        check_books(sup.tree())


@pytest.mark.shuffled
async def test_C12_the_end_of_who_passed_it_on_does_not_matter() -> None:
    world = World()
    async with relay(world) as sup, trio.open_nursery() as nursery:
        nursery.start_soon(world.ask, sup.ref("front"), "slow")
        await trio.sleep(1)
        sup.ref("front").tell("crash")
    assert world.outcomes == [("late", 3)]


@pytest.mark.shuffled
async def test_C13_a_request_abandoned_after_it_was_passed_on_is_not_delivered(check_books) -> None:
    world = World()
    async with relay(world) as sup:
        sup.ref("a").tell("crash")  # ten seconds of backoff
        await trio.sleep(1)
        await world.ask(sup.ref("front"), "order", timeout=2)
        check_books(sup.tree())
        assert world.dead[-1] == ("order", "abandoned")
        await trio.sleep(20)
        check_books(sup.tree())
    assert world.served == []


@pytest.mark.shuffled
async def test_C13_a_request_passed_on_after_its_asker_has_gone_is_not_delivered(check_books) -> None:
    world = World()
    async with world.running() as sup:
        await world.ask(sup.ref("a"), "hold", timeout=1)
        sup.ref("a").tell(world.held[0])
        await trio.sleep(1)
        check_books(sup.tree())
        assert world.served == ["hold"]
