"""Crash drills: make one actor of a running client crash, and see whether exactly its region is restarted (P13)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import trio

from potrio.cli.facts import FactRow
from potrio.cli.outline import Outline, outline_paths, region_of
from potrio.client.client import Client
from potrio.supervision.tree import Node

__all__ = ["CrashOnPurpose", "crash_fact", "drill", "incarnations", "nodes"]

RESTARTED_WITHIN_S = 10.0
QUIET_S = 0.2
"""After the region is up, so long it is watched that nobody else is restarted late."""
POLL_S = 0.01


class CrashOnPurpose(Exception):
    """What the victim of a drill dies of."""


async def drill(client: Client, planned: Outline, name: str) -> FactRow:
    """Crash the actor of that name, wait until the client works again, and tell what was restarted.

    Cancelling stops the waiting only. After ``RESTARTED_WITHIN_S`` the fact is told as it is then.

    Raises:
        LookupError: the tree has no such actor.
        PotrioError: the client did not survive.
    """
    path = next(path for path in (*outline_paths(planned), name) if path.rpartition("/")[2] == name)
    expected = region_of(planned, path)
    before = incarnations(client.tree())
    above, _, _ = path.rpartition("/")
    root = client.supervisor
    home = root if above == root.path else root.supervisor(above)
    home.crash_child(name, CrashOnPurpose("the demo was asked to crash it"))
    with trio.move_on_after(RESTARTED_WITHIN_S):
        while not restarted(client.tree(), before, expected):  # noqa: ASYNC110  # a tree is looked at, it tells nobody
            await trio.sleep(POLL_S)
        await client.wait_ready()
        await trio.sleep(QUIET_S)
    after = incarnations(client.tree())
    return crash_fact(name, [path for path, number in after.items() if number != before.get(path)], expected)


def crash_fact(name: str, restarted: Iterable[str], expected: Iterable[str]) -> FactRow:
    """The row that tells what a crash restarted, beside what the strategy of its supervisor names."""
    ours, theirs = sorted(set(restarted)), sorted(set(expected))
    return FactRow(
        f"crash of {name} restarted exactly its region", names_of(ours), names_of(theirs), ours == theirs
    )


def names_of(paths: Iterable[str]) -> str:
    """The last parts of paths."""
    return ", ".join(path.rpartition("/")[2] for path in paths) or "nobody"


def incarnations(tree: Node) -> dict[str, int]:
    """The number of the incarnation of everyone in a tree, by path."""
    return {node.path: node.incarnation for node in nodes(tree)}


def restarted(tree: Node, before: dict[str, int], expected: Iterable[str]) -> bool:
    """Does a new incarnation of each of these run?"""
    running = {node.path: node.incarnation for node in nodes(tree) if node.state == "running"}
    return all(running.get(path, 0) > before.get(path, 0) for path in expected)


def nodes(tree: Node) -> Iterator[Node]:
    """A node and all that are below it."""
    yield tree
    for child in tree.children:
        yield from nodes(child)
