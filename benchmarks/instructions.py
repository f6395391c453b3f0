"""Instructions for each tick, counted by valgrind's callgrind: a figure without noise, to compare commits with.

Each path runs twice, with few ticks and with many; the difference is what the further ticks cost, without the start of
the interpreter. Making the ticks is in both and subtracted by a third path that only makes them. No budget: the ratio
to msgspec alone says how much of the work is ours, and the figure itself belongs beside the one of another commit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.budget import Verdict
from benchmarks.processes import CONTENDERS, ROOT, PeersMissing

__all__ = ["counted", "verdicts"]

FEW, MANY = 1_000, 6_000
SECONDS = 300


def counted(path: str, ticks: int) -> int:
    """Instructions of one run.

    Raises:
        PeersMissing: there is no valgrind.
        RuntimeError: the run failed.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise PeersMissing("instructions are counted by valgrind, which is not installed")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        command = [valgrind, "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet", sys.executable]
        command += [str(CONTENDERS / "counted.py"), path, str(ticks)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        if done.returncode:
            raise RuntimeError(f"counting failed: {done.stderr[-1000:]}")
        totals = [line for line in out.read_text().splitlines() if line.startswith(("summary:", "totals:"))]
    return int(totals[-1].split()[1])


def per_tick(path: str, scale: float) -> float:
    """Instructions for each further tick."""
    few, many = max(100, int(FEW * scale)), max(200, int(MANY * scale))
    return (counted(path, many) - counted(path, few)) / (many - few)


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Count, once each: nothing varies."""
    del rounds
    making = per_tick("nothing", scale)
    ours, base = (per_tick(path, scale) - making for path in ("potrio", "msgspec"))
    return [
        Verdict(
            "N1",
            "bytes to typed ticks, protocol only",
            "instructions a tick",
            ours,
            {"msgspec, one array": base},
            ours / base,
            "none: to compare commits with",
            True,
        )
    ]
