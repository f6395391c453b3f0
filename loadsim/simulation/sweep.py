"""Many seeds, on one core or several; and the smallest run in which what was found still fails."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread

import msgspec

from loadsim.simulation.plan import Level, SimPlan, draw_sim_plan
from loadsim.simulation.planted import planted
from loadsim.simulation.world import Outcome, run_world

__all__ = ["Job", "plan_of", "replay_line", "run_job", "run_jobs", "shrink"]

SHORTER = (0.25, 0.5, 0.75)
SHRINK_RUNS_MAX = 40


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run as it is asked for.

    Attributes:
        faults: numbers of the faults to keep, of those that the seed draws; None: all.
        plant: name of a planted bug; "" for none.
    """

    seed: int
    hours: float
    level: Level = "message"
    faults: tuple[int, ...] | None = None
    plant: str = ""


def plan_of(job: Job) -> SimPlan:
    """The plan of a run."""
    plan = draw_sim_plan(job.seed, job.hours, job.level)
    if job.faults is None:
        return plan
    return msgspec.structs.replace(
        plan, faults=tuple(fault for fault in plan.faults if fault.number in job.faults)
    )


def replay_line(job: Job) -> str:
    """The command that runs it again."""
    words = [
        "python -m loadsim simulate",
        f"--seed {job.seed}",
        f"--hours {job.hours:g}",
        f"--level {job.level}",
    ]
    if job.faults is not None:
        words.append("--faults " + (",".join(map(str, job.faults)) or "none"))
    if job.plant:
        words.append(f"--plant {job.plant}")
    return " ".join(words)


def run_job(job: Job) -> Outcome:
    """Run it here."""
    with planted(job.plant):
        return run_world(plan_of(job))


def run_jobs(jobs: Iterable[Job], processes: int = 1) -> Iterator[tuple[Job, Outcome]]:
    """Run them, in order; with several processes as many at once."""
    if processes <= 1:
        for job in jobs:
            yield job, run_job(job)
        return
    ours, theirs = Pipe()  # its other end closes with this process, however that ends
    with ours, theirs, ProcessPoolExecutor(processes, initializer=_end_with, initargs=(ours, theirs)) as pool:
        listed = list(jobs)
        yield from zip(listed, pool.map(run_job, listed, chunksize=1), strict=True)


def _end_with(parent: Connection, wire: Connection) -> None:
    """In a worker: end when the process that began it does, which may have been killed and can tell nobody."""
    parent.close()  # our copy of its end

    def wait() -> None:
        try:
            wire.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    Thread(target=wait, daemon=True, name="end with the parent").start()


def shrink(job: Job, outcome: Outcome) -> tuple[Job, int]:
    """Look for a smaller run that breaks the same invariant: shorter first, then with fewer faults (bisecting).

    Returns:
        the smallest run found, and how many runs it took.
    """
    wanted = {violation.invariant for violation in outcome.violations[:1]}
    runs = 0

    def fails(candidate: Job) -> bool:
        nonlocal runs
        runs += 1
        return bool(wanted & {violation.invariant for violation in run_job(candidate).violations})

    for share in SHORTER:
        shorter = msgspec.structs.replace(job, hours=round(job.hours * share, 4))
        if fails(shorter):
            job = shorter
            break
    kept = [fault.number for fault in plan_of(job).faults]
    size = len(kept)
    while size >= 1 and kept and runs < SHRINK_RUNS_MAX:
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            candidate = msgspec.structs.replace(job, faults=tuple(fewer))
            if runs < SHRINK_RUNS_MAX and fails(candidate):
                kept, job = fewer, candidate
                break
        else:
            size //= 2
        size = min(size, len(kept))
    return job, runs
