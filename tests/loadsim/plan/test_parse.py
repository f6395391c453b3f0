"""Plans are read strictly: every error names its place, and a plan travels without loss."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.metrics.thresholds import parse_threshold
from loadsim.plan.model import Segment, Step
from loadsim.plan.parse import PlanError, decode_plan, encode_plan, parse_plan, plan_digest

PLAN = """
[run]
name = "smoke"
duration = "1m"
seed = 7

[[load]]
client = "trader"
arrivals = [{ at = "0s", rate = "5/s" }, { ramp = "20s", to = "10/s" }, { hold = "10s" }]
process = "poisson"
lifetime = "lognormal(10m, 0.4)"

[[load]]
client = "watcher"
model = "closed"
lane = "mux"
users = [{ at = "0s", n = 200 }, { at = "30s", n = 50 }]

[[act]]
client = "trader"
do = "open_order"
every = "2s"
jitter = "exp"
deadline = "5s"
params = { asset = ["EURUSD_otc", "GBPUSD_otc"], duration = 5 }

[[act]]
client = "watcher"
do = "subscribe"
params = { asset = "EURUSD_otc" }

[[fault]]
at = "20s"
kind = "stall"
for = "2s"

[[random_faults]]
per_minute = 6
kinds = ["drop", "latency"]
for = "exp(1s)"
from = "10s"

[thresholds]
list = ["rtt{event=openOrder}: p99 < 250ms"]

[limits]
omitted = 3
"""


def test_a_plan_is_read() -> None:
    plan = parse_plan(PLAN, check_threshold=parse_threshold)
    trader, watcher = plan.loads

    assert (plan.name, plan.duration_s, plan.seed) == ("smoke", 60.0, 7)
    assert trader.segments == (Segment(0.0, 20.0, 5.0, 10.0), Segment(20.0, 10.0, 10.0, 10.0))
    assert watcher.steps == (Step(0.0, 200), Step(30.0, 50))
    assert plan.acts[0].every.kind == "exp"
    assert plan.acts[1].times == 1
    assert plan.faults[0].for_s == 2.0
    assert plan.random_faults[0].until_s == 60.0
    assert plan.limits.omitted == 3


def test_a_rate_holds_to_the_end_unless_it_is_told_how_long() -> None:
    text = PLAN.replace(', { ramp = "20s", to = "10/s" }, { hold = "10s" }', "")

    assert parse_plan(text).loads[0].segments == (Segment(0.0, 60.0, 5.0, 5.0),)


def test_a_plan_travels_without_loss() -> None:
    plan = parse_plan(PLAN)
    again = decode_plan(json.loads(json.dumps(encode_plan(plan))))

    assert again == plan
    assert plan_digest(again) == plan_digest(plan)
    assert plan_digest(parse_plan(PLAN.replace("seed = 7", "seed = 8"))) != plan_digest(plan)


@pytest.mark.parametrize(
    ("old", "new", "path", "fault"),
    [
        ('duration = "1m"', 'duration = "soon"', "run.duration", "a duration is written like"),
        ('duration = "1m"', "", "run.duration", "a duration is"),
        ('duration = "1m"', 'duration = "0s"', "run.duration", "more than nothing"),
        ('duration = "1m"', 'duration = "2d"', "run.duration", "24 h at most"),
        ("seed = 7", 'seed = "x"', "run.seed", "int"),
        ("seed = 7", "sede = 7", "run", "sede"),
        ('rate = "5/s"', 'rate = "fast"', "load[0].arrivals[0].rate", "a rate is written like"),
        ('{ hold = "10s" }', '{ hold = "10s", to = "1/s" }', "load[0].arrivals[2]", "is {at, rate}"),
        ('{ hold = "10s" }', '{ at = "3s", rate = "1/s" }', "load[0].arrivals[2].at", "before the end"),
        ('lifetime = "lognormal(10m, 0.4)"', 'lifetime = "long"', "load[0].lifetime", "a duration is"),
        ('model = "closed"', 'model = "shut"', "load[1].model", "shut"),
        ('model = "closed"', 'model = "open"', "load[1].users", "closed"),
        ('{ at = "30s", n = 50 }', '{ at = "0s", n = 50 }', "load[1].users", "order of their times"),
        ("n = 200", "n = -1", "load[1].users[0].n", "negative"),
        ('lane = "mux"', 'lane = "fast"', "load[1].lane", "fast"),
        ('client = "trader"\ndo', 'client = "nobody"\ndo', "act[0].client", "nobody"),
        ('do = "open_order"', 'do = "dance"', "act[0].do", "dance"),
        ("duration = 5 }", "speed = 5 }", "act[0].params.speed", "not a parameter of open_order"),
        ('every = "2s"', 'every = "0s"', "act[0].every", "1 ms at least"),
        ('every = "2s"', 'every = "exp(2s)"', "act[0].jitter", "plain duration"),
        ('deadline = "5s"', 'deadline = "0s"', "act[0].deadline", "more than nothing"),
        ('kind = "stall"', 'kind = "flood"', "fault[0].kind", "flood"),
        ("per_minute = 6", "per_minute = 0", "random_faults[0].per_minute", "above 0"),
        ('"drop", "latency"', '"drop", "rain"', "random_faults[0].kinds", "rain"),
        ("p99 < 250ms", "p99 < 250", "thresholds.list[0]", "is a time"),
        ("omitted = 3", "omited = 3", "limits", "omited"),
        ("[run]", "[run", "plan", "is not TOML"),
    ],
)
def test_errors_name_their_place(old: str, new: str, path: str, fault: str) -> None:
    assert old in PLAN
    with pytest.raises(PlanError) as caught:
        parse_plan(PLAN.replace(old, new), check_threshold=parse_threshold)

    assert caught.value.path == path
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_a_plan_or_an_error(text: str) -> None:
    with pytest.raises(PlanError):
        parse_plan(text)


# --- arrivals from a file --------------------------------------------------------------------------------------------


def from_csv(rows: str) -> tuple[Segment, ...]:
    text = PLAN.replace(
        PLAN[PLAN.index("arrivals =") : PLAN.index("process")], 'arrivals_csv = "rates.csv"\n'
    )
    return parse_plan(text, read={"rates.csv": rows}.__getitem__).loads[0].segments


def test_rates_from_a_file() -> None:
    assert from_csv("seconds,rate\n0,5\n10,20\n20,0\n") == (
        Segment(0.0, 10.0, 5.0, 20.0),
        Segment(10.0, 10.0, 20.0, 0.0),
    )


@pytest.mark.parametrize("rows", ["", "0,5\n", "0,5\n0,6\n", "0,5\n9,-1\n", "0,5\nx,y\n", "0,5\n1,2,3\n"])
def test_a_file_that_is_wrong(rows: str) -> None:
    with pytest.raises(PlanError, match="arrivals_csv"):
        from_csv(rows)


def test_files_are_not_read_where_nobody_may() -> None:
    text = PLAN.replace(
        PLAN[PLAN.index("arrivals =") : PLAN.index("process")], 'arrivals_csv = "rates.csv"\n'
    )

    with pytest.raises(PlanError, match="cannot be read here"):
        parse_plan(text)


def test_what_is_no_plan_does_not_travel() -> None:
    with pytest.raises(PlanError):
        decode_plan({"name": 1})
