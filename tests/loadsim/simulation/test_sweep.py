"""Many seeds, replay lines, and the smallest run that fails."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

import pytest

from loadsim.simulation.sweep import Job, plan_of, replay_line, run_job, run_jobs, shrink


def test_the_line_replays_the_run():
    job = Job(seed=17, hours=0.2, faults=(3, 7), plant="leaked_task")
    assert replay_line(job) == (
        "python -m loadsim simulate --seed 17 --hours 0.2 --level message --faults 3,7 --plant leaked_task"
    )
    assert {fault.number for fault in plan_of(Job(seed=2, hours=0.2, faults=(0, 2))).faults} == {0, 2}


def test_processes_give_what_one_gives(outcome_of):
    jobs = [Job(seed=seed, hours=0.05) for seed in (2, 3)]
    assert [out.hash for _, out in run_jobs(jobs, 2)] == [outcome_of(2).hash, outcome_of(3).hash]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the sign of their end is a pipe that they inherit")
def test_workers_end_with_a_parent_that_is_killed():
    program = (
        "from loadsim.simulation.sweep import Job, run_jobs\n"
        "for job, outcome in run_jobs([Job(seed=seed, hours=20 if seed else 0.01) for seed in range(9)], 2):\n"
        "    print(job.seed, flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout is not None
    with parent:
        try:
            assert parent.stdout.readline() == b"0\n"  # its workers are at work
            parent.kill()
            ended, _, _ = select.select([parent.stdout], [], [], 60)  # readable once the last of them is gone
            assert ended
            assert parent.stdout.read() == b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)


def test_a_failing_run_is_made_smaller():
    job = Job(seed=2, hours=0.05, plant="gap_not_reported")
    outcome = run_job(job)
    assert outcome.violations
    smaller, runs = shrink(job, outcome)
    assert runs > 0
    assert smaller.hours < job.hours or len(plan_of(smaller).faults) < len(plan_of(job).faults)
    assert {v.invariant for v in run_job(smaller).violations} & {outcome.violations[0].invariant}
