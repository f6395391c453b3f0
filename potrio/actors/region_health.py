"""What is known of each address: how fast it connects, how often it failed, how long it is left alone (pure).

The next address to try is the best by what was measured: the one that worked last, then those that worked, the fastest
first, then those never tried in the order of the table, then those that failed, the least often first, and last of all
those that are cooling down. A host that only fails so ranks behind all others, however quickly it refuses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from potrio.limits import REGION_COOLDOWN_BASE, REGION_COOLDOWN_CAP
from potrio.protocol.regions import Region

__all__ = ["RegionHealth", "RegionRecord"]

WEIGHT = 0.3
"""Of the newest connect time in the moving average."""

DOUBLINGS_MAX = 32


class RegionRecord(msgspec.Struct, frozen=True):
    """One address, as it was met.

    Attributes:
        connects: how often it led to an authenticated link.
        failures: how often it did not, or lost the link at once.
        failures_in_a_row: since it last worked.
        connect_s: from dialling to authentication, as a moving average; None: never measured.
        cooling_until: it is left alone until then (trio's clock), where there is another to try.
    """

    connects: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    connect_s: float | None = None
    cooling_until: float = -math.inf


class RegionHealth:
    """The records by URL. It outlives connections and the actor's incarnations; one writer: the connection actor."""

    def __init__(self) -> None:
        self.records: dict[str, RegionRecord] = {}
        self.last_good: str | None = None

    def of(self, region: Region) -> RegionRecord:
        """The record of an address; an empty one where it was never tried."""
        return self.records.get(region.url, RegionRecord())

    def worked(self, region: Region, connect_s: float) -> None:
        """The address led to an authenticated link, ``connect_s`` seconds after dialling began."""
        before = self.of(region)
        known = connect_s if before.connect_s is None else before.connect_s
        self.last_good = region.url
        self.records[region.url] = RegionRecord(
            connects=before.connects + 1,
            failures=before.failures,
            connect_s=known + WEIGHT * (connect_s - known),
        )

    def failed(self, region: Region, now: float) -> None:
        """The address did not lead to a link, or to one that was lost at once: leave it alone for a while."""
        before = self.of(region)
        row = before.failures_in_a_row + 1
        pause = min(REGION_COOLDOWN_CAP, REGION_COOLDOWN_BASE * 2.0 ** min(row - 1, DOUBLINGS_MAX))
        if self.last_good == region.url:
            self.last_good = None
        self.records[region.url] = msgspec.structs.replace(
            before, failures=before.failures + 1, failures_in_a_row=row, cooling_until=now + pause
        )

    def ranked(self, candidates: Sequence[Region], now: float) -> list[Region]:
        """The addresses, the best to try first. Equal ones keep their order."""

        def rank(region: Region) -> tuple[bool, int, bool, float]:
            record = self.of(region)
            return (
                record.cooling_until > now,
                record.failures_in_a_row,
                region.url != self.last_good,
                math.inf if record.connect_s is None else record.connect_s,
            )

        return sorted(candidates, key=rank)
