"""Faults of the venue: what is posted for each, who is frozen, what is refused, when it is over."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from loadsim.metrics.merged import Row
from loadsim.plan.model import FAULTS, FaultSpec
from loadsim.plan.parse import parse_plan
from loadsim.swarm.faults import check_faults, play_venue_faults, recovered_s, rules_of
from loadsim.venue.config import convert
from loadsim.venue.faults import Fault
from potrio.errors import ConfigError, PotrioError


def plan(faults: str):
    load = '[[load]]\nclient = "a"\nmodel = "closed"\nusers = [{at = "0s", n = 1}]\n'
    return parse_plan(f'[run]\nduration = "60s"\n{load}{faults}')


@pytest.mark.parametrize("kind", FAULTS)
def test_the_venue_understands_every_kind(kind: str) -> None:
    rules = rules_of(FaultSpec(1.0, kind, "venue", 2.0))

    assert bool(convert(rules, tuple[Fault, ...], kind)) == (kind != "stall")


def test_params_of_a_fault_are_used() -> None:
    (rule,) = rules_of(FaultSpec(1, "latency", "venue", 2, params={"ms": 70, "event": "successopenOrder"}))
    assert (rule["delay_ms"], rule["event"], rule["probability"]) == (70, "successopenOrder", 1.0)
    (rule,) = rules_of(FaultSpec(1, "lose_replies", "venue", 2, params={"probability": 0.5}))
    assert (rule["kind"], rule["probability"]) == ("lose", 0.5)


@pytest.mark.parametrize(
    "fault",
    [
        'at = "1s"\nkind = "latency"\nscope = "link"',
        'at = "1s"\nkind = "latency"\nparams = {ms = 0}',
        'at = "1s"\nkind = "lose_replies"\nparams = {probability = "often"}',
    ],
)
def test_what_cannot_be_played_is_refused(fault: str) -> None:
    with pytest.raises(ConfigError, match="fault"):
        check_faults(plan(f"[[fault]]\n{fault}\n"), embedded=True)


def test_only_the_embedded_venue_stands_still() -> None:
    found = plan('[[fault]]\nat = "1s"\nkind = "stall"\nfor = "1s"\n')
    check_faults(found, embedded=True)
    with pytest.raises(ConfigError, match="embedded"):
        check_faults(found, embedded=False)


class Notes:
    """Stands for control and freezer: notes what it is told, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str, Any]] = []
        self.fails = False

    async def add_faults(self, rules: list[dict[str, Any]]) -> None:
        if self.fails:
            raise PotrioError("away")
        self._note("add", [rule["kind"] for rule in rules])

    async def remove_faults(self, rules: list[dict[str, Any]]) -> None:
        self._note("remove", [rule["kind"] for rule in rules])

    def freeze(self) -> None:
        self._note("freeze", None)

    def thaw(self) -> None:
        self._note("thaw", None)

    def _note(self, what: str, value: Any) -> None:
        self.told.append((trio.current_time(), what, value))


SCHEDULE = (
    '[[fault]]\nat = "1s"\nkind = "refuse"\nfor = "4s"\n'
    '[[fault]]\nat = "2s"\nkind = "stall"\nfor = "1s"\n'
    '[[fault]]\nat = "3500ms"\nkind = "drop"\n'
    '[[fault]]\nat = "6s"\nkind = "drop"\nscope = "link"\n'
)


async def test_faults_are_played_at_their_times(autojump_clock) -> None:
    notes, played = Notes(), []
    await play_venue_faults(plan(SCHEDULE), trio.current_time(), notes, notes, played)  # type: ignore[arg-type]  # stands for both

    assert notes.told == [
        (1.0, "add", ["refuse_connection"]),
        (2.0, "freeze", None),
        (3.0, "thaw", None),
        (3.5, "add", ["drop"]),
        (5.0, "remove", ["refuse_connection"]),
    ]
    assert [fault.kind for fault in played] == ["refuse", "stall", "drop", "drop"]


async def test_a_run_that_ends_meanwhile_leaves_nothing_frozen(autojump_clock) -> None:
    notes = Notes()
    with trio.move_on_after(2.5):
        await play_venue_faults(plan(SCHEDULE), trio.current_time(), notes, notes, [])  # type: ignore[arg-type]  # stands for both

    assert notes.told[-1][1] == "thaw"


async def test_what_the_venue_did_not_hear_did_not_happen(autojump_clock) -> None:
    notes, played = Notes(), []
    notes.fails = True
    await play_venue_faults(plan(SCHEDULE), trio.current_time(), notes, notes, played)  # type: ignore[arg-type]  # stands for both

    assert [(fault.kind, fault.scope) for fault in played] == [("stall", "venue"), ("drop", "link")]


def test_recovery_is_the_first_whole_good_second() -> None:
    fault = FaultSpec(3.0, "stall", "venue", 2.0)
    good = {"ok": 10, "p99_us": 20_000}
    rows = [Row(t=t, **good) for t in (1, 2, 3)]
    rows += [
        Row(t=6, ok=5, errors=1), Row(t=7, ok=9, p99_us=900_000), Row(t=8), Row(t=9, ok=9, omitted=1), Row(t=10, **good)
    ]  # fmt: skip

    assert recovered_s(fault, rows) == 5.0
    assert recovered_s(fault, rows[:-1]) is None
    assert recovered_s(fault, [Row(t=6, ok=1, p99_us=900_000)]) == 1.0
