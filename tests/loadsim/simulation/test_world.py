"""Whole runs: green without bugs, the same history for the same seed, on both levels."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from loadsim.simulation import world
from loadsim.simulation.plan import SimFault, draw_sim_plan
from loadsim.simulation.world import run_world


@pytest.mark.parametrize("level", ["message", "bytes"])
@pytest.mark.parametrize("seed", [2, 3, 5])
def test_nothing_is_wrong_with_the_product(outcome_of, seed, level):
    outcome = outcome_of(seed, level=level)
    assert outcome.violations == []
    assert outcome.counted["ticks"] > 300
    assert outcome.virtual_s > 180


def test_one_seed_one_history_in_three_processes_with_three_hash_seeds(outcome_of):
    """I16: also between the process of this test, where much else has run, and fresh ones."""
    program = (
        "from loadsim.simulation.sweep import Job, run_job;"
        "print(run_job(Job(seed=5, hours=0.05)).hash, run_job(Job(seed=2, hours=0.05, level='bytes')).hash)"
    )
    found = set()
    for hash_seed in ("0", "1", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        found.add(done.stdout.strip())
    assert found == {f"{outcome_of(5).hash} {outcome_of(2, level='bytes').hash}"}


def test_another_seed_is_another_history(outcome_of):
    assert outcome_of(5).hash != outcome_of(2).hash


def test_a_login_that_an_order_asks_for_a_minute_after_the_last_fault_is_given_its_time(monkeypatch):
    faults = tuple(
        SimFault(number=n, at=64.0 + 2 * n, kind="cut_within", for_s=1.0, share=0.05, on_order=True)
        for n in range(4)
    )
    plan = msgspec.structs.replace(draw_sim_plan(361, 0.02), faults=faults, orders_per_hour=1200.0)
    assert run_world(plan).violations == []
    monkeypatch.setattr(world, "RENEW_S", 0.0)
    assert [violation.invariant for violation in run_world(plan).violations] == ["R8 recovers"]
