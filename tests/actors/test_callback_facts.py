"""Facts become topics once: links that came and went, attempts that were none, orders that opened and closed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from potrio.actors.callback_facts import TOPICS, Facts, FrameSeen
from potrio.actors.callbacks import CallbackHandle, Callbacks
from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.link import LinkLost, LinkState, LinkUp
from potrio.actors.order_handle import OrderHandle
from potrio.actors.stream import Stream
from potrio.protocol.messages.trading import Side
from potrio.secrets import Secret


@pytest.fixture
def callbacks():
    return Callbacks()


@pytest.fixture
def facts(callbacks):
    made = Facts(callbacks, is_demo=True)
    made.uid = 7
    return made


@pytest.fixture
def told(callbacks):
    """What was published so far, topic by topic."""
    streams = {}
    for topic in TOPICS:
        streams[topic] = Stream()
        callbacks.add(CallbackHandle(topic, print, streams[topic]))
    return lambda: {
        topic: each.statistics().waiting for topic, each in streams.items() if each.statistics().waiting
    }


def an_order(facts, *steps):
    """Let an order go through these states, each with the deal that is known by then."""
    intent = OrderIntent(
        request_id="r",
        asset="A",
        side=Side.CALL,
        amount=Decimal(1),
        duration_s=5,
        is_demo=True,
        created_wall=0.0,
        expires_at=1.0,
    )
    handle = OrderHandle(intent)
    for state, deal in steps:
        before, had_deal = handle.state, handle.deal is not None
        handle.state, handle.deal = state, deal
        facts.order(handle, before, had_deal=had_deal)


def test_attempts_that_fail_are_one_outage(facts, told):
    facts.observe(LinkLost(1, "refused", 0.0))
    facts.observe(LinkLost(1, "refused", 0.0))  # told again by a router that crashed in the middle of it
    assert told() == {"attempt_failed": 1}
    facts.observe(LinkUp(2, 1.0))
    facts.observe(LinkLost(2, "gone", 5.0))
    facts.observe(LinkLost(3, "refused", 6.0))
    facts.observe(LinkLost(4, "refused", 7.0))
    facts.observe(LinkUp(5, 8.5))
    assert told() == {"connected": 2, "authenticated": 2, "lost": 1, "resumed": 1, "attempt_failed": 3}


def test_an_order_opens_and_closes_once(facts, told):
    opened, settled = (OrderState.OPEN, "deal"), (OrderState.SETTLED, "deal")
    an_order(facts, (OrderState.SENT, None), (OrderState.SENT, None), opened, opened, settled, settled)
    assert told() == {"order_opened": 1, "order_changed": 3, "order_closed": 1}


def test_a_link_that_is_told_again_by_a_router_that_crashed_is_told_once(facts, told):
    for _ in range(2):
        facts.observe(LinkUp(1, 1.0))
    for _ in range(2):
        facts.observe(LinkLost(1, "gone", 5.0))
    for _ in range(2):
        facts.observe(LinkUp(2, 6.0))
    assert told() == {"connected": 2, "authenticated": 2, "lost": 1, "resumed": 1}


@pytest.mark.parametrize("between", [[], [(OrderState.OPEN, "deal")]])
def test_an_order_that_was_void_and_is_settled_after_all_is_told_of_again(facts, told, between):
    settled = (OrderState.SETTLED, "deal")
    an_order(facts, (OrderState.VOID, None), *between, settled, settled)
    assert told()["order_closed"] == 2
    assert told()["order_opened"] == 1


async def test_no_frame_is_shown_with_a_token_old_or_fresh(facts, callbacks):
    """Also where the venue repeats it, as text or in an attachment."""
    old, fresh = "a0old0session0of0canary", "a9fresh0session0of0canary"
    facts.secrets = [Secret(old), Secret(fresh)]
    link, seen = LinkState(2), Stream()
    link.epoch = 3
    callbacks.add(CallbackHandle("received", print, seen))
    facts.read_along(link)
    facts.read_along(link)
    (reader,) = link.frame_readers
    reader(False, link, [f"42{old}", f"x{fresh}y".encode(), "2"], 1.5)
    reader(True, link, [f"42{old}"], 1.5)

    assert await seen.receive_batch() == [
        FrameSeen(2, 3, 1.5, "42***"),
        FrameSeen(2, 3, 1.5, b"x***y"),
        FrameSeen(2, 3, 1.5, "2"),
    ]
    seen.close()
    reader(False, link, ["2"], 2.0)
    assert link.frame_readers == []
