"""The oracle: the swarm's books against the venue's. What both have counted must be equal, or declared as not known.

An order whose answer was lost may have been heard or not: the swarm says how many those are, and by more than that the
books may not differ. Where nothing was lost, they are equal, balances to the cent and ticks one by one.

A shard that was lost took its last second with it: then the venue may have seen more than the swarm knows of, and what
remains to be judged is that it has not seen less, heard nothing twice, and agrees with every account that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from loadsim.metrics.merged import Merged
from loadsim.report.result import Check

__all__ = ["check_books"]

SHOWN: Final = 3
OUTCOMES: Final = {"won": "won", "lost": "lost", "draw": "draw"}


def check_books(
    merged: Merged,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    lossy: bool = False,
    whole: bool = True,
) -> list[Check]:
    """Compare.

    Args:
        merged: what the swarm has reported.
        before, after: the venue's ``/stats`` around the run.
        lossy: faults were played after which ticks need not all arrive.
        whole: every shard has ended in order, so that its last report is there; else totals are not compared.
    """
    ours = merged.counters
    if not whole:
        return check_partial(merged, before, after)
    late = ours["orders.accepted_late"]
    unknown = max(0, ours["orders.unknown"] - late)
    foreign = sum(int(each["open"]) for each in before["accounts"])
    heard = named(after, "events_received", "openOrder") - named(before, "events_received", "openOrder")
    opened = after["deals"]["opened"] - before["deals"]["opened"]
    settled = after["deals"]["settled"] - before["deals"]["settled"]
    open_ends = unknown + ours["orders.unsettled"]
    return [
        up_to(
            "orders sent, heard", ours["orders"], heard, heard <= ours["orders"] <= heard + unknown, unknown
        ),
        twice(before, after),
        up_to(
            "orders accepted",
            ours["orders.accepted"] + late,
            opened,
            0 <= opened - ours["orders.accepted"] - late <= unknown,
            unknown,
        ),
        up_to(
            "deals settled",
            ours["settled"],
            settled,
            0 <= settled - ours["settled"] <= open_ends + foreign,
            open_ends + foreign,
        ),
        outcomes(ours, before, after, open_ends + foreign),
        balances(merged.accounts, after),
        ticks(merged, after["ticks_sent"] - before["ticks_sent"], lossy),
    ]


def check_partial(merged: Merged, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Check]:
    """What can be said where reports are missing: all that is known to have happened has happened at the venue."""
    ours = merged.counters
    accepted = ours["orders.accepted"] + ours["orders.accepted_late"]
    answered = accepted + ours["orders.rejected"]
    heard = named(after, "events_received", "openOrder") - named(before, "events_received", "openOrder")
    opened = after["deals"]["opened"] - before["deals"]["opened"]
    settled = after["deals"]["settled"] - before["deals"]["settled"]
    sent = after["ticks_sent"] - before["ticks_sent"]
    return [
        at_least("orders answered, heard", answered, heard),
        twice(before, after),
        at_least("orders accepted", accepted, opened),
        at_least("deals settled", ours["settled"], settled),
        balances(merged.accounts, after),
        at_least("ticks sent, delivered", ours["ticks"], sent),
    ]


def at_least(what: str, ours: int, venue: int) -> Check:
    """A row of a swarm that has lost reports."""
    return Check(what=what, ours=f"{ours} at least, reports are lost", venue=str(venue), ok=ours <= venue)


def named(stats: Mapping[str, Any], table: str, name: str) -> int:
    """A counter of the venue that is there only once it has counted."""
    return int(stats[table].get(name, 0))


def up_to(what: str, ours: int, venue: int, ok: bool, slack: int) -> Check:
    """A row; ``slack`` is what the swarm itself declares as not known."""
    told = f"{ours}, {slack} not known" if slack else str(ours)
    return Check(what=what, ours=told, venue=str(venue), ok=ok)


def twice(before: Mapping[str, Any], after: Mapping[str, Any]) -> Check:
    """No order may be heard twice."""
    found = sum(1 for name, times in after["orders"].items() if times - before["orders"].get(name, 0) > 1)
    return Check(what="orders heard twice", ours="0", venue=str(found), ok=found == 0)


def outcomes(
    ours: Mapping[str, int], before: Mapping[str, Any], after: Mapping[str, Any], slack: int
) -> Check:
    """Won, lost and drawn deals."""
    swarm = {name: ours.get(f"settled.{name}", 0) for name in OUTCOMES}
    venue = {
        name: sum(int(each[key]) for each in after["accounts"])
        - sum(int(each[key]) for each in before["accounts"])
        for name, key in OUTCOMES.items()
    }
    differ = [venue[name] - swarm[name] for name in OUTCOMES]
    return Check(
        what="won, lost, draw",
        ours=", ".join(str(each) for each in swarm.values()),
        venue=", ".join(str(each) for each in venue.values()),
        ok=all(each >= 0 for each in differ) and sum(differ) <= slack,
    )


def balances(accounts: Mapping[str, int], after: Mapping[str, Any]) -> Check:
    """Balances to the cent, of every client that knows its own for certain."""
    venue = {
        str(each["uid"]): round(float(each["balance"]) * 100) for each in after["accounts"] if each["isDemo"]
    }
    wrong = sorted(uid for uid, cents in accounts.items() if venue.get(uid) != cents)
    some = "".join(f"; user {uid}: {accounts[uid]} and {venue.get(uid)} cents" for uid in wrong[:SHOWN])
    return Check(
        what="balances to the cent",
        ours=f"{len(accounts)} accounts",
        venue=f"{len(accounts) - len(wrong)} the same{some}",
        ok=not wrong,
    )


def ticks(merged: Merged, sent: int, lossy: bool) -> Check:
    """Ticks delivered, or declared lost with the streams that were interrupted."""
    delivered, interrupted = merged.counters["ticks"], merged.counters["ticks_lost"]
    if lossy:
        return Check(
            what="ticks sent, delivered",
            ours=f"{delivered}, under faults that lose",
            venue=str(sent),
            ok=True,
        )
    if interrupted:
        told = f"{delivered}, {interrupted} streams interrupted"
        return Check(what="ticks sent, delivered", ours=told, venue=str(sent), ok=delivered <= sent)
    return Check(what="ticks sent, delivered", ours=str(delivered), venue=str(sent), ok=delivered == sent)
