"""How late the generator itself is: a ticker that measures its own wake-ups, also those that a stall swallowed."""

from __future__ import annotations

from typing import Final

import trio

from loadsim.metrics.recorder import Recorder
from potrio.seam import Seam

__all__ = ["LAG", "watch_lag"]

LAG: Final = "generator.lag"
PERIOD_S: Final = 0.02


async def watch_lag(recorder: Recorder, seam: Seam, until: float) -> None:
    """Record lateness 50 times a second until that moment (trio's clock): when all leave at once, nobody is measured.

    After a stall every wake-up that it swallowed is recorded with the wait it would have had: a second without a
    wake-up is 50 late ones, not one.
    """
    due = seam.now() + PERIOD_S
    while due < until:
        await trio.sleep_until(due)
        now = seam.now()
        while due <= now:
            recorder.observe(LAG, (now - due) * 1e6)
            due += PERIOD_S
