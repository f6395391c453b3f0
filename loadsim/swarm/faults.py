"""Faults of the venue, played by the controller: by its page ``/faults``, or by stopping its process.

``stall`` freezes the embedded venue. ``drop`` and ``half_open`` hit its connections (``count`` of them, or all),
``refuse`` answers new ones with HTTP 503, ``restart`` drops all and takes none for the time, ``reject_auth`` rejects
logins, ``garbage`` sends what means nothing. ``latency`` (``ms``), ``lose_replies``, ``duplicate_replies`` and
``reorder_replies`` are about answers (``event``, ``probability``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import trio

from loadsim.metrics.merged import Row
from loadsim.plan.model import FaultSpec, Plan
from loadsim.plan.schedule import fault_schedule
from loadsim.swarm.control import VenueControl
from loadsim.swarm.link_faults import LINK_FAULTS
from loadsim.venue.config import convert
from loadsim.venue.faults import Fault
from potrio.errors import ConfigError, PotrioError

__all__ = ["LOSSY", "Freezer", "check_faults", "play_venue_faults", "recovered_s", "rules_of"]

LATENCY_MS: Final = 200
PROBABILITY: Final = 0.1
LOSSY: Final = frozenset({"lose_replies", "duplicate_replies", "half_open", "garbage", "latency"})
"""Kinds after which ticks sent and ticks delivered need not be equal."""


class Freezer(Protocol):
    """A venue whose process can be stopped."""

    def freeze(self) -> None:
        """Let it stand still."""

    def thaw(self) -> None:
        """Let it go on."""


def rules_of(fault: FaultSpec) -> list[dict[str, Any]]:
    """What is posted to the venue for a fault; nothing for ``stall``."""
    params = dict(fault.params)
    duration_ms = round(fault.for_s * 1000)
    replies = {
        "event": str(params.get("event", "")),
        "probability": float(params.get("probability", PROBABILITY)),
        "count": None,
    }
    match fault.kind:
        case "stall":
            return []
        case "drop" | "half_open" | "garbage":
            return [{"kind": fault.kind, "count": params.get("count")}]
        case "refuse":
            return [{"kind": "refuse_connection", "count": None}]
        case "restart":
            return [{"kind": "restart", "delay_ms": duration_ms}]
        case "reject_auth":
            return [
                {"kind": "reject_auth", "count": None, "probability": float(params.get("probability", 1.0))}
            ]
        case "latency":
            ms = int(params.get("ms", LATENCY_MS))
            probability = float(params.get("probability", 1.0))
            return [{"kind": "delay", "delay_ms": ms} | replies | {"probability": probability}]
        case _:
            return [{"kind": fault.kind.removesuffix("_replies")} | replies]


def check_faults(plan: Plan, *, embedded: bool) -> None:
    """Refuse a fault that cannot be played.

    Raises:
        ConfigError: with the place in the plan.
    """
    for fault in fault_schedule(plan):
        path = f"fault {fault.kind} at {fault.at_s:g} s"
        if fault.scope == "link":
            if fault.kind not in LINK_FAULTS:
                raise ConfigError(path, f"a link can only have {', '.join(LINK_FAULTS)}")
        elif fault.kind == "stall" and not embedded:
            raise ConfigError(path, "only the embedded venue can be made to stand still")
        else:
            try:
                convert(rules_of(fault), tuple[Fault, ...], path)
            except (TypeError, ValueError) as error:
                raise ConfigError(path, f"its params cannot be used: {error}") from None


async def play_venue_faults(
    plan: Plan, began: float, control: VenueControl, freezer: Freezer | None, played: list[FaultSpec]
) -> None:
    """Play all of them at their times (second 0 is ``began`` of trio's clock), and note what was played.

    Link faults are noted only: shards play them. Waits until the last one has ended. Cancelling ends those under way.
    """
    async with trio.open_nursery() as nursery:
        for fault in fault_schedule(plan):
            nursery.start_soon(play, fault, began, control, freezer, played)


async def play(
    fault: FaultSpec,
    began: float,
    control: VenueControl,
    freezer: Freezer | None,
    played: list[FaultSpec],
) -> None:
    """Play one."""
    await trio.sleep_until(began + fault.at_s)
    played.append(fault)
    if fault.scope == "link":
        return
    if fault.kind == "stall":
        assert freezer is not None, "asked before"
        freezer.freeze()
        try:
            await trio.sleep(fault.for_s)
        finally:
            freezer.thaw()
        return
    rules = rules_of(fault)
    try:
        await control.add_faults(rules)
        if not is_over_at_once(fault):
            await trio.sleep(fault.for_s)
            await control.remove_faults(rules)
    except PotrioError:
        played.remove(fault)  # the venue could not be told: it did not happen


def is_over_at_once(fault: FaultSpec) -> bool:
    """Kinds that leave no rule behind."""
    return fault.kind in ("drop", "half_open", "garbage", "restart")


def recovered_s(fault: FaultSpec, rows: Sequence[Row]) -> float | None:
    """Seconds from a fault's end until there was a whole second without errors and omissions, as fast as before.

    None: there was none. Without any traffic before the fault only errors count.
    """
    end_s = fault.at_s + fault.for_s
    before = sorted(row.p99_us for row in rows if row.t <= fault.at_s and row.ok)
    limit_us = max(50_000, 3 * before[len(before) // 2]) if before else None
    for row in rows:
        if row.t <= end_s or row.errors or row.omitted or not row.ok:
            continue
        if limit_us is None or row.p99_us <= limit_us:
            return max(0.0, row.t - end_s)
    return None
