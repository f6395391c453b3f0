"""Soak: ten million frames through the whole client, and whether its memory grows with them.

A tick is two frames, the header of its event and its attachment. The venue blasts the same block again and again, all
of its stamps alike, so that nothing is out of order however often it comes. The figure is the slope of resident memory
over frames, a line through the samples of the last three quarters: what grows until it is warm is not a leak.
"""

from __future__ import annotations

from statistics import linear_regression

from benchmarks.budget import Verdict
from benchmarks.processes import open_blaster, run_contender

__all__ = ["slope_kib", "verdicts"]

FRAMES = 10_000_000
FRAMES_PER_TICK = 2
BLOCK_TICKS = 20_000
SAMPLES = 80
SLOPE_MAX = 50.0
"""KiB for each million frames: 5 hundredths of a byte for each; less than the allocator's own breathing."""


def slope_kib(samples: list[tuple[int, int]]) -> float:
    """KiB of growth for each million frames.

    Args:
        samples: ticks so far, KiB resident.
    """
    warm = samples[len(samples) // 4 :]
    if len(warm) < 2:
        return 0.0
    frames = [ticks * FRAMES_PER_TICK / 1e6 for ticks, _ in warm]
    return linear_regression(frames, [kib for _, kib in warm]).slope


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure, once: a soak is long, and a slope has no median."""
    del rounds
    ticks = max(BLOCK_TICKS, int(FRAMES * scale) // FRAMES_PER_TICK)
    repeat = ticks // BLOCK_TICKS + 2
    with open_blaster(count=BLOCK_TICKS, repeat=repeat) as venue:
        got = run_contender("potrio_soak", venue.url, str(ticks), str(SAMPLES), ours=True, seconds=600)
    samples = [(int(taken), int(kib)) for taken, kib in got["samples"]]
    slope = slope_kib(samples)
    return [
        Verdict(
            "S1",
            f"growth of resident memory over {ticks * FRAMES_PER_TICK:,} frames",
            "KiB for each million frames",
            slope,
            {},
            slope,
            f"<= {SLOPE_MAX:g}",
            slope <= SLOPE_MAX,
            {
                "resident at the first and the last sample, KiB": (samples[0][1], samples[-1][1]),
                "dropped by our stream": got["dropped"],
                "seconds of processor time": round(got["cpu_seconds"], 1),
            },
        )
    ]
