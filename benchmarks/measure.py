"""Measuring in one process: contenders take turns, and each has the median of its rounds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

__all__ = ["Contender", "measure"]


class Contender(NamedTuple):
    """Something that does the work once; ``run`` returns how many items it got done."""

    name: str
    run: Callable[[], int]


def measure(contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Let the contenders take turns, so that a slow moment of the machine meets all of them.

    Returns:
        Items per second of processor time, by name.
    """
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            gc.collect()
            started = time.process_time()
            items = contender.run()
            rates[contender.name].append(items / (time.process_time() - started))
    return {name: median(each) for name, each in rates.items()}
