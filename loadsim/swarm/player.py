"""A client of the light or the mux lane without its connection: what it does next, what it was told, when it goes.

Sans-I/O. The lane tells it when a connection is begun, ready and lost, and what comes; it answers with events to send
and with the next instant at which it wants to be asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

from loadsim.plan.chance import Chance
from loadsim.plan.model import Lane
from loadsim.plan.schedule import Arrival, actions
from loadsim.plan.units import parse_duration
from loadsim.swarm.account import ssid_of, uid_of
from loadsim.swarm.acts import Acts
from loadsim.swarm.ledger import PERIOD_S, Ledger, event_of
from loadsim.swarm.stage import Stage
from potrio.errors import AuthError, ConnectError, ConnectTimeout, PotrioError
from potrio.protocol.messages.account import GetBalance
from potrio.protocol.messages.market import ChangeSymbol, Tick, UnsubscribeSymbol
from potrio.protocol.ssid import Ssid

__all__ = ["BARRIER_S", "DRAIN_MAX_S", "EventOut", "Player", "backoff_s", "error_kind"]

DRAIN_MAX_S: Final = 75.0
"""How long a client that leaves waits for its orders at most."""

BARRIER_S: Final = 15.0
"""How long it waits for the answer that comes behind the last tick."""

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
FAILURES_MAX: Final = 20

EventOut = tuple[str, bytes | None]


def backoff_s(seed: int, index: int, failures: int) -> float:
    """How long a client waits after so many failures in a row."""
    jitter = Chance(seed, f"backoff{failures}", index).uniform()
    return min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2.0 ** (failures - 1)) * (0.5 + jitter)


def error_kind(error: Exception | None) -> str:
    """The word under which the end of a connection is counted."""
    match error:
        case None:
            return "closed"
        case ConnectTimeout():
            return "connect_timeout"
        case AuthError():
            return "auth"
        case ConnectError():
            return f"connect:{type(error).__name__}"
        case _:
            return type(error).__name__


class Player:
    """One client.

    Attributes:
        ready: it is logged in.
        finished: it has nothing more to do: its connection is to be closed.
        scheduled_s: for the lane: when it will be looked at next.
    """

    __slots__ = (
        "_barrier_s", "_connect_s", "_failures", "_idle", "_last_at", "_leaving", "_lost", "_now_s",
        "_settle_by_s", "_stage", "_was_ready", "acts", "arrival", "finished", "lane", "leaves_s", "ledger", "ready",
        "scheduled_s",
    )  # fmt: skip

    def __init__(self, stage: Stage, arrival: Arrival, lane: Lane) -> None:
        plan = stage.plan
        self.arrival = arrival
        self.lane: Lane = lane
        self.ledger = Ledger(
            uid_of(plan.seed, arrival.index),
            lane,
            stage.recorder,
            new_id=stage.seam.new_id,
            stamp=stage.stamp,
        )
        lifetime_s = math.inf if arrival.lifetime_s is None else arrival.lifetime_s
        self.leaves_s = min(plan.duration_s, arrival.at_s + lifetime_s)
        self.ready = False
        self.finished = False
        self.scheduled_s = math.inf
        self._stage = stage
        self.acts = Acts(actions(plan, arrival), arrival.at_s, stage.recorder)
        self._now_s = arrival.at_s
        self._connect_s = arrival.at_s  # when it wanted to connect
        self._failures = 0
        self._was_ready = False
        self._lost: tuple[float, str] | None = None
        self._last_at: dict[str, float] = {}
        self._idle: list[tuple[float, int]] = []
        self._leaving = False
        self._settle_by_s = math.inf
        self._barrier_s = math.inf

    @property
    def ssid(self) -> Ssid:
        """Whom it logs in as; made anew, since ten thousand of them would be large."""
        return ssid_of(self._stage.plan.seed, self.arrival.index)

    # --- the connection ----------------------------------------------------------------------------------------------

    def entered(self, began_s: float, now_s: float) -> list[EventOut]:
        """It has logged in, on a connection begun at ``began_s``; returns what is to be sent first."""
        self._note_connect(began_s, now_s, None)
        self._failures = 0
        self.regain(now_s)
        return [event_of(ChangeSymbol(asset, PERIOD_S)) for asset in self.ledger.streams]

    def regain(self, now_s: float) -> None:
        """It is ready: for the first time, or again."""
        recorder = self._stage.recorder
        if not self._was_ready:
            recorder.count("ready")
            recorder.count(f"ready.{self.lane}")
        elif self._lost is not None:
            lost_s, fault = self._lost
            recorder.count("restarts")
            recorder.observe("recover", (now_s - lost_s) * 1e6, {"fault": fault})
        self.ready = self._was_ready = True
        self._lost = None
        self._now_s = now_s

    def lose(self, kind: str, text: str, now_s: float) -> None:
        """It was ready, and its connection is gone."""
        recorder = self._stage.recorder
        self._now_s = now_s
        self.ready = False
        recorder.count("disconnects")
        recorder.count("ticks_lost", len(self.ledger.streams))
        recorder.error(kind, "connection", now_s, text)
        self._lost = (now_s, self._stage.fault_at(now_s))
        self.ledger.lost(now_s)
        for _, act in self._idle:
            self.acts.ended(act, now_s)
        self._idle.clear()

    def ended(self, error: Exception | None, began_s: float, now_s: float) -> float | None:
        """Its connection has ended, or was never made; after how many seconds it connects again (None: never)."""
        self._now_s = now_s
        kind = error_kind(error)
        text = str(error) if isinstance(error, PotrioError) else type(error).__name__
        if self.ready:
            self.lose(kind, text, now_s)
        else:
            self._note_connect(began_s, now_s, kind, text)
        if self.finished or (self._leaving and not self.ledger.orders):
            self.finished = True
            return None
        self._failures += 1
        if self._failures > FAILURES_MAX:
            self._stage.recorder.count("gave_up")
            self.finished = True
            return None
        delay_s = backoff_s(self._stage.plan.seed, self.arrival.index, self._failures)
        self._connect_s = now_s + delay_s
        return delay_s

    def _note_connect(self, began_s: float, now_s: float, error: str | None, text: str = "") -> None:
        self._stage.recorder.action(
            "connect",
            {"lane": self.lane},
            intended_s=min(self._connect_s, began_s),
            started_s=began_s,
            ended_s=now_s,
            error=error,
            text=text,
        )

    # --- what comes --------------------------------------------------------------------------------------------------

    def event(self, name: str, payload: bytes, now_s: float) -> None:
        """Take an event; `next_due` may be another afterwards."""
        self._now_s = now_s
        self.ledger.event(name, payload, now_s)
        if self._barrier_s < math.inf and name == "successupdateBalance":
            self.finished = True

    def ticks(self, ticks: Sequence[Tick], now_s: float) -> None:
        """Take ticks."""
        self._stage.take_ticks(self.lane, ticks, self._last_at, now_s)

    # --- what is to be done ------------------------------------------------------------------------------------------

    def next_due(self) -> float:
        """When `step` has something to do; infinity: only after something has come."""
        if self.finished:
            return -math.inf
        if not self.ready:
            return self._settle_by_s if self._leaving else self.leaves_s
        due = min(self.acts.next_due(), self.ledger.next_deadline())
        if self._idle:
            due = min(due, min(self._idle)[0])
        if not self._leaving:
            return min(due, self.leaves_s)
        if self._barrier_s < math.inf:
            return self._barrier_s
        return -math.inf if self._may_go() else min(due, self._settle_by_s)

    def step(self, now_s: float) -> list[EventOut]:
        """Do what is due; returns what is to be sent. Afterwards it may be `finished`."""
        self._now_s = now_s
        self.ledger.expire(now_s)
        for until_s, act in [each for each in self._idle if each[0] <= now_s]:
            self._idle.remove((until_s, act))
            self.acts.ended(act, now_s)
        out: list[EventOut] = []
        if (
            self.ready and not self._leaving
        ):  # also what was due just before the end, and is a little late by now
            self._begin(now_s, out)
        if not self._leaving and now_s >= self.leaves_s:
            self._leave(now_s)
        if self._leaving:
            self._go(now_s, out)
        return out

    def _begin(self, now_s: float, out: list[EventOut]) -> None:
        for due in self.acts.take_due(min(now_s, self.leaves_s)):
            action = due.action
            if action.do == "idle":
                self._idle.append((now_s + parse_duration(str(action.params.get("for", "1s"))), due.act))
                continue
            if action.do == "unsubscribe":
                self._last_at.clear()
            done = partial(self._ended, due.act)
            message = self.ledger.ask(action, intended_s=due.intended_s, started_s=now_s, done=done)
            if message is not None:
                out.append(event_of(message))

    def _ended(self, act: int) -> None:
        self.acts.ended(act, self._now_s)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _leave(self, now_s: float) -> None:
        """No new actions; what is under way may end."""
        self._leaving = True
        self.acts.finish(min(now_s, self.leaves_s))
        self._idle.clear()
        self._settle_by_s = now_s + DRAIN_MAX_S

    def _may_go(self) -> bool:
        """Nothing that it waits for will come in time, or at all."""
        ledger = self.ledger
        return not ledger.pending and all(
            order.closes_s > self._settle_by_s for order in ledger.orders.values()
        )

    def _go(self, now_s: float, out: list[EventOut]) -> None:
        """End the streams, then ask for the balance: what answers comes behind the last tick."""
        if not self.ready:
            self.finished = self.finished or self._may_go() or now_s >= self._settle_by_s
        elif self._barrier_s < math.inf:
            if not self.finished and now_s >= self._barrier_s:
                self.finished = True
                self._stage.recorder.count("ticks_lost")  # what the last answer was to come behind
        elif self._may_go() or now_s >= self._settle_by_s:
            out += [event_of(UnsubscribeSymbol(asset)) for asset in self.ledger.streams]
            self.ledger.streams = ()
            out.append(event_of(GetBalance()))
            self._barrier_s = now_s + BARRIER_S

    def depart(self, now_s: float) -> None:
        """It has gone for good, in order or not: what is not known is said to be so."""
        self.acts.finish(now_s)
        self.ledger.lost(now_s)
        if self.ledger.orders:
            self._stage.recorder.count("orders.unsettled", len(self.ledger.orders))
        self._stage.leave(self.ledger.uid, self.ledger.certain_cents)
