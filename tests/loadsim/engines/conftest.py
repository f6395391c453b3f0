"""Shards that do what the plan's name says, and specs for them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from loadsim.plan.parse import parse_plan
from loadsim.swarm.spec import ShardSpec

FAKE = Path(__file__).parent / "fake_shard.py"
COMMAND = (sys.executable, str(FAKE))


SOON_S = 60
"""A shard may begin a minute from now, and does at once: no busy machine makes it late."""


def spec_of(behaviour: str, shard: int = 0, shards: int = 1, start_at_wall: float | None = None) -> ShardSpec:
    plan = parse_plan(
        f'[run]\nname = "{behaviour}"\nduration = "60s"\n[[load]]\nclient = "c"\narrivals = [{{ rate = "1/s" }}]\n'
    )
    return ShardSpec(
        run="r",
        shard=shard,
        shards=shards,
        plan=plan,
        url="ws://127.0.0.1:9/",
        start_at_wall=time.time() + SOON_S if start_at_wall is None else start_at_wall,
    )


@pytest.fixture
def command() -> tuple[str, ...]:
    return COMMAND
