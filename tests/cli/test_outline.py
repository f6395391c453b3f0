"""Trees as they are written down: whom a crash restarts, by the strategy of the supervisor, and the drawing."""

from __future__ import annotations

import math

import pytest

from potrio.cli.outline import outline, outline_paths, region_of, render_outline
from potrio.supervision.backoff import Backoff
from potrio.supervision.intensity import Limit
from potrio.supervision.mailbox_spec import bounded, lanes, latest, unbounded
from potrio.supervision.spec import child, service, supervisor


async def job(ctx) -> None:
    """Never run here."""


async def plain(task_status) -> None:
    """Never run here."""


def family(strategy):
    inner = supervisor(child(job, id="x"), child(job, id="y"), id="inner", strategy="one_for_all")
    return outline(supervisor(child(job, id="a"), inner, child(job, id="b"), id="top", strategy=strategy))


@pytest.mark.parametrize(
    ("strategy", "victim", "region"),
    [
        ("one_for_one", "top/a", ["a"]),
        ("one_for_one", "top/inner", ["inner", "inner/x", "inner/y"]),
        ("rest_for_one", "top/a", ["a", "inner", "inner/x", "inner/y", "b"]),
        ("rest_for_one", "top/b", ["b"]),
        ("one_for_all", "top/b", ["a", "inner", "inner/x", "inner/y", "b"]),
        ("rest_for_one", "top/inner/y", ["inner/x", "inner/y"]),
    ],
)
def test_a_region_follows_the_strategy_of_the_supervisor_above(strategy, victim, region):
    assert list(region_of(family(strategy), victim)) == [f"top/{name}" for name in region]


@pytest.mark.parametrize("path", ["top/c", "top/inner/z", "a", "top/in"])
def test_a_path_that_is_not_there(path):
    with pytest.raises(LookupError):
        region_of(family("one_for_one"), path)


def test_paths_come_in_the_order_of_starting():
    assert list(outline_paths(family("one_for_one"))) == [
        "top",
        "top/a",
        "top/inner",
        "top/inner/x",
        "top/inner/y",
        "top/b",
    ]


def test_mailboxes_and_patience_in_words():
    tree = outline(
        supervisor(
            child(job, id="a", mailbox=bounded(7, "drop_oldest"), stop_on=(ValueError,)),
            child(job, id="b", mailbox=lanes(unbounded(), latest(key=type), lane=lambda message: 0)),
            service(plain, id="c", restart="transient"),
            id="top",
            limit=Limit(2, within=60),
            backoff=Backoff(base=0.5, cap=4),
        )
    )
    a, b, c = tree.children
    assert (a.kind, a.mailbox, a.stop_on) == ("actor", "bounded 7, drop_oldest", ("ValueError",))
    assert b.mailbox == "lanes: unbounded | latest of each key"
    assert (c.kind, c.mailbox, c.restart) == ("service", "", "transient")
    assert (tree.kind, tree.limit) == ("one_for_one", "2 restarts in 60 s, backoff 0.5 to 4 s")


def test_a_supervisor_that_never_gives_up_says_so():
    tree = outline(supervisor(id="top", limit=Limit.never()))
    assert math.isinf(Limit.never().restarts)
    assert tree.limit.startswith("any number of restarts")


def test_the_drawing():
    assert [
        line.split(";")[0].split()[:4] for line in render_outline(family("rest_for_one")).splitlines()
    ] == [
        ["top", "rest_for_one", "3", "restarts"],
        ["├─", "a", "actor", "permanent"],
        ["├─", "inner", "one_for_all", "3"],
        ["│", "├─", "x", "actor"],
        ["│", "└─", "y", "actor"],
        ["└─", "b", "actor", "permanent"],
    ]


def test_the_drawing_tells_who_else_is_restarted():
    lines = render_outline(family("rest_for_one")).splitlines()
    assert lines[1].endswith("restarts inner, x, y, b too")
    assert lines[2].endswith("restarts b too")  # what is below it goes without saying
    assert "too" not in lines[5]
