"""Python's collector of cycles, told not to hurry: with a million objects alive, one full pass stops everything."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

__all__ = ["unhurried_collector"]

THRESHOLDS: Final = (10_000, 10, 50)
"""Objects more than were freed until the youngest are looked at, and so many such passes until the next older are: a
pass over the youngest takes a millisecond, one over everything a quarter of a second at ten thousand clients. That one
comes after five million objects, not after seventy thousand: cycles cost so much memory until then."""


@contextmanager
def unhurried_collector() -> Generator[None, None, None]:
    """Let the collector of this process be rare while the block runs; then it is as before."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
