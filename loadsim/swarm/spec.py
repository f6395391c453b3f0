"""What a shard is told before it begins, and what it has to talk to while it runs: the same for every engine."""

from __future__ import annotations

from typing import Protocol

import msgspec

from loadsim.metrics.delta import Delta
from loadsim.plan.model import Plan
from potrio.errors import ConfigError

__all__ = ["LATE_MAX_S", "Link", "ShardSpec"]

LATE_MAX_S = 2.0
"""A shard that begins later than this after its start instant sends nothing: it would be a second run of the load."""


class ShardSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One shard of a run; plain values, to be sent anywhere.

    Attributes:
        run: the run's name.
        shard: which one this is, from 0.
        shards: how many there are.
        plan: the whole plan: each shard makes the whole schedule and plays its part.
        url: of the venue.
        start_at_wall: Unix seconds at which second 0 of the run is.
        ca_file: certificates to verify the venue's against; None: the system's.
        incarnation: which start of the shard this is.
    """

    run: str
    shard: int
    shards: int
    plan: Plan
    url: str
    start_at_wall: float
    ca_file: str | None = None
    incarnation: int = 0

    def encode(self) -> bytes:
        """One line of JSON, without the end of the line."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, line: bytes) -> ShardSpec:
        """Read a line; ConfigError where it is something else."""
        try:
            spec = msgspec.json.decode(line, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError("spec", f"is not a shard's: {error}") from None
        if not 0 <= spec.shard < spec.shards:
            raise ConfigError("spec.shard", f"must be from 0 to below {spec.shards}, not {spec.shard}")
        return spec


class Link(Protocol):
    """A shard's side of the engine that runs it."""

    def emit(self, delta: Delta) -> None:
        """Hand a report over; never waits."""

    async def wait_stop(self) -> str:
        """Wait until the shard is asked to end early; returns why. Cancelling only stops the waiting."""
