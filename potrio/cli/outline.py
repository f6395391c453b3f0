"""A supervision tree that has not been started, as values and as text: who runs, and what restarts with whom."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from potrio.supervision.child_spec import ChildSpec, SupervisorSpec
from potrio.supervision.mailbox_spec import Bounded, Lanes, Latest, MailboxSpec, Unbounded

__all__ = ["Outline", "outline", "outline_paths", "region_of", "render_outline"]

NAME_WIDTH = 24


class Outline(msgspec.Struct, frozen=True):
    """One supervisor, actor or service as its spec describes it.

    Attributes:
        kind: actor, service, or the strategy of a supervisor.
        restart: permanent, transient or temporary.
        mailbox: how an actor's messages wait; empty for all others.
        stop_on: the errors after which it is not restarted.
        limit: how many restarts a supervisor allows below it, and its backoff; empty for all others.
        restarts_with: the paths that a crash of it restarts, itself included.
    """

    path: str
    kind: str
    restart: str
    mailbox: str
    stop_on: tuple[str, ...]
    limit: str
    restarts_with: tuple[str, ...]
    children: tuple[Outline, ...] = ()


def outline(spec: ChildSpec[Any]) -> Outline:
    """Describe a tree of specs; nothing is started."""
    return described(spec, spec.id, (spec.id,))


def described(spec: ChildSpec[Any], path: str, restarts_with: tuple[str, ...]) -> Outline:
    """Describe one spec and all that is below it."""
    own = spec.supervisor
    kind = "actor" if spec.kind == "actor" else "service"
    return Outline(
        path=path,
        kind=kind if own is None else own.strategy,
        restart=spec.restart,
        mailbox=mailbox_text(spec.mailbox) if spec.kind == "actor" else "",
        stop_on=tuple(error.__name__ for error in spec.stop_on),
        limit="" if own is None else limit_text(own),
        restarts_with=restarts_with,
        children=()
        if own is None
        else tuple(
            described(child, f"{path}/{child.id}", group_of(own, index, path))
            for index, child in enumerate(own.children)
        ),
    )


def group_of(own: SupervisorSpec, index: int, path: str) -> tuple[str, ...]:
    """The paths that a crash of one child restarts, by the strategy of its supervisor."""
    match own.strategy:
        case "one_for_one":
            group = own.children[index : index + 1]
        case "rest_for_one":
            group = own.children[index:]
        case "one_for_all":
            group = own.children
    return tuple(found for child in group for found in paths_of(child, path))


def paths_of(spec: ChildSpec[Any], above: str) -> Iterator[str]:
    """The paths of a spec and of all that is below it."""
    path = f"{above}/{spec.id}"
    yield path
    if spec.supervisor is not None:
        for child in spec.supervisor.children:
            yield from paths_of(child, path)


def region_of(tree: Outline, path: str) -> tuple[str, ...]:
    """What a crash of one actor restarts, itself included.

    Raises:
        LookupError: there is none of that path.
    """
    if tree.path == path:
        return tree.restarts_with
    for child in tree.children:
        if path == child.path or path.startswith(child.path + "/"):
            return region_of(child, path)
    raise LookupError(f"there is no {path} in the tree")


def outline_paths(tree: Outline) -> Iterator[str]:
    """The paths of everyone in the tree, in the order of starting."""
    yield tree.path
    for child in tree.children:
        yield from outline_paths(child)


# --- text ------------------------------------------------------------------------------------------------------------


def mailbox_text(spec: MailboxSpec[Any]) -> str:
    """A mailbox in a few words."""
    match spec:
        case Bounded():
            return f"bounded {spec.capacity}, {spec.overflow}"
        case Unbounded():
            return "unbounded"
        case Latest():
            return "latest of each key"
        case Lanes():
            return "lanes: " + " | ".join(mailbox_text(lane) for lane in spec.specs)
        case _:
            raise AssertionError(f"a mailbox of a new kind: {type(spec).__name__}")


def limit_text(own: SupervisorSpec) -> str:
    """The patience of a supervisor in a few words."""
    limit, backoff = own.limit, own.backoff
    restarts = (
        "any number of restarts"
        if limit.restarts == math.inf
        else f"{limit.restarts:g} restarts in {limit.within:g} s"
    )
    return f"{restarts}, backoff {backoff.base:g} to {backoff.cap:g} s"


def render_outline(tree: Outline) -> str:
    """Draw a tree as text, one line per child, in the order of starting."""
    lines: list[str] = []
    draw(tree, tree.path, "", "", lines)
    return "\n".join(lines)


def draw(tree: Outline, name: str, lead: str, below: str, lines: list[str]) -> None:
    """Add the lines of a node and of its children."""
    remarks = "; ".join(remarks_of(tree))
    lines.append(f"{lead + name:<{NAME_WIDTH}} {tree.kind:<12} {remarks}".rstrip())
    for index, child in enumerate(tree.children):
        last = index == len(tree.children) - 1
        branch, gap = ("└─ ", "   ") if last else ("├─ ", "│  ")
        draw(child, short(child.path), below + branch, below + gap, lines)


def remarks_of(tree: Outline) -> Iterator[str]:
    """What is worth telling about a node."""
    if tree.limit:
        yield tree.limit
    else:
        yield tree.restart
    if tree.mailbox:
        yield f"mailbox {tree.mailbox}"
    also = [short(path) for path in tree.restarts_with if not f"{path}/".startswith(f"{tree.path}/")]
    if also:
        yield f"restarts {', '.join(also)} too"
    if tree.stop_on:
        yield f"ends on {', '.join(tree.stop_on)}"


def short(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]
