"""The invariants, checked against the venue's own books: I1 to I11 of orders, and P, R of everything else.

I1 at most once; I2 journal before wire; I3 one deal one order; I4 no deal lost; I5 settled never changes; I6 no false
VOID; I7 no false REJECTED; I8 confluence (whatever was lost, doubled or overtaken, an order ends as the venue has it);
I9 everything ends; I10 money to the cent (I17: exact); I11 where a journal is kept, it gives the same book again. P10
counters; R7 bounded queues. Elsewhere: I2, P6 and I7 at the moment of a refusal (`VenueLedger`), P4 (`TickCheck`),
R8 and R10 (`World`).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from loadsim.simulation.ledger import VenueLedger, Violation
from loadsim.venue.accounts import Account
from loadsim.venue.deals import Deal
from potrio.actors.book import Book
from potrio.actors.evidence import OrderState
from potrio.actors.order_handle import OrderHandle
from potrio.actors.reconcile import CLOSED_LIST_LENGTH, MATCH_AFTER_S
from potrio.client.client import Client

__all__ = [
    "check_counters",
    "check_journal",
    "check_money",
    "check_orders",
    "check_queues",
    "check_withdrawn",
]

AFTER_RESTART: Final = {OrderState.NEW: OrderState.DENIED, OrderState.SENT: OrderState.UNKNOWN}
"""State at the end of a process -> state in the next one, where it is another."""

ASKS_WITHIN_S: Final = 40.0
"""From the moment at which a list can decide to the latest at which one is asked for, an outage in between included."""


def check_orders(client: Client, ledger: VenueLedger, settled: dict[str, object]) -> Iterator[Violation]:
    """Compare every order with the venue's deals. ``settled``: what each order was settled with at first."""
    heard, deals = ledger.venue.exchange.book.orders, ledger.deals()
    for request_id, times in heard.items():
        if times > 1:
            yield Violation("I1 at most once", f"the venue heard it {times} times", request_id)
        if request_id not in client.orders:
            yield Violation(
                "I4 no deal lost", "the venue heard an order that the client does not know", request_id
            )
    owners: dict[str, str] = {}
    beyond = beyond_knowing(client, ledger)
    for request_id, handle in client.orders.items():
        true = deals.get(request_id, [])
        yield from _check_order(request_id, handle, true, heard.get(request_id, 0))
        if not handle.state.ended and request_id not in beyond:
            yield Violation("I9 everything ends", f"still {handle.state.value}", request_id)
        if request_id in settled and handle.deal != settled[request_id]:
            yield Violation(
                "I5 settled never changes", f"{settled[request_id]} became {handle.deal}", request_id
            )
        if handle.deal_id is not None:
            if handle.deal_id in owners:
                yield Violation("I3 one deal one order", f"shared with {owners[handle.deal_id]}", request_id)
            owners[handle.deal_id] = request_id
    for request_id, true in deals.items():
        for deal in true:
            known = (deal.id in owners) + (deal.id in client.external_deals)
            if known != 1:
                yield Violation("I4 no deal lost", f"deal {deal.id} is {known} times in the book", request_id)


def check_withdrawn(client: Client, ledger: VenueLedger, withdrawn: set[str]) -> Iterator[Violation]:
    """Look for orders whose placing was cancelled before there was a handle: nobody may know of one."""
    for request_id in sorted(withdrawn):
        for who, known in (("client", client.orders), ("venue", ledger.venue.exchange.book.orders)):
            if request_id in known:
                yield Violation("cancelled means not placed", f"the {who} has it", request_id)


def beyond_knowing(client: Client, ledger: VenueLedger) -> set[str]:
    """Orders that are rightly UNKNOWN for ever: when the venue's list of closed deals could have told that it never
    had them, it had been filled by later ones.

    Which is so where as many deals as the list holds closed between the order's sending and the latest moment at which
    the client can be expected to have asked.
    """
    closes = sorted(deal.expires_ms / 1000 for deals in ledger.deals().values() for deal in deals)
    zone_s = ledger.venue.exchange._config.offset_s
    found = set()
    for request_id, evidence in client._shared.book.live.items():
        if evidence.written_at is None or evidence.deal is not None:
            continue
        sent = ledger.utc_at(evidence.written_at) + zone_s
        # By the clock of deadlines, whatever the venue's does meanwhile: one asks no sooner because the machine slept.
        within_s = MATCH_AFTER_S + evidence.intent.duration_s + ASKS_WITHIN_S
        asked = ledger.utc_at(evidence.written_at + within_s) + zone_s
        if sum(sent < close <= asked for close in closes) >= CLOSED_LIST_LENGTH:
            found.add(request_id)
    return found


def _check_order(request_id: str, handle: OrderHandle, deals: list[Deal], heard: int) -> Iterator[Violation]:
    state = handle.state
    if handle.deal_id is not None and handle.deal_id not in {deal.id for deal in deals}:
        yield Violation("I3 one deal one order", f"has deal {handle.deal_id} of somebody else", request_id)
    if state is OrderState.VOID and deals:
        yield Violation("I6 no false VOID", f"the venue has deal {deals[0].id}", request_id)
    if state is OrderState.REJECTED and deals:
        yield Violation("I7 no false REJECTED", f"the venue has deal {deals[0].id}", request_id)
    if state is OrderState.REJECTED and not heard:
        yield Violation("I7 no false REJECTED", "the venue never heard it", request_id)
    if state is OrderState.DENIED and heard:
        yield Violation("I8 confluence", "DENIED means never sent, but the venue heard it", request_id)
    if state is OrderState.SETTLED and handle.deal is not None and deals:
        deal = deals[0]
        if deal.close_price is None or deal.profit != handle.deal.profit:
            yield Violation(
                "I8 confluence", f"settled with {handle.deal.profit}, the venue: {deal.profit}", request_id
            )


def check_money(client: Client, ledger: VenueLedger, uid: int) -> Iterator[Violation]:
    """Compare balances and results, to the cent."""
    book = ledger.venue.exchange.book
    account: Account = next(each for each in book.accounts.values() if each.uid == uid)
    if account.balance + account.staked != account.deposited + account.earned:
        yield Violation("I10 money", "the venue's own books do not add up")
    if client.balance != account.balance:
        yield Violation(
            "I10 money", f"the client's balance is {client.balance}, the venue's {account.balance}"
        )
    told = [
        h.deal.profit for h in client.orders.values() if h.state is OrderState.SETTLED and h.deal is not None
    ]
    if sum(told, Decimal(0)) != account.earned:
        yield Violation(
            "I10 money", f"the client earned {sum(told, Decimal(0))}, the venue says {account.earned}"
        )
    doubtful = sum((client.orders[each].intent.amount for each in beyond_knowing(client, ledger)), Decimal(0))
    if client.exposure != account.staked + doubtful:
        yield Violation("I10 money", f"at stake: {client.exposure}, the venue says {account.staked}")
    if any(value != round(value, 2) for value in told):
        yield Violation("I17 exact", "a result is not in whole cents")


def check_journal(book: Book, again: Book) -> Iterator[Violation]:
    """Compare the book at the client's end with the one that the next process finds in the journal (I11).

    The same, but for what only a living process knows: an order that had not left by then is denied, and one that was
    without an answer may have reached the venue.
    """
    for request_id, evidence in book.orders.items():
        state = evidence.state()
        found = again.orders.get(request_id)
        if found is None:
            if state is not OrderState.NEW:  # one that never had its turn is not written down
                yield Violation("I11 journal", f"it was {state.value}, and the journal lacks it", request_id)
            continue
        expected = AFTER_RESTART.get(state, state)
        if found.state() is not expected:
            text = f"it was {state.value}, and is {found.state().value} by the journal"
            yield Violation("I11 journal", text, request_id)
        if found.deal != evidence.deal or found.refused != evidence.refused:
            yield Violation("I11 journal", "its deal or refusal is another one by the journal", request_id)
        if msgspec.structs.replace(found.intent, expires_at=0.0) != msgspec.structs.replace(
            evidence.intent, expires_at=0.0
        ):
            yield Violation("I11 journal", f"by the journal it was {found.intent}", request_id)
    for request_id in again.orders.keys() - book.orders.keys():
        yield Violation("I11 journal", "the journal has it, and the client does not know it", request_id)


def check_counters(client: Client, ledger: VenueLedger, *, quiet: bool) -> Iterator[Violation]:
    """Compare what was sent with what was heard: never more; the same where nothing was ever lost."""
    heard = ledger.venue.stats()["events_received"]
    sent = client.statistics().events_sent
    for name in sorted(sent.keys() | heard.keys()):
        ours, theirs = sent.get(name, 0), heard.get(name, 0)
        if theirs > ours or (quiet and theirs != ours):
            yield Violation("P10 counters", f"{name}: sent {ours}, heard {theirs}")
    last = client.wire_counters(client.epoch - 1).events_sent
    number = max(ledger.logged_in, default=0)
    there = dict(ledger.heard.get(number, {}))
    here = {name: times for name, times in last.items() if name != "auth" and times}
    if client.phase.value == "ready" and there != here:
        yield Violation("P10 counters", f"the last connection: sent {here}, heard {there}")


def check_queues(client: Client, capacity: int) -> Iterator[Violation]:
    """Look at every mailbox: none is longer than what an outage of this size can explain."""
    waiting = [client.tree()]
    while waiting:
        node = waiting.pop()
        waiting.extend(node.children)
        if node.mailbox is not None and node.mailbox.depth > capacity:
            yield Violation("R7 bounded queues", f"{node.path} has {node.mailbox.depth} messages waiting")
