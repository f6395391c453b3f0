"""History: one page on the wire at a time, equal ones shared, and every asker gets an answer or an error."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from potrio.actor_errors import ActorDead
from potrio.actors.history import HistoryState, LoadPage, history
from potrio.actors.keys import CONNECTION, HISTORY
from potrio.actors.link import LinkLost, LinkPhase, LinkState, Transmit
from potrio.errors import NotConnected, RequestTimeout
from potrio.limits import REQUEST_TIMEOUT
from potrio.protocol.messages.market import HistoryPeriod
from potrio.supervision.spec import child

from .conftest import ASSET, OTHER, crash, recording, running, settle


class Desk:
    def __init__(self) -> None:
        self.told: list[Transmit] = []
        self.link, self.state = LinkState(), HistoryState()
        self.answers: dict[str, object] = {}

    def children(self):
        return (
            recording(CONNECTION, self.told),
            child(history, self.state, self.link, id=HISTORY, ask_timeout=None),
        )

    def up(self) -> None:
        self.link.begin("ws://venue")
        self.link.enter(LinkPhase.READY, 0.0)

    async def ask(self, name: str, page: LoadPage, task_status=trio.TASK_STATUS_IGNORED) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            try:
                self.answers[name] = await self.sup.ref(HISTORY).ask(page)
            except (NotConnected, RequestTimeout, ActorDead) as error:
                self.answers[name] = type(error)

    async def reply(self, request: Transmit, **changes) -> HistoryPeriod:
        fields = {"asset": request.message.asset, "index": request.message.index, **changes}
        answer = HistoryPeriod(period=60, candles=[], ticks=[], **fields)
        self.sup.ref(HISTORY).tell(answer)
        await settle()
        return answer


def page(end: int, asset: str = ASSET) -> LoadPage:
    return LoadPage(asset, 60, end, 9000)


@pytest.fixture
async def desk(autojump_clock):
    desk = Desk()
    async with running(*desk.children()) as desk.sup:
        desk.up()
        async with trio.open_nursery() as nursery:
            desk.start = partial(nursery.start, desk.ask)
            yield desk
            nursery.cancel_scope.cancel()


async def test_one_page_on_the_wire_at_a_time(autojump_clock, desk):
    await desk.start("one", page(1))
    await desk.start("two", page(2))
    await settle()
    (first,) = desk.told
    assert (first.epoch, first.message.time, first.message.offset, first.message.period) == (1, 1, 9000, 60)
    answer = await desk.reply(first)
    assert desk.answers == {"one": answer}
    assert [request.message.time for request in desk.told] == [1, 2]


async def test_equal_pages_are_asked_for_once(autojump_clock, desk):
    for name in "abc":
        await desk.start(name, page(1))
    await settle()
    (request,) = desk.told
    answer = await desk.reply(request)
    assert desk.answers == dict.fromkeys("abc", answer)
    assert len(desk.told) == 1


async def test_a_page_that_nobody_waits_for_any_more_is_not_sent(autojump_clock, desk):
    await desk.start("one", page(1))
    gone = await desk.start("two", page(2))
    await desk.start("three", page(3))
    await settle()
    gone.cancel()
    await settle()
    await desk.reply(desk.told[0])
    assert [request.message.time for request in desk.told] == [1, 3]


async def test_a_page_that_does_not_come_is_overdue_and_the_next_one_goes(autojump_clock, desk):
    await desk.start("one", page(1))
    await desk.start("two", page(2))
    await trio.sleep(REQUEST_TIMEOUT + 0.1)
    assert desk.answers == {"one": RequestTimeout}
    await desk.reply(desk.told[0])
    assert "two" not in desk.answers, "a late answer is not another's"
    answer = await desk.reply(desk.told[1])
    assert desk.answers["two"] is answer


async def test_an_answer_about_another_asset_is_not_taken(autojump_clock, desk):
    await desk.start("one", page(1))
    await settle()
    await desk.reply(desk.told[0], asset=OTHER)
    assert desk.answers == {}


async def test_without_a_link_nothing_is_asked_for(autojump_clock, desk):
    desk.link.enter(LinkPhase.RECONNECTING, 0.0)
    await desk.start("one", page(1))
    await settle()
    assert (desk.answers, desk.told) == ({"one": NotConnected}, [])


async def test_a_lost_link_ends_all_waiting(autojump_clock, desk):
    await desk.start("one", page(1))
    await desk.start("two", page(2))
    await settle()
    desk.link.enter(LinkPhase.RECONNECTING, 0.0)
    desk.sup.ref(HISTORY).tell(LinkLost(1, "reset", 0.0))
    await settle()
    assert desk.answers == {"one": NotConnected, "two": NotConnected}
    desk.up()
    await desk.start("three", page(3))
    await settle()
    assert desk.told[-1].epoch == 2
    await trio.sleep(REQUEST_TIMEOUT - 1)
    assert "three" not in desk.answers, "the deadline of the page before is not this one's"


async def test_the_loss_of_an_earlier_link_does_not_end_a_page_of_the_next(autojump_clock, desk):
    """The link's state runs ahead of the message that tells of the loss."""
    await desk.start("old", page(1))
    await settle()
    desk.up()
    await desk.start("new", page(1))
    await settle()
    desk.sup.ref(HISTORY).tell(LinkLost(1, "reset", 0.0))
    await settle()
    assert desk.answers == {"old": NotConnected}
    assert desk.told[-1].epoch == 2
    answer = await desk.reply(desk.told[-1])
    assert desk.answers["new"] is answer


async def test_news_of_an_earlier_loss_leaves_the_page_on_the_wire_alone(autojump_clock, desk):
    desk.up()
    await desk.start("new", page(1))
    await settle()
    desk.sup.ref(HISTORY).tell(LinkLost(1, "reset", 0.0))
    await settle()
    answer = await desk.reply(desk.told[0])
    assert desk.answers == {"new": answer}


async def test_after_a_crash_an_answer_to_the_former_incarnation_is_not_taken(autojump_clock, desk):
    await desk.start("one", page(1))
    await settle()
    await crash(desk.sup, HISTORY)
    assert "one" in desk.answers, "an asker is not left waiting"
    await desk.start("two", page(2))
    await settle()
    await desk.reply(desk.told[0])
    assert "two" not in desk.answers
    answer = await desk.reply(desk.told[1])
    assert desk.answers["two"] is answer
