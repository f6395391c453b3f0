"""The venue's own record is what orders are compared with."""

from __future__ import annotations

from loadsim.simulation.sweep import Job, run_job


def test_an_order_that_left_before_its_intent_was_on_disk_is_seen():
    found = run_job(Job(seed=1, hours=0.05, plant="journal_after_wire"))
    assert {violation.invariant for violation in found.violations} == {"I2 journal before wire"}
    assert all(violation.order in found.orders for violation in found.violations)
