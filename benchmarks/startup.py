"""B10: what `import potrio` costs beside the libraries it stands on, and how long `potrio demo` takes."""

from __future__ import annotations

import compileall
import subprocess
import sys
import time
from statistics import median

from benchmarks.budget import Verdict, at_most
from benchmarks.processes import ROOT

__all__ = ["verdicts"]

IMPORTS = {"potrio": "import potrio", "trio, msgspec and wsproto": "import trio, msgspec, wsproto"}
MEASURE = "import time; started = time.process_time(); {0}; print(time.process_time() - started)"
CEILING = 1.3
DEMO_SECONDS = 30.0


def import_time(statement: str) -> float:
    """Processor milliseconds of one import in a fresh interpreter."""
    command = [sys.executable, "-c", MEASURE.format(statement)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return float(done.stdout) * 1000


def demo_time() -> float:
    """Seconds of the whole demo."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "potrio", "demo"]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=True)
    return time.perf_counter() - started


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure; a run at a small scale leaves the demo out."""
    compileall.compile_dir(ROOT / "potrio", quiet=2)  # as the libraries are: installing a package does it
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(max(1, int(rounds * 2 * scale)) + 1):
        for name, statement in IMPORTS.items():
            times[name].append(import_time(statement))
    ours, bare = (median(each[1:]) for each in times.values())  # the first may find cold files
    found = [
        Verdict(
            "B10a",
            "import potrio",
            "ms of processor time",
            ours,
            {"trio, msgspec and wsproto": bare},
            ours / bare,
            *at_most(CEILING, ours / bare, "trio, msgspec and wsproto"),
        )
    ]
    if scale >= 1:
        seconds = demo_time()
        words = f"<= {DEMO_SECONDS:g} s"
        found.append(
            Verdict(
                "B10b",
                "potrio demo",
                "s",
                seconds,
                {},
                seconds / DEMO_SECONDS,
                words,
                seconds <= DEMO_SECONDS,
            )
        )
    return found
