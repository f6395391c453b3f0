"""Runs of the simulation for its tests."""

from __future__ import annotations

import pytest

from loadsim.simulation.sweep import Job, run_job


@pytest.fixture(scope="session")
def outcome_of():
    """Run a seed; the same one is run once in a session."""
    known = {}

    def run(seed: int, hours: float = 0.05, level: str = "message", **more):
        job = Job(seed=seed, hours=hours, level=level, **more)
        if job not in known:
            known[job] = run_job(job)
        return known[job]

    return run
