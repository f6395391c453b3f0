"""Each violation names its invariant and the order concerned, whose story is kept."""

from __future__ import annotations

from loadsim.simulation.sweep import Job, run_job


def test_a_wrong_result_is_told_with_its_order():
    found = run_job(Job(seed=3, hours=0.05, plant="loss_by_guess"))
    invariants = {violation.invariant for violation in found.violations}
    assert "I8 confluence" in invariants
    assert "I10 money" in invariants
    wrong = next(v for v in found.violations if v.invariant == "I8 confluence")
    assert any("settled" in line for line in found.orders[wrong.order])


def test_where_a_journal_is_kept_it_is_read_back(outcome_of):
    outcome = outcome_of(2)
    assert outcome.counted["replayed"] == outcome.counted["orders"] > 2
    assert outcome.violations == []


def test_a_journal_that_says_something_else_is_told():
    found = run_job(Job(seed=2, hours=0.05, plant="journal_without_results"))
    assert {violation.invariant for violation in found.violations} == {"I11 journal"}
