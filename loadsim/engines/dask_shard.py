"""One shard at a scheduler of Dask: what is known about it, and the calls that concern its task. All of them block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import trio

from loadsim.engines.base import Outcome
from loadsim.engines.dask_task import supervise_shard
from loadsim.swarm.spec import ShardSpec

__all__ = ["Shard", "submit", "take_back", "unsubscribe", "why"]


class Shard:
    """One task and what is known about it."""

    def __init__(self, spec: ShardSpec, key: str, worker: str) -> None:
        self.spec = spec
        self.key = key
        self.worker = worker
        self.worker_pid = 0
        self.future: Any = None
        self.attempt = ""
        self.began = trio.Event()
        self.outcome: Outcome | None = None
        self.stalled = False
        self.finished_at = math.inf
        self.asked_why = False
        self.taken_back = False


def submit(client: Any, shard: Shard, topic: str, command: list[str] | None) -> Any:
    """Hand a task out (rule 1); returns its future."""
    return client.submit(
        supervise_shard,
        shard.spec.encode(),
        shard.key,
        topic,
        command,
        key=shard.key,
        pure=False,
        retries=0,
        workers=[shard.worker],
        allow_other_workers=False,
    )


def take_back(client: Any, futures: Sequence[Any]) -> None:
    """Cancel what runs, release what has ended. Blocks."""
    client.cancel([future for future in futures if not future.done()], force=True)
    for future in futures:
        future.release()


def unsubscribe(client: Any, topics: Sequence[str]) -> None:
    """Hear no more of these. Blocks."""
    for topic in topics:
        client.unsubscribe_topic(topic)


def why(future: Any) -> Exception | None:
    """What a task has failed with. Blocks."""
    try:
        error: Exception | None = future.exception()
    except Exception as failed:  # noqa: BLE001  # it is the answer
        return failed
    return error
