"""What a load test does: `LoadTestConfig`, its stress phases as data, and what its advice is given by."""

from __future__ import annotations

import math

import msgspec

from potrio.errors import ConfigError

__all__ = ["OPERATIONS_MAX", "STRESS", "Advice", "LoadTestConfig", "Phase"]

CLIENTS_MAX = 1000
OPERATIONS_MAX = 1_000_000
"""Of all clients together: every one of them is kept, so that percentiles are exact."""

MINUTES_MAX = 24 * 60.0


def check(fine: bool, field: str, reason: str) -> None:
    """Refuse a field that cannot be used."""
    if not fine:
        raise ConfigError(field, reason)


class Phase(msgspec.Struct, frozen=True):
    """A part of a stress test: ``times / of`` of the configured clients, rounded down, but one at least.

    Attributes:
        name: for the report.
        times, of: the share of the clients.
        operation_delay: seconds from one operation of a client to its next.
        max_s: no operation begins later than so many seconds after the phase has.
    """

    name: str
    times: int
    of: int
    operation_delay: float
    max_s: float = 60.0

    def __post_init__(self) -> None:
        check(bool(self.name), "phases.name", "must not be empty")
        check(self.times >= 1 and self.of >= 1, "phases.times", "and `of` must be at least 1")
        check(0 <= self.operation_delay <= 3600, "phases.operation_delay", "must be from 0 to 3600")
        check(0 < self.max_s <= 3600, "phases.max_s", "must be above 0 and at most 3600")

    def clients(self, configured: int) -> int:
        """How many clients it has."""
        return max(1, configured * self.times // self.of)


STRESS = (
    Phase("Ramp Up", 1, 3, 0.1),
    Phase("Peak Load", 1, 1, 0.05),
    Phase("Extreme Load", 2, 1, 0.01),
    Phase("Cool Down", 1, 2, 0.5),
)


class Advice(msgspec.Struct, frozen=True):
    """What a report has something to say about: below, or above, these values it recommends to look."""

    success_rate_min: float = 0.95
    throughput_min: float = 1.0
    operation_avg_max_s: float = 2.0
    operation_success_min: float = 0.9


class LoadTestConfig(msgspec.Struct, frozen=True):
    """One load test.

    Attributes:
        concurrent_clients: clients at the same time (of a stress phase: its share of them).
        operations_per_client: operations of each; in stress mode half as many bursts.
        operation_delay: seconds from the intended start of one operation of a client to that of its next. An operation
            that takes longer makes the next one late, which its response time shows; none is left out for it.
        test_duration_minutes: no operation begins later; those that could not are counted as omitted.
        use_persistent_connection: each client keeps its connection and gets it back when it is lost; without it every
            operation connects anew.
        include_trading_operations: place real orders (stake 1) at the venue, look them up, list them.
        stress_mode: the phases below, in which each operation is a burst of three ``ps``.
        operation_timeout_s: an operation that takes longer has failed.
        seed: of what each client does, and of the venue where there is none given.
        phases: of the stress mode.
        phase_pause_s: between two phases.
        advice: for the recommendations.
    """

    concurrent_clients: int = 5
    operations_per_client: int = 20
    operation_delay: float = 1.0
    test_duration_minutes: float = 5.0
    use_persistent_connection: bool = True
    include_trading_operations: bool = False
    stress_mode: bool = False
    operation_timeout_s: float = 30.0
    seed: int = 1
    phases: tuple[Phase, ...] = STRESS
    phase_pause_s: float = 5.0
    advice: Advice = Advice()

    def __post_init__(self) -> None:
        for name, most in (("concurrent_clients", CLIENTS_MAX), ("operations_per_client", OPERATIONS_MAX)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            check(whole and 1 <= value <= most, name, f"must be a whole number from 1 to {most}")
        total = self.concurrent_clients * self.operations_per_client
        check(
            total <= OPERATIONS_MAX, "operations_per_client", f"of all clients are {OPERATIONS_MAX} at most"
        )
        check(0 <= self.operation_delay <= 3600, "operation_delay", "must be from 0 to 3600")
        minutes = self.test_duration_minutes
        check(
            0 < minutes <= MINUTES_MAX,
            "test_duration_minutes",
            f"must be above 0 and at most {MINUTES_MAX:g}",
        )
        seconds = self.operation_timeout_s
        check(0 < seconds < math.inf, "operation_timeout_s", "must be a number of seconds above 0")
        check(0 <= self.phase_pause_s <= 3600, "phase_pause_s", "must be from 0 to 3600")
        check(not self.stress_mode or bool(self.phases), "phases", "a stress test has one at least")
        most = max((phase.clients(self.concurrent_clients) for phase in self.phases), default=0)
        check(
            not self.stress_mode or most <= CLIENTS_MAX, "phases", f"none has more than {CLIENTS_MAX} clients"
        )
