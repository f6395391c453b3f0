"""Exit codes of a run, and which of them wins (``loadsim.md`` 5.3)."""

from __future__ import annotations

import enum
from collections.abc import Iterable

__all__ = ["Exit", "winner"]


class Exit(enum.IntEnum):
    """How a run ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    TARGET = 3
    INVALID = 4
    ABORTED = 5
    ENGINE = 6
    ORACLE = 7
    THRESHOLD = 99
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def word(self) -> str:
        """The name in the report: ``invalid``."""
        return self.name.lower()


RANKS = (
    Exit.INTERRUPTED,
    Exit.TERMINATED,
    Exit.FAILED,
    Exit.USAGE,
    Exit.TARGET,
    Exit.ENGINE,
    Exit.ORACLE,  # books that disagree are worse than a run that measured badly
    Exit.INVALID,  # thresholds on invalid data mean nothing
    Exit.ABORTED,
    Exit.THRESHOLD,
    Exit.OK,
)


def winner(found: Iterable[Exit]) -> Exit:
    """The code of a run of which all these are true."""
    return min(found, key=RANKS.index, default=Exit.OK)
