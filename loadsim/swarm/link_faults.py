"""Faults of the link: cut it, or let it fall silent, for a share of the clients that is drawn by lot."""

from __future__ import annotations

from typing import Final

import trio

from loadsim.plan.chance import Chance
from loadsim.plan.model import FaultSpec
from loadsim.swarm.stage import Stage

__all__ = ["LINK_FAULTS", "is_hit", "play_link_faults"]

LINK_FAULTS: Final = ("drop", "half_open", "stall")
"""``drop``: the connection is cut. ``half_open`` and ``stall``: for so long nothing is heard or said; a client that
does not stand it that long dies of silence."""


def is_hit(seed: int, fault: FaultSpec, number: int, index: int) -> bool:
    """Does fault ``number`` of the schedule hit client ``index``? The same for every number of shards."""
    return Chance(seed, f"hit{number}", index).uniform() < fault.share


async def play_link_faults(stage: Stage) -> None:
    """Play all of them at their times; then wait to be cancelled."""
    async with trio.open_nursery() as nursery:
        for number, fault in enumerate(stage.faults):
            if fault.scope == "link":
                nursery.start_soon(play, stage, number, fault)
        await trio.sleep_forever()


async def play(stage: Stage, number: int, fault: FaultSpec) -> None:
    """Play one."""
    await trio.sleep_until(stage.at(fault.at_s))
    seed = stage.plan.seed
    hit = [link for index, link in tuple(stage.links.items()) if is_hit(seed, fault, number, index)]
    if fault.kind == "drop":
        for link in hit:
            await link.drop()
        return
    for link in hit:
        link.stall()
    try:
        await trio.sleep(fault.for_s)
    finally:
        for link in hit:
            link.resume()
