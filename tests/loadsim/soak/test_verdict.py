"""A verdict holds only where everything was looked at and nothing was found."""

from __future__ import annotations

from loadsim.soak.verdict import BREACHES_KEPT, Verdict, lines_of


def test_what_was_never_looked_at_has_not_held():
    verdict = Verdict()
    verdict.check("P1", True, "fine", 1.0)
    verdict.require(("P1", "P2"), 2.0)
    part = verdict.part("simulated", 7, 10.0, {"clients": 2})
    assert not part.held
    assert [(each.promise, each.at_s) for each in part.breaches] == [("P2", 2.0)]
    assert part.figures == {"clients": 2, "checks": {"P1": 1}}


def test_all_breaches_are_counted_and_the_first_are_kept():
    verdict = Verdict()
    for number in range(BREACHES_KEPT + 5):
        assert not verdict.check("P4", False, f"tick {number}", float(number))
    part = verdict.part("simulated", 7, 10.0, {})
    assert (len(part.breaches), part.breaches_total) == (BREACHES_KEPT, BREACHES_KEPT + 5)
    assert part.breaches[0].text == "tick 0"


def test_people_are_told_the_seed_the_figures_and_what_did_not_hold():
    verdict = Verdict()
    verdict.check("P1", False, "order x came 2 times", 12.5)
    lines = lines_of(verdict.part("over TCP", 42, 8.0, {"orders_by_state": {"settled": 3}}))
    assert lines[0].startswith("over TCP: 1 BREACHES, seed 42")
    assert "  orders by state: settled 3" in lines
    assert lines[-1] == "  P1 at 12.5 s: order x came 2 times"
