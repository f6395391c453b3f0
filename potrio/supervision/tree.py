"""A tree of supervisors and actors as values, and as text for people."""

from __future__ import annotations

import math

import msgspec

from potrio.supervision.cell import Cell, type_of_message
from potrio.supervision.engine import Engine
from potrio.supervision.events import DeadLetterReason
from potrio.supervision.exit import Failure
from potrio.supervision.ledger import NOTHING

__all__ = ["MailboxStatistics", "Node", "node_of", "render"]


class MailboxStatistics(msgspec.Struct, frozen=True):
    """The books of one mailbox; ``accepted == handled + dead_letters + depth + in_hand`` always holds.

    Attributes:
        depth: waiting now, the stash included. ``peak``: the most that ever waited.
        dropped: refused because it was full, or given up for a newer one.
        dead_letters: accepted and not handled. ``reasons``: all dead letters, refused ones too, by reason.
        oldest_wait: seconds the oldest has waited, at most.
    """

    depth: int
    peak: int
    accepted: int
    handled: int
    in_hand: int
    dead_letters: int
    dropped: int
    oldest_wait: float
    reasons: dict[DeadLetterReason, int]


class Node(msgspec.Struct, frozen=True):
    """One supervisor, actor or service at one moment.

    Attributes:
        kind: actor, service, or the strategy of a supervisor.
        state: waiting, starting, running, stopping, backoff, ended.
        incarnation: 0 before the first start. ``restarts``: how many starts followed the first.
        restart_in: seconds until it is started again; None where that is not due.
        uptime: seconds since the incarnation was started; 0 where there is none.
        message: type of the message in hand, ``message_age`` seconds old (to within a few quick messages).
        waiting_on: path of the actor it waits for a reply of.
        last_failure: the last crash.
    """

    path: str
    kind: str
    state: str
    incarnation: int
    restarts: int
    restart_in: float | None
    uptime: float
    mailbox: MailboxStatistics | None
    message: str
    message_age: float
    waiting_on: str
    last_failure: Failure | None
    children: tuple[Node, ...] = ()


def node_of(cell: Cell, restart_due: float | None = None) -> Node:
    """Describe a cell and all that is below it. Works in every state, also after the end."""
    own = cell.own if isinstance(cell.own, Engine) else None
    now = cell.runtime.now()
    box = cell.box
    busy = box.in_hand is not NOTHING
    children: tuple[Node, ...] = ()
    if own is not None:
        children = tuple(
            node_of(row.cell, row.region.due if row.region is not None and not row.alive else None)
            for row in own.table
        )
    return Node(
        path=cell.path,
        kind=own.spec.strategy if own is not None else "actor" if cell.spec.kind == "actor" else "service",
        state=cell.state,
        incarnation=cell.incarnation,
        restarts=cell.restarts,
        restart_in=None if restart_due is None or cell.state != "backoff" else max(0.0, restart_due - now),
        uptime=0.0 if cell.scope is None else now - cell.started_at,
        mailbox=statistics_of(cell) if cell.spec.kind == "actor" else None,
        message=type_of_message(box.in_hand) if busy else "",
        message_age=now - box.since if busy else 0.0,
        waiting_on="" if cell.waiting_on is None else cell.waiting_on.path,
        last_failure=cell.last_failure,
        children=children,
    )


def statistics_of(cell: Cell) -> MailboxStatistics:
    """Read the books of a cell's mailbox."""
    box = cell.box
    return MailboxStatistics(
        depth=box.depth,
        peak=box.peak,
        accepted=box.accepted,
        handled=box.handled,
        in_hand=int(box.in_hand is not NOTHING),
        dead_letters=box.dead,
        dropped=box.dropped,
        oldest_wait=box.oldest_wait(),
        reasons=dict(box.counts or {}),
    )


def render(node: Node, *, width: int = 36) -> str:
    """Draw a tree as text, one line per child: name, kind, state and whatever is not as in quiet times.

    Example output::

        root                                 one_for_one  running
        ├─ link                              rest_for_one running
        │  ├─ conn                           actor        running   2 restarts, handled 310
        │  └─ router                         actor        backoff   restart in 0.8 s, last: ValueError: bad frame
        └─ monitor                           actor        running   depth 3 (peak 12), handled 1071
    """
    lines: list[str] = []
    draw(node, node.path, "", "", lines, width)
    return "\n".join(lines)


def draw(node: Node, name: str, lead: str, below: str, lines: list[str], width: int) -> None:
    """Add the lines of a node and its children."""
    lines.append(
        f"{lead + name:<{width}} {node.kind:<12} {node.state:<9} {', '.join(remarks(node))}".rstrip()
    )
    for index, each in enumerate(node.children):
        last = index == len(node.children) - 1
        branch, gap = ("└─ ", "   ") if last else ("├─ ", "│  ")
        draw(each, each.path.rpartition("/")[2], below + branch, below + gap, lines, width)


def remarks(node: Node) -> list[str]:
    """What is worth telling about a node."""
    found: list[str] = []
    if node.restarts:
        found.append(f"{node.restarts} restart{'s' * (node.restarts != 1)} (incarnation {node.incarnation})")
    if node.restart_in is not None and node.restart_in != math.inf:
        found.append(f"restart in {node.restart_in:.3g} s")
    box = node.mailbox
    if box is not None:
        if box.depth or box.peak > 1:
            found.append(f"depth {box.depth} (peak {box.peak})")
        if box.dropped:
            found.append(f"dropped {box.dropped}")
        if box.handled:
            found.append(f"handled {box.handled}")
    if node.message:
        found.append(f"in hand: {node.message} for {node.message_age:.3g} s")
    if node.waiting_on:
        found.append(f"waits for {node.waiting_on}")
    if node.last_failure is not None:
        found.append(f"last: {node.last_failure}")
    return found
