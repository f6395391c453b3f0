"""A spec is a value, and what is wrong with one is said when it is built (row A1)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from potrio.supervision import (
    ChildSpecInvalid,
    Context,
    DuplicateChild,
    Key,
    Limit,
    bounded,
    child,
    service,
    supervisor,
)


async def quiet(ctx: Context[str]) -> None:
    async for _ in ctx.inbox:
        pass


BAD: list[dict[str, Any]] = [
    {"id": ""},
    {"id": "a/b"},
    {"id": 7},
    {"restart": "always"},
    {"shutdown": -1},
    {"shutdown": math.nan},
    {"start_timeout": 0},
    {"start_timeout": -1},
    {"ask_timeout": 0},
    {"mailbox": "big"},
    {"redeliver": -1},
    {"stash_max": 0},
    {"stop_on": (int,)},
    {"stop_on": (KeyboardInterrupt,)},
    {"significant": True, "restart": "permanent"},
]


@pytest.mark.parametrize("values", BAD, ids=str)
def test_A1_bad_specs_are_refused_when_they_are_built(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        child(quiet, **{"id": "a", **values})


@pytest.mark.parametrize(
    "values",
    [
        {"strategy": "all"},
        {"auto_shutdown": "sometimes"},
        {"max_children": 0},
        {"restart": "never"},
        {"id": "a/b"},
    ],
    ids=str,
)
def test_A1_bad_supervisors_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ChildSpecInvalid):
        supervisor(child(quiet, id="a"), **{"id": "root", **values})


def test_A1_something_else_than_a_function_is_refused() -> None:
    with pytest.raises(ChildSpecInvalid, match="function"):
        child(None, id="a")  # type: ignore[arg-type]  # what the test is about


def test_A1_something_else_than_a_spec_is_refused() -> None:
    with pytest.raises(ChildSpecInvalid, match="made by"):
        supervisor(quiet, id="root")  # type: ignore[arg-type]  # what the test is about


def test_A1_duplicate_ids_are_refused() -> None:
    with pytest.raises(DuplicateChild, match=r"^a: "):
        supervisor(child(quiet, id="a"), child(quiet, id="a"), id="root")


def test_A1_one_id_in_two_supervisors_is_fine() -> None:
    supervisor(supervisor(child(quiet, id="a"), id="x"), supervisor(child(quiet, id="a"), id="y"), id="root")


def test_D3_one_key_twice_in_a_tree_is_refused() -> None:
    key = Key[str]("k")
    with pytest.raises(DuplicateChild, match="key"):
        supervisor(
            supervisor(child(quiet, id=key), id="x"), supervisor(child(quiet, id=key), id="y"), id="root"
        )


def test_A1_significant_while_never_is_refused() -> None:
    with pytest.raises(ChildSpecInvalid, match="significant"):
        supervisor(child(quiet, id="a", restart="temporary", significant=True), id="root")


def test_A1_specs_are_immutable() -> None:
    spec = child(quiet, id="a")

    with pytest.raises(AttributeError):
        spec.id = "b"  # type: ignore[misc]  # what the test is about


def test_A1_faults_carry_the_child_and_the_reason() -> None:
    with pytest.raises(ChildSpecInvalid) as caught:
        child(quiet, id="book", shutdown=-1)

    assert caught.value.path == "book"
    assert "shutdown" in caught.value.reason
    assert str(caught.value).startswith("book: ")


def test_a_key_is_a_typed_name() -> None:
    assert Key[int]("a") == Key[str]("a")
    assert hash(Key("a")) == hash(Key("a"))
    assert Key("a") != Key("b")
    assert Key("a") != "a"
    assert repr(Key("a")) == "Key('a')"
    assert child(quiet, id=Key[str]("named")).id == "named"


def test_good_values_are_kept_as_they_are() -> None:
    spec = child(quiet, id="a", shutdown=math.inf, mailbox=bounded(3), stop_on=(ValueError,))
    top = supervisor(spec, service(quiet, id="s"), id="root", limit=Limit(1, 2))

    assert spec.mailbox == bounded(3)
    assert top.supervisor is not None
    assert [each.id for each in top.supervisor.children] == ["a", "s"]
    assert top.shutdown == math.inf
