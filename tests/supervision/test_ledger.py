"""Dead letters and the books: every message is accounted for (rows C10 and the law of mailboxes)."""

from __future__ import annotations

import pytest
import trio
import trio.lowlevel

from potrio.supervision import (
    AskTimeout,
    Backoff,
    Call,
    Context,
    DeadLetter,
    Limit,
    Request,
    bounded,
    child,
    latest,
    open_supervisor,
    supervisor,
)
from potrio.supervision.ledger import NOTHING


class Question(Request[str], frozen=True):
    """Asked in the tests."""


def observer(dead: list[DeadLetter]):
    return lambda event: dead.append(event) if isinstance(event, DeadLetter) else None


@pytest.mark.shuffled
async def test_C10_every_reason_is_counted_per_actor(check_books) -> None:
    dead: list[DeadLetter] = []

    async def busy(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            match message:
                case "crash":
                    raise ValueError("boom")
                case "slow":
                    await trio.sleep(5)
                case Call() as call:
                    await trio.sleep(3)
                    call.reply("late")

    tree = supervisor(
        child(busy, id="a", mailbox=bounded(2), shutdown=1),
        id="root",
        backoff=Backoff(1, 1, "none"),
        limit=Limit.never(),
    )
    async with open_supervisor(tree, observers=[observer(dead)]) as sup:
        ref = sup.ref("a")
        ref.tell("crash")  # crashed
        await trio.sleep(2)
        with pytest.raises(AskTimeout):
            await ref.ask(Question(), timeout=1)  # late_reply
        with pytest.raises(AskTimeout):
            await ref.ask(Question(), timeout=1)  # abandoned: the first is still being worked on
        await trio.sleep(5)
        ref.tell("slow")
        await trio.lowlevel.checkpoint()
        await trio.sleep(0.1)
        for number in range(3):
            ref.tell(number)  # the third: full
        check_books(sup.tree())
        counted = dict(sup.tree().children[0].mailbox.reasons)
    assert counted == {"crashed": 1, "late_reply": 1, "abandoned": 1, "full": 1}
    reasons = [event.reason for event in dead]
    assert reasons == ["crashed", "abandoned", "late_reply", "full", "crashed", "stopping", "stopping"]
    assert [event.accepted for event in dead] == [True, True, False, False, True, True, True]
    assert not ref.tell("too late")
    assert (dead[-1].reason, dead[-1].accepted) == ("dead", False)


@pytest.mark.shuffled
async def test_C10_on_a_terminal_stop_every_accepted_message_is_accounted_for() -> None:
    dead: list[DeadLetter] = []
    handled = []

    async def slow(ctx: Context[int]) -> None:
        async for message in ctx.inbox:
            await trio.sleep(1)
            handled.append(message)

    async with open_supervisor(
        supervisor(child(slow, id="a", shutdown=3.2), id="root"), observers=[observer(dead)]
    ) as sup:
        cell = sup._engine.table.get("a").cell
        accepted = sum(sup.ref("a").tell(number) for number in range(10))
        await trio.sleep(2.5)
    assert handled == [0, 1, 2, 3, 4]
    assert accepted == len(handled) + len(dead) == 10
    assert (cell.box.accepted, cell.box.handled, cell.box.dead, cell.box.depth) == (10, 5, 5, 0)


async def test_C10_the_letter_carries_the_message_and_the_request(autojump_clock) -> None:
    dead: list[DeadLetter] = []

    async def quiet(ctx: Context[object]) -> None:
        async for _ in ctx.inbox:
            pass

    async with open_supervisor(
        supervisor(child(quiet, id="a"), id="root"), observers=[observer(dead)]
    ) as sup:
        ref = sup.ref("a")
        await sup.stop_child("a")
        ref.tell({"a": 1})
        with pytest.raises(Exception, match="root/a"):
            await ref.ask(Question())
    assert [event.message for event in dead] == [{"a": 1}, Question()]
    assert {event.to for event in dead} == {"root/a"}


async def test_replaced_messages_are_dropped_ones(autojump_clock) -> None:
    dead: list[DeadLetter] = []

    async def quiet(ctx: Context[object]) -> None:
        async for _ in ctx.inbox:
            pass

    tree = supervisor(child(quiet, id="a", mailbox=latest(key=type)), id="root")
    async with open_supervisor(tree, observers=[observer(dead)]) as sup:
        for number in range(3):
            sup.ref("a").tell(number)
        assert sup.tree().children[0].mailbox.dropped == 2
    assert [(event.message, event.reason, event.accepted) for event in dead] == [
        (0, "dropped", True),
        (1, "dropped", True),
    ]


def test_nothing_prints_itself() -> None:
    assert repr(NOTHING) == "NOTHING"
