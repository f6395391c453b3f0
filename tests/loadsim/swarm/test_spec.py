"""A shard's spec travels without loss, and what is none is refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.plan.parse import parse_plan
from loadsim.swarm.spec import ShardSpec
from potrio.errors import ConfigError

PLAN = parse_plan('[run]\nduration = "9s"\n[[load]]\nclient = "c"\narrivals = [{ rate = "1/s" }]\n')
SPEC = ShardSpec(run="r", shard=1, shards=3, plan=PLAN, url="ws://127.0.0.1:1/", start_at_wall=1.5)


def test_it_comes_back() -> None:
    assert ShardSpec.decode(SPEC.encode()) == SPEC
    assert b"\n" not in SPEC.encode()


@given(st.binary(max_size=80))
def test_any_bytes_are_a_spec_or_an_error(line: bytes) -> None:
    with pytest.raises(ConfigError, match="spec"):
        ShardSpec.decode(line)


@pytest.mark.parametrize("shard", [-1, 3])
def test_a_shard_is_one_of_them(shard: int) -> None:
    with pytest.raises(ConfigError, match=r"from 0 to below 3"):
        ShardSpec.decode(msgspec.json.encode(msgspec.structs.replace(SPEC, shard=shard)))
