"""What can be made to go wrong, on demand: rules by kind, event, account, count and probability.

A fault is a line of the configuration or is posted to ``/faults``. Kinds that belong to an event wait for it: the
fault is applied when an event of that name passes in the direction the kind has. Kinds that belong to a connection
are applied the same way when ``event`` is given, and at once to every matching connection when it is not.

Pure: chance comes from a `Noise`, so the same seed and the same traffic meet the same faults.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct

from loadsim.venue.noise import Noise
from potrio.errors import ConfigError
from potrio.limits import EVENT_NAME_CHARS_MAX

__all__ = ["FAULTS_MAX", "ON_CONNECTION", "Fault", "FaultKind", "FaultPlan"]

FAULTS_MAX: Final = 256
"""Rules a venue holds at once."""

DELAY_MAX_MS: Final = 600_000

ANY: Final = "*"


class FaultKind(Enum):
    """What happens.

    On an event from the client: REFUSE (``openOrder`` and ``openPendingOrder`` fail with ``error``), REJECT_AUTH
    (``auth`` is answered by ``NotAuthorized``, ``41`` and a close), LOSE_REQUEST (the event is not heard).
    On an event to the client: LOSE (it is not sent), DELAY (it is sent ``delay_ms`` later, others overtake it),
    DUPLICATE (it is sent twice), REORDER (a ping comes between its header and its attachment), TRUNCATE (half a
    WebSocket frame of it is sent, then TCP is closed).
    On a connection: DROP (TCP is closed without a word), HALF_OPEN (it stays open, but nothing is heard or said any
    more), GARBAGE (a text and a binary message that mean nothing), SLOW_DRAIN (every write waits ``delay_ms``
    first), BARE_41 (``41`` and a close), RESTART (all connections are dropped and new ones refused for
    ``delay_ms``; accounts and deals stay), REFUSE_CONNECTION (new connections are answered by HTTP 503).
    """

    REFUSE = "refuse"
    REJECT_AUTH = "reject_auth"
    LOSE_REQUEST = "lose_request"
    LOSE = "lose"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    TRUNCATE = "truncate"
    DROP = "drop"
    HALF_OPEN = "half_open"
    GARBAGE = "garbage"
    SLOW_DRAIN = "slow_drain"
    BARE_41 = "bare_41"
    RESTART = "restart"
    REFUSE_CONNECTION = "refuse_connection"


ON_REQUEST: Final = frozenset({FaultKind.REFUSE, FaultKind.REJECT_AUTH, FaultKind.LOSE_REQUEST})
ON_REPLY: Final = frozenset(
    {FaultKind.LOSE, FaultKind.DELAY, FaultKind.DUPLICATE, FaultKind.REORDER, FaultKind.TRUNCATE}
)
ON_CONNECTION: Final = frozenset(
    {
        FaultKind.DROP,
        FaultKind.HALF_OPEN,
        FaultKind.GARBAGE,
        FaultKind.SLOW_DRAIN,
        FaultKind.BARE_41,
        FaultKind.RESTART,
    }
)
"""These happen at once where no event is named."""


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule.

    Attributes:
        kind: what happens.
        event: the name of the event it waits for; ``"*"`` is any. Empty: at once (connection kinds), ``"auth"``
            (REJECT_AUTH), ``"openOrder"`` (REFUSE), any event (the others).
        uid: only connections of this user; None is everybody.
        count: how many times; None is without end.
        skip: let so many matching events pass first.
        probability: of each application.
        delay_ms: for DELAY, SLOW_DRAIN, RESTART and REFUSE_CONNECTION (how long; 0 there means until ``count``).
        error: the venue's word in a REFUSE.
    """

    kind: FaultKind
    event: str = ""
    uid: int | None = None
    count: int | None = 1
    skip: int = 0
    probability: float = 1.0
    delay_ms: int = 0
    error: str = "REFUSED"

    def __post_init__(self) -> None:
        if len(self.event) > EVENT_NAME_CHARS_MAX:
            raise ConfigError("event", f"must have at most {EVENT_NAME_CHARS_MAX} characters")
        if self.count is not None and not 1 <= self.count <= 10**9:
            raise ConfigError("count", "must be from 1 to 10**9, or left out")
        if not 0 <= self.skip <= 10**9:
            raise ConfigError("skip", "must be from 0 to 10**9")
        if not 0 < self.probability <= 1:
            raise ConfigError("probability", "must be above 0 and at most 1")
        if not 0 <= self.delay_ms <= DELAY_MAX_MS:
            raise ConfigError("delay_ms", f"must be from 0 to {DELAY_MAX_MS}")
        if not 1 <= len(self.error) <= 64:
            raise ConfigError("error", "must have 1 to 64 characters")
        if self.kind in (FaultKind.DELAY, FaultKind.SLOW_DRAIN) and self.delay_ms == 0:
            raise ConfigError("delay_ms", f"{self.kind.value} needs one above 0")

    @property
    def is_immediate(self) -> bool:
        """Whether it happens at once instead of waiting for an event."""
        return self.kind in ON_CONNECTION and not self.event

    @property
    def waits_for(self) -> str:
        """The event it waits for, with the kind's own default."""
        if self.event:
            return self.event
        match self.kind:
            case FaultKind.REJECT_AUTH:
                return "auth"
            case FaultKind.REFUSE:
                return "openOrder"
            case _:
                return ANY


class Armed:
    """A rule and how often it has been met."""

    __slots__ = ("applied", "fault", "seen")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.applied = 0


class FaultPlan:
    """The rules in force. Rules that are used up are forgotten."""

    def __init__(self, seed: int, faults: tuple[Fault, ...] = ()) -> None:
        self._noise = Noise(seed, 17)
        self._armed: list[Armed] = []
        self.add(faults)

    def __len__(self) -> int:
        return len(self._armed)

    def add(self, faults: tuple[Fault, ...]) -> None:
        """Put rules into force.

        Raises:
            ConfigError: there would be more than `FAULTS_MAX`.
        """
        if len(self._armed) + len(faults) > FAULTS_MAX:
            raise ConfigError("faults", f"a venue holds at most {FAULTS_MAX} rules")
        self._armed.extend(Armed(fault) for fault in faults)

    def clear(self) -> None:
        """Forget all rules."""
        self._armed.clear()

    def on_request(self, event: str, uid: int | None) -> list[Fault]:
        """Return what happens to an event from the client."""
        return self._match(ON_REQUEST, event, uid)

    def on_reply(self, event: str, uid: int | None) -> list[Fault]:
        """Return what happens to an event to the client."""
        return self._match(ON_REPLY, event, uid)

    def on_event(self, event: str, uid: int | None) -> list[Fault]:
        """Return what happens to the connection an event, of either direction, passes on."""
        return self._match(ON_CONNECTION, event, uid)

    def on_connect(self) -> Fault | None:
        """Return the rule that refuses the connection that is just coming in, if any."""
        found = self._match(frozenset({FaultKind.REFUSE_CONNECTION}), ANY, None)
        return found[0] if found else None

    def rules(self) -> list[dict[str, object]]:
        """Return the rules in force with their counters, for ``GET /faults``."""
        return [
            {
                "kind": armed.fault.kind.value,
                "event": armed.fault.event,
                "uid": armed.fault.uid,
                "count": armed.fault.count,
                "seen": armed.seen,
                "applied": armed.applied,
            }
            for armed in self._armed
        ]

    def _match(self, kinds: frozenset[FaultKind], event: str, uid: int | None) -> list[Fault]:
        if not self._armed:
            return []
        found = []
        for armed in self._armed:
            fault = armed.fault
            if fault.kind not in kinds or fault.waits_for not in (ANY, event):
                continue
            if fault.uid is not None and fault.uid != uid:
                continue
            armed.seen += 1
            if armed.seen <= fault.skip or (
                fault.probability < 1 and self._noise.unit() >= fault.probability
            ):
                continue
            armed.applied += 1
            found.append(fault)
        if found:
            self._armed = [a for a in self._armed if a.fault.count is None or a.applied < a.fault.count]
        return found
