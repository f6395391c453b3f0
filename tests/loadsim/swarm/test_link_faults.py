"""Which clients a fault of the link hits is drawn by lot, the same for every number of shards."""

from __future__ import annotations

from loadsim.plan.model import FaultSpec
from loadsim.swarm.link_faults import is_hit

FAULT = FaultSpec(1.0, "drop", "link", 0.0, share=0.3)


def test_about_its_share_is_hit() -> None:
    hit = [index for index in range(1000) if is_hit(7, FAULT, 0, index)]

    assert 240 <= len(hit) <= 360
    assert hit == [index for index in range(1000) if is_hit(7, FAULT, 0, index)]


def test_two_faults_hit_different_clients() -> None:
    first = {index for index in range(1000) if is_hit(7, FAULT, 0, index)}
    second = {index for index in range(1000) if is_hit(7, FAULT, 1, index)}

    assert first != second
    assert first & second


def test_a_whole_share_hits_everybody() -> None:
    everybody = FaultSpec(1.0, "drop", "link", 0.0)

    assert all(is_hit(7, everybody, 0, index) for index in range(200))
