"""What a supervisor does about an exit: decided here, without waiting for anything (pure).

`decide` says what one exit means; `merge` says what becomes of groups that wait when a new one overlaps them.
The rules are OTP's, with backoff added: rows A2-A5, A8-A10, A13 and A14 of the semantics table.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from potrio.supervision.backoff import Backoff
from potrio.supervision.child_spec import AutoShutdown, Strategy
from potrio.supervision.children import ChildTable, Row
from potrio.supervision.exit import Exit
from potrio.supervision.intensity import Intensity

__all__ = ["Decision", "End", "Escalate", "Group", "Restart", "decide", "merge", "region_of"]

Child = TypeVar("Child", bound=Row[Any, Any])


class Group(msgspec.Struct, Generic[Child]):
    """Children that go down and come up together: started in this order, not before ``due``."""

    rows: list[Child]
    due: float


class End(msgspec.Struct, frozen=True):
    """The child has ended for good. ``finish``: and with it, normally, the supervisor (auto_shutdown)."""

    finish: bool = False


class Restart(msgspec.Struct, Generic[Child], frozen=True):
    """The child and those that go with it are started again, ``delay`` seconds from now."""

    group: Group[Child]
    delay: float


class Escalate(msgspec.Struct, frozen=True):
    """The supervisor stops everything and fails."""

    reason: str


Decision = End | Restart[Any] | Escalate


def decide(
    table: ChildTable[Any, Any],
    row: Row[Any, Any],
    exit: Exit,
    *,
    strategy: Strategy,
    auto_shutdown: AutoShutdown,
    intensity: Intensity,
    backoff: Backoff,
    generator: random.Random,
    now: float,
    ready_for: float,
    terminal: bool = False,
) -> Decision:
    """Decide about a child that ended without having been asked to.

    Args:
        table: all children, the one that ended among them.
        row: the one that ended; its ``attempt`` is set to the number of its next delay.
        exit: how.
        ready_for: for how long the dead incarnation had been ready; 0 if it never was.
        terminal: it crashed with an exception of its ``stop_on``.
    """
    crashed = exit.kind in ("crashed", "killed")
    restart = row.spec.restart
    if terminal and restart == "permanent":
        return Escalate(f"{row.id} crashed with an error of its stop_on")
    if restart == "temporary" or terminal or (restart == "transient" and not crashed):
        return End(finish=finishes(table, row, auto_shutdown))
    if not intensity.add(now):
        return Escalate(f"too many restarts; the last to fail was {row.id}")
    row.attempt = backoff.next_attempt(row.attempt, ready_for)
    delay = backoff.delay(row.attempt, generator)
    return Restart(Group(region_of(table, row, strategy), now + delay), delay)


def finishes(table: ChildTable[Any, Any], row: Row[Any, Any], auto_shutdown: AutoShutdown) -> bool:
    """Whether the end of this child, by itself, ends the supervisor."""
    if not row.spec.significant:
        return False
    match auto_shutdown:
        case "any_significant":
            return True
        case "all_significant":
            return table.significant == 1  # this one, which is still in the table
        case "never":
            return False


def region_of(table: ChildTable[Any, Any], row: Row[Any, Any], strategy: Strategy) -> list[Row[Any, Any]]:
    """Who goes down and up with this child, in start order."""
    match strategy:
        case "one_for_one":
            return [row]
        case "one_for_all":
            return list(table)
        case "rest_for_one":
            return [row, *table.after(row)]


def merge(new: Group[Child], old: Iterable[Group[Child]]) -> Group[Child]:
    """Unite overlapping groups: everybody once, in start order, at the latest of the due times (EEP 57)."""
    rows: dict[int, Child] = {row.order: row for row in new.rows}
    due = new.due
    for group in old:
        rows.update((row.order, row) for row in group.rows)
        due = max(due, group.due)
    return Group([rows[order] for order in sorted(rows)], due)


def stop_order(rows: Sequence[Child]) -> list[Child]:
    """Those that are alive, the last started first."""
    return [row for row in sorted(rows, key=lambda row: -row.order) if row.alive]
