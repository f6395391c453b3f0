"""What a venue is told before it starts: frozen values, from code or from a TOML file that is read strictly.

A file has the fields of `VenueConfig` at its top, the tables ``[market]``, ``[trading]`` and ``[access]``, and one
``[[faults]]`` per fault (`faults.py`). An unknown key, a wrong type or a value out of bounds is a `ConfigError` that
names the path of the key. Money is written as a string (``"50000.00"``) or a whole number.
"""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from loadsim.venue.faults import Fault
from loadsim.venue.rates import RateConfig
from potrio.errors import ConfigError
from potrio.limits import (
    CONCURRENT_ORDERS_MAX,
    PS_DEADLINE,
    SERVER_AUTH_TIMEOUT,
    SERVER_MESSAGE_MAX,
    STREAMS_PER_CONNECTION_MAX,
    VENUE_CONNECTIONS_MAX,
    VENUE_OUTBOUND_BYTES_MAX,
    VENUE_OUTBOUND_MESSAGES_MAX,
    VENUE_PER_HOST_MAX,
    VENUE_UNAUTHENTICATED_MAX,
)
from potrio.seam import REAL, Seam
from potrio.secrets import Secret

__all__ = ["AccessConfig", "MarketConfig", "TradingConfig", "VenueConfig", "convert", "read_config"]

T = TypeVar("T")


def check(condition: bool, name: str, reason: str) -> None:
    """Refuse a field.

    Raises:
        ConfigError: the condition does not hold.
    """
    if not condition:
        raise ConfigError(name, reason)


class MarketConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices and what is told of them.

    Attributes:
        volatility: scales every movement; 0 is a market that stands still, where every deal is a draw.
        payout_period_s: payouts change at its multiples, and the asset table is pushed again.
        history_days: how far history reaches back from the moment of asking.
        history_ticks_s: seconds of ticks in the answer to ``changeSymbol``.
        candles_count: rows of candles in that answer.
        candles_stale_s: how old its newest candle row is (`protocol.md` 6.1); 0 makes it the candle under way.
        history_lag_s: how far the candles of ``loadHistoryPeriod`` lag behind the stream; 60 to 420 on the real one.
    """

    volatility: float = 1.0
    payout_period_s: int = 900
    history_days: int = 3650
    history_ticks_s: int = 600
    candles_count: int = 99
    candles_stale_s: int = 420
    history_lag_s: int = 0

    def __post_init__(self) -> None:
        check(0 <= self.volatility <= 10, "volatility", "must be from 0 to 10")
        check(60 <= self.payout_period_s <= 86_400, "payout_period_s", "must be from 60 to 86400")
        check(1 <= self.history_days <= 10_000, "history_days", "must be from 1 to 10000")
        check(0 <= self.history_ticks_s <= 3600, "history_ticks_s", "must be from 0 to 3600")
        check(1 <= self.candles_count <= 1000, "candles_count", "must be from 1 to 1000")
        check(0 <= self.candles_stale_s <= 3600, "candles_stale_s", "must be from 0 to 3600")
        check(0 <= self.history_lag_s <= 3600, "history_lag_s", "must be from 0 to 3600")


class TradingConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accounts and the limits of deals.

    Attributes:
        demo_balance: what a practice account starts with, and is refilled to.
        live_balance: what a live account starts with.
        concurrent_demo_max: deals and pending orders open at once; one more is ``MaxDemoTrades``.
        concurrent_live_max: the same on a live account; one more is ``MaxTrades``.
        cancel_window_s: how long after its opening a deal may be cancelled; the stake is given back.
        closed_kept: closed deals remembered for each account.
    """

    demo_balance: Decimal = Decimal("50000.00")
    live_balance: Decimal = Decimal("1000.00")
    currency: str = "USD"
    amount_min: Decimal = Decimal(1)
    amount_max: Decimal = Decimal(20_000)
    duration_max_s: int = 43_200
    concurrent_demo_max: int = CONCURRENT_ORDERS_MAX
    concurrent_live_max: int = 50
    cancel_window_s: float = 5.0
    closed_kept: int = 1000

    def __post_init__(self) -> None:
        for name in ("demo_balance", "live_balance", "amount_min", "amount_max"):
            value = getattr(self, name)
            check(value.is_finite() and 0 <= value <= 10**9, name, "must be an amount from 0 to 10**9")
            check(value == round(value, 2), name, "must be in whole cents")
        check(0 < self.amount_min <= self.amount_max, "amount_min", "must be above 0 and at most amount_max")
        check(5 <= self.duration_max_s <= 86_400, "duration_max_s", "must be from 5 to 86400")
        check(1 <= self.concurrent_demo_max <= 10_000, "concurrent_demo_max", "must be from 1 to 10000")
        check(1 <= self.concurrent_live_max <= 10_000, "concurrent_live_max", "must be from 1 to 10000")
        check(0 <= self.cancel_window_s <= 3600, "cancel_window_s", "must be from 0 to 3600")
        check(20 <= self.closed_kept <= 100_000, "closed_kept", "must be from 20 to 100000")


class AccessConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is let in. Any well-formed session is, unless one of the lists says otherwise.

    Attributes:
        sessions: if not empty, only these sessions (or guests' tokens) are accepted.
        rejected_sessions: these never are.
    """

    sessions: tuple[Secret, ...] = ()
    rejected_sessions: tuple[Secret, ...] = ()


class VenueConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it; every field has a default.

    Attributes:
        port: 0 lets the system choose.
        seed: decides the market.
        offset_s: the venue's clock is Unix time plus this (`protocol.md` rule 18).
        lenient_time: a ``loadHistoryPeriod`` whose time is Unix now means the venue's now (6.0).
        auth_timeout_s: from the upgrade to authentication.
        ps_deadline_s: a connection that has not sent ``ps`` for this long is closed (rule 19).
        connections_max: open at once; one more is answered with 503.
        connections_per_host_max, unauthenticated_max: streams of one address, and streams that have not logged in;
            one more is closed at once.
        limits_loopback: hold clients on this machine to those two limits as well; a swarm could not start then.
        tls_cert, tls_key: PEM files; both or none.
        state_file: accounts and deals survive a kill in it.
        events_per_second_max: what one connection may send on average; ten times that at once. Past it: close 1008.
        rates: what one account may send how often.
        faults: what goes wrong, and when.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    offset_s: int = 7200
    lenient_time: bool = True
    server_name: str = "api-demo CLIENT STREAMER PO.MARKET_0"
    ping_interval_ms: int = 25_000
    ping_timeout_ms: int = 20_000
    max_payload: int = SERVER_MESSAGE_MAX
    auth_timeout_s: float = SERVER_AUTH_TIMEOUT
    ps_deadline_s: float = PS_DEADLINE
    connections_max: int = VENUE_CONNECTIONS_MAX
    connections_per_host_max: int = VENUE_PER_HOST_MAX
    unauthenticated_max: int = VENUE_UNAUTHENTICATED_MAX
    limits_loopback: bool = False
    streams_max: int = STREAMS_PER_CONNECTION_MAX
    outbound_messages_max: int = VENUE_OUTBOUND_MESSAGES_MAX
    outbound_bytes_max: int = VENUE_OUTBOUND_BYTES_MAX
    events_per_second_max: float = 200.0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    state_file: Path | None = None
    market: MarketConfig = MarketConfig()
    trading: TradingConfig = TradingConfig()
    access: AccessConfig = AccessConfig()
    rates: RateConfig = RateConfig()
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        check(bool(self.host), "host", "must not be empty")
        check(0 <= self.port <= 65_535, "port", "must be from 0 to 65535")
        check(0 <= self.seed < 1 << 64, "seed", "must be from 0 to 2**64 - 1")
        check(abs(self.offset_s) <= 86_400, "offset_s", "must be within a day")
        check(10 <= self.ping_interval_ms <= 600_000, "ping_interval_ms", "must be from 10 to 600000")
        check(10 <= self.ping_timeout_ms <= 600_000, "ping_timeout_ms", "must be from 10 to 600000")
        check(1000 <= self.max_payload <= 1 << 26, "max_payload", "must be from 1000 to 2**26")
        check(0 < self.auth_timeout_s <= 3600, "auth_timeout_s", "must be above 0 and at most 3600")
        check(0 < self.ps_deadline_s <= 86_400, "ps_deadline_s", "must be above 0 and at most 86400")
        check(1 <= self.connections_max <= 1_000_000, "connections_max", "must be from 1 to 1000000")
        for name in ("connections_per_host_max", "unauthenticated_max"):
            check(1 <= getattr(self, name) <= 1_000_000, name, "must be from 1 to 1000000")
        check(1 <= self.streams_max <= 1000, "streams_max", "must be from 1 to 1000")
        check(
            16 <= self.outbound_messages_max <= 1 << 20, "outbound_messages_max", "must be from 16 to 2**20"
        )
        check(
            1 << 20 <= self.outbound_bytes_max <= 1 << 30, "outbound_bytes_max", "must be from 2**20 to 2**30"
        )
        check(self.events_per_second_max > 0, "events_per_second_max", "must be above 0")
        check((self.tls_cert is None) == (self.tls_key is None), "tls_key", "goes together with tls_cert")

    @property
    def is_tls(self) -> bool:
        """Whether the venue speaks TLS."""
        return self.tls_cert is not None


def read_config(path: Path, *, seam: Seam = REAL) -> VenueConfig:
    """Read a TOML file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or a key of it is wrong; ``path`` names which.
    """
    try:
        text = seam.read_file(path).decode()
        table = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or "cannot be read") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(path), f"is not TOML: {error}") from error
    return convert(table, VenueConfig, str(path))


def convert(value: Any, target: type[T], source: str) -> T:
    """Turn plain values (of TOML or JSON) into one of the types above.

    Raises:
        ConfigError: it does not fit; the path is ``source: $.key``. Values are not repeated: one may be a session.
    """
    try:
        return msgspec.convert(value, target, dec_hook=_convert_special)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        reason, _, place = str(error).partition(" - at ")
        key = place.strip("`").removeprefix("$").removeprefix(".")
        if isinstance(cause, ConfigError):
            key = f"{key}.{cause.path}" if key else cause.path
            reason = cause.reason
        raise ConfigError(f"{source}: {key}" if key else source, reason) from None


def _convert_special(target: type, value: Any) -> Any:
    if target is Secret and isinstance(value, str):
        return Secret(value)
    if target is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
