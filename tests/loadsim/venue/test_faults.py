"""The plan of faults: which rule meets which event, how often, and that it can be repeated."""

from __future__ import annotations

from typing import Any

import pytest

from loadsim.venue.faults import FAULTS_MAX, Fault, FaultKind, FaultPlan
from potrio.errors import ConfigError


def plan(**fields: Any) -> FaultPlan:
    """A plan of one rule."""
    return FaultPlan(1, (Fault(**fields),))


def test_a_rule_waits_for_its_event_and_its_user_and_is_then_used_up() -> None:
    one = plan(kind=FaultKind.LOSE, event="successopenOrder", uid=7)
    assert one.on_reply("successcloseOrder", 7) == []
    assert one.on_reply("successopenOrder", 8) == []
    assert one.on_request("successopenOrder", 7) == [], "the other direction"
    assert [fault.kind for fault in one.on_reply("successopenOrder", 7)] == [FaultKind.LOSE]
    assert one.on_reply("successopenOrder", 7) == []
    assert len(one) == 0


def test_skip_and_count() -> None:
    one = plan(kind=FaultKind.DUPLICATE, event="x", skip=2, count=3)
    assert [len(one.on_reply("x", None)) for _ in range(7)] == [0, 0, 1, 1, 1, 0, 0]
    endless = plan(kind=FaultKind.DUPLICATE, count=None)
    assert all(endless.on_reply(str(number), None) for number in range(50))


def test_probability_is_drawn_from_the_seed() -> None:
    def met(seed: int) -> list[int]:
        drawn = FaultPlan(seed, (Fault(kind=FaultKind.LOSE, count=None, probability=0.3),))
        return [len(drawn.on_reply("x", None)) for _ in range(400)]

    assert met(1) == met(1) != met(2)
    assert 80 < sum(met(1)) < 160


@pytest.mark.parametrize(
    ("kind", "event"),
    [(FaultKind.REJECT_AUTH, "auth"), (FaultKind.REFUSE, "openOrder"), (FaultKind.LOSE, "anything")],
)
def test_kinds_have_their_own_default_event(kind: FaultKind, event: str) -> None:
    one = plan(kind=kind)
    assert one.on_request("getBalance", None) == []
    assert one.on_request(event, None) or one.on_reply(event, None)


def test_connection_kinds_without_event_are_immediate() -> None:
    immediate = {
        kind
        for kind in FaultKind
        if kind not in (FaultKind.DELAY, FaultKind.SLOW_DRAIN) and Fault(kind=kind).is_immediate
    }
    assert immediate == {
        FaultKind.DROP, FaultKind.HALF_OPEN, FaultKind.GARBAGE, FaultKind.BARE_41, FaultKind.RESTART,
    }  # fmt: skip
    assert not Fault(kind=FaultKind.DROP, event="openOrder").is_immediate
    assert plan(kind=FaultKind.DROP, event="openOrder").on_event("openOrder", None)


def test_refused_connections() -> None:
    one = plan(kind=FaultKind.REFUSE_CONNECTION, count=2)
    assert [one.on_connect() is not None for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": FaultKind.DELAY},
        {"kind": FaultKind.SLOW_DRAIN},
        {"kind": FaultKind.LOSE, "count": 0},
        {"kind": FaultKind.LOSE, "skip": -1},
        {"kind": FaultKind.LOSE, "probability": 0},
        {"kind": FaultKind.LOSE, "probability": 1.1},
        {"kind": FaultKind.DELAY, "delay_ms": 600_001},
        {"kind": FaultKind.LOSE, "event": "x" * 257},
        {"kind": FaultKind.REFUSE, "error": ""},
    ],
)
def test_rules_are_bounded(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Fault(**fields)


def test_plans_are_bounded_shown_and_cleared() -> None:
    one = plan(kind=FaultKind.LOSE, event="x", count=None)
    one.on_reply("x", None)
    assert one.rules() == [
        {"kind": "lose", "event": "x", "uid": None, "count": None, "seen": 1, "applied": 1}
    ]
    with pytest.raises(ConfigError):
        one.add((Fault(kind=FaultKind.LOSE),) * FAULTS_MAX)
    one.clear()
    assert len(one) == 0
    assert one.on_reply("x", None) == []
