"""What every engine offers: four verbs; and how a shard can end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal, Protocol

import msgspec

from loadsim.metrics.delta import Delta
from loadsim.swarm.spec import Link, ShardSpec
from potrio.errors import PotrioError

__all__ = ["Engine", "EngineError", "Outcome", "RunShard"]

RunShard = Callable[[ShardSpec, Link], Awaitable[None]]
"""The body of a shard: plain trio, the same in every engine."""


class EngineError(PotrioError):
    """The engine cannot run the shards: it is not there, or the workers do not fit the controller."""


class Outcome(msgspec.Struct, frozen=True):
    """How a shard ended.

    ``done``: it played its part; ``stopped``: it was asked to end early, and did; ``stalled``: it lives but reports
    nothing; ``lost``: it, or its machine, is gone; ``refused``: it never began, and sent nothing.
    ``clock_offset_ms``: how far its clock is ahead of ours, where the engine has compared them.
    """

    state: Literal["done", "stopped", "stalled", "lost", "refused"]
    reason: str | None = None
    host: str = ""
    pid: int = 0
    clock_offset_ms: float | None = None


class Engine(Protocol):
    """Runs shards. Made by an asynchronous context manager, which closes it at the latest."""

    name: str
    version: str

    async def start(self, specs: Sequence[ShardSpec]) -> None:
        """Give every shard its spec. Cancelling stops those that were started.

        Raises:
            EngineError: a shard could not be started.
        """

    def deltas(self) -> AsyncIterator[Delta]:
        """The shards' reports as they come; ends when every shard has ended."""

    async def stop(self, reason: str, grace_s: float) -> None:
        """Ask all shards to end; who has not within the grace is cut off. Waits until it is so."""

    async def close(self) -> dict[int, Outcome]:
        """Wait for what is left of the shards, and say how each ended. Cancelling kills them."""
