"""What all clients of a shard share: the plan, the clock of the run, the recorder, the pace, who is there."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, Protocol

import trio

from loadsim.metrics.recorder import Recorder
from loadsim.metrics.series import key_of
from loadsim.plan.model import FaultSpec, Lane
from loadsim.plan.schedule import fault_schedule
from loadsim.swarm.lag import LAG
from loadsim.swarm.spec import ShardSpec
from potrio.errors import ConfigError
from potrio.protocol.messages.market import Tick
from potrio.seam import REAL, Seam
from potrio.transport.dial import default_ssl_context
from potrio.transport.target import parse_target

__all__ = ["HurtLink", "Stage"]

AFTERMATH_S: Final = 1.0
"""A loss so soon after a fault is still its work."""

LANES: Final[tuple[Lane, ...]] = ("full", "light", "mux")
HOUR_S: Final = 3600.0
ROUNDING_S: Final = 1e-6
"""Who wakes at ``began + due`` must find that ``now - began`` is not below ``due``."""


class HurtLink(Protocol):
    """What faults are played on."""

    async def drop(self) -> None:
        """Cut the connection."""

    def stall(self) -> None:
        """Let it fall silent."""

    def resume(self) -> None:
        """Let it go on."""


class Stage:
    """One shard's.

    Args:
        spec: of the shard.
        recorder: of the shard.
        seam: the door to clock and network.

    Attributes:
        present: clients that are there now.
        samplers: called before each report, to count what is only known as a total.
        accounts: what clients that have left know of their balances, in cents by user.
        links: links that faults can be played on, by the client's number in the run.
    """

    def __init__(self, spec: ShardSpec, recorder: Recorder, seam: Seam = REAL) -> None:
        self.spec = spec
        self.plan = spec.plan
        self.recorder = recorder
        self.seam = seam
        self.began = seam.now() + spec.start_at_wall - seam.wall()
        self.present = 0
        self.samplers: set[Callable[[], None]] = set()
        self.accounts: dict[str, int] = {}
        self.links: dict[int, HurtLink] = {}
        self.faults: tuple[FaultSpec, ...] = fault_schedule(spec.plan)
        self.host = parse_target(spec.url).host
        self.is_tls = parse_target(spec.url).tls
        self.ssl_context = self._make_context() if self.is_tls else None
        self._zone_s: float | None = None
        self._gap_keys = {lane: key_of("tick_gap", {"lane": lane}) for lane in LANES}
        self._age_keys = {lane: key_of("tick_age", {"lane": lane}) for lane in LANES}
        self._connect_s = 1 / max(0.001, spec.plan.limits.connects_per_s / spec.shards)
        self._next_connect = self.began

    def _make_context(self) -> ssl.SSLContext:
        path = self.spec.ca_file
        try:
            if path is None:
                return default_ssl_context()
            return default_ssl_context(self.seam.read_file(Path(path)).decode())
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError("target.ca_file", f"cannot be used: {error}") from None

    @property
    def has_link_faults(self) -> bool:
        """Whether links have to be such as can be hurt."""
        return any(fault.scope == "link" for fault in self.faults)

    # --- the clock ---------------------------------------------------------------------------------------------------

    def now_s(self) -> float:
        """Seconds of the run."""
        return self.seam.now() - self.began

    def at(self, second: float) -> float:
        """Trio's clock when a second of the run has come: rounding never makes it come too early."""
        return self.began + second + ROUNDING_S

    def stamp(self) -> float:
        """The venue's clock, as far as ticks have shown it."""
        return self.seam.wall() + (self._zone_s or 0.0)

    # --- who is there ------------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """A client has come."""
        self.present += 1

    def leave(self, uid: int, cents: int | None) -> None:
        """A client has gone for good; ``cents``: its balance, where it knows it for certain."""
        self.present -= 1
        if cents is not None:
            self.accounts[str(uid)] = cents

    async def wait_for_turn(self) -> None:
        """Wait until it is one's turn to connect: so many a second of the whole shard. Cancelling gives the turn up."""
        now = self.seam.now()
        turn = max(now, self._next_connect)
        self._next_connect = turn + self._connect_s
        if turn > now:
            await trio.sleep_until(turn)
        else:
            await trio.lowlevel.checkpoint()

    # --- what is measured --------------------------------------------------------------------------------------------

    def lag(self, due_s: float, now_s: float) -> None:
        """Something that was to be done at ``due_s`` is being done now."""
        self.recorder.observe(LAG, max(0.0, now_s - due_s) * 1e6)

    def take_ticks(
        self,
        lane: Lane,
        ticks: Collection[Tick],
        last_at: dict[str, float],
        now_s: float,
        *,
        utc: bool = False,
    ) -> None:
        """Measure ticks as one client has got them; ``last_at`` is when it got the former one of each asset.

        ``utc``: the stamps are UTC already, and the ticks have been counted on the wire.
        """
        recorder = self.recorder
        if not utc:
            recorder.count("ticks", len(ticks))
        wall = self.seam.wall()
        for tick in ticks:
            before = last_at.get(tick.asset)
            if before is not None:
                recorder.observe_key(self._gap_keys[lane], (now_s - before) * 1e6)
            last_at[tick.asset] = now_s
            age_s = wall - tick.timestamp
            if not utc:
                if self._zone_s is None:
                    self._zone_s = HOUR_S * round(-age_s / HOUR_S)
                age_s += self._zone_s
            recorder.observe_key(self._age_keys[lane], max(0.0, age_s) * 1e6)

    def fault_at(self, second: float) -> str:
        """The kind of the fault under way; ``none`` where there is none."""
        for fault in reversed(self.faults):
            if fault.at_s <= second <= fault.at_s + fault.for_s + AFTERMATH_S:
                return fault.kind
        return "none"
