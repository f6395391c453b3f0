"""Merging, judging again and comparing, from documents alone."""

from __future__ import annotations

import pytest

from loadsim.plan.parse import parse_plan
from loadsim.report.compare import check, diff, merge
from loadsim.report.document import build, merged_of
from loadsim.report.exits import Exit
from loadsim.report.result import Check, ShardResult, judge
from potrio.errors import ConfigError

from .conftest import PLAN, made_up, merged_run


def test_merging_adds_everything_up() -> None:
    one, two = build(made_up()), build(made_up(merged=merged_run(took_s=0.4), run_id="r2"))
    both = merge([one, two], ["one", "two"])
    total = merged_of(both)

    assert total.counters["orders"] == 48
    assert total.select("rtt").histograms["response"].n == 48
    assert total.select("rtt").histograms["response"].max == 400_000
    assert both["clients"]["planned"] == 48
    assert both["validity"]["planned"] == 48
    assert set(both["timelines"]) == {"one", "two"}
    assert [row["ok"] for row in both["thresholds"]] == [False, False, True], "judged on the sum"


def test_merging_does_not_depend_on_the_order() -> None:
    one, two = build(made_up()), build(made_up(merged=merged_run(took_s=0.4), run_id="r2"))
    ab, ba = merge([one, two], ["a", "b"]), merge([two, one], ["b", "a"])

    assert ab["histograms"] == ba["histograms"]
    assert ab["thresholds"] == ba["thresholds"]


def test_different_plans_are_not_merged() -> None:
    other = made_up(plan=parse_plan(PLAN.replace("seed = 3", "seed = 4")))

    with pytest.raises(ConfigError, match="different plans"):
        merge([build(made_up()), build(other)], ["a", "b"])
    with pytest.raises(ConfigError, match="two reports"):
        merge([], [])


def test_the_worst_verdict_counts() -> None:
    lost = [ShardResult(shard=0, state="done"), ShardResult(shard=1, state="lost")]
    plan = parse_plan(PLAN)
    bad = made_up(validity=judge(merged_run(), lost, plan.limits, expected=2))
    both = merge([build(made_up()), build(bad)], ["a", "b"])

    assert both["validity"]["verdict"] == "invalid"
    assert both["exit"] == {"code": 4, "name": "invalid"}
    assert both["validity"]["reasons"][0].startswith("b: coverage 50%")


@pytest.mark.parametrize(
    ("thresholds", "code"),
    [
        (["rtt: p99 < 1s"], Exit.OK),
        (["rtt: p99 < 1ms"], Exit.THRESHOLD),
        (["rtt: p99 < 1ms soft"], Exit.OK),
        (["coverage: value >= 100%"], Exit.OK),
        (["rtt: p99 < 1s after 1h"], Exit.THRESHOLD),
    ],
)
def test_other_thresholds(thresholds: list[str], code: Exit) -> None:
    found = check(build(made_up()), thresholds)

    assert found["exit"]["code"] == code
    assert [row["expr"] for row in found["thresholds"]] == thresholds


def test_books_that_disagree_outweigh_thresholds() -> None:
    document = build(made_up(checks=[Check(what="orders", ours="2", venue="3", ok=False)]))

    assert check(document, ["rtt: p99 < 1ms"])["exit"] == {"code": 7, "name": "oracle"}


def test_a_window_cannot_be_looked_at_afterwards() -> None:
    with pytest.raises(ConfigError, match="only the whole run"):
        check(build(made_up()), ["rtt: p99 < 1s over 10s"])


def test_a_comparison_has_a_row_for_everything_shared() -> None:
    rows = {row["what"]: row for row in diff(build(made_up()), build(made_up(merged=merged_run(took_s=0.2))))}

    assert rows["rtt{event=openOrder,lane=light} response p99 us"]["ratio"] == pytest.approx(2.0, rel=0.01)
    assert rows["orders"]["ratio"] == 1.0
