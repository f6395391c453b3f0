"""The demo's table of facts (pure): our counters beside the venue's own, row by row, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from potrio.actors.link import LinkCounters
from potrio.cli.show import cents

__all__ = ["FactRow", "account_facts", "agree", "order_facts", "wire_facts"]


class FactRow(msgspec.Struct, frozen=True):
    """One fact as both sides saw it."""

    fact: str
    ours: str
    venue: str
    agree: bool


def row(fact: str, ours: object, venue: object) -> FactRow:
    """Compare two values of one fact."""
    return FactRow(fact, str(ours), str(venue), ours == venue)


def agree(rows: Iterable[FactRow]) -> bool:
    """Do all rows agree?"""
    return all(each.agree for each in rows)


def wire_facts(name: str, ours: LinkCounters, venue: Mapping[str, Any]) -> list[FactRow]:
    """What went over the wire in one life of the venue."""
    frames = venue["frames"]
    rows = [
        row(
            f"{name}: messages to the venue",
            ours.messages_sent,
            frames["text_received"] + frames["binary_received"],
        ),
        row(
            f"{name}: messages from the venue",
            ours.messages_received,
            frames["text_sent"] + frames["binary_sent"],
        ),
        row(f"{name}: heartbeats", ours.pongs_sent, venue["pongs_received"]),
        row(f"{name}: ticks", ours.events_received["updateStream"], venue["ticks_sent"]),
    ]
    rows += [
        row(f"{name}: sent {event}", ours.events_sent[event], venue["events_received"].get(event, 0))
        for event in sorted({*ours.events_sent, *venue["events_received"]})
    ]
    return rows


def order_facts(request_ids: Iterable[str], venue: Mapping[str, Any]) -> list[FactRow]:
    """Each order exactly once on the venue's books, and no other (P1)."""
    ours = dict.fromkeys(request_ids, 1)
    theirs = {str(request_id): count for request_id, count in venue["orders"].items()}
    return [
        row("orders sent", len(ours), len(theirs)),
        row("orders that reached the venue exactly once", len(ours), sum(theirs.get(i) == 1 for i in ours)),
    ]


def account_facts(
    balance: Decimal, results: Iterable[str], uid: int, venue: Mapping[str, Any]
) -> list[FactRow]:
    """Balance to the cent, and how the deals ended (P2)."""
    account: Mapping[str, Any] = next((each for each in venue["accounts"] if each["uid"] == uid), {})
    ended = list(results)
    told = Decimal(str(account.get("balance", "nan")))
    rows = [FactRow("balance", cents(balance), cents(told), balance == told)]
    for name, key in (("won", "won"), ("lost", "lost"), ("drawn", "draw")):
        rows.append(row(f"deals {name}", ended.count(key), account.get(key, 0)))
    return rows
