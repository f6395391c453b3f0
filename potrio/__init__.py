"""potrio: supervised actors on trio, and on them a PocketOption client that never sends an order twice."""

from potrio.actor_errors import ActorDead, ActorError, SupervisorError
from potrio.actors.account import BalanceUpdate
from potrio.actors.asset_changes import (
    AssetAdded,
    AssetChange,
    AssetClosed,
    AssetOpened,
    AssetRemoved,
    DurationsChanged,
    PayoutChanged,
)
from potrio.actors.evidence import Anomaly, OrderState
from potrio.actors.latencies import Latency
from potrio.actors.limiter import Rate, RateLimits, Rates
from potrio.actors.monitor import Statistics, Throughput
from potrio.actors.order_handle import Draw, Lost, OrderHandle, Result, Won
from potrio.actors.order_log import Change
from potrio.actors.outages import ConnectionLost, ConnectionResumed
from potrio.actors.pending_evidence import PendingState
from potrio.actors.pending_handle import CancelOutcome, PendingHandle
from potrio.actors.phases import LinkPhase
from potrio.actors.stream import Gap, Stream
from potrio.client.account import VenueClock
from potrio.client.candle_list import CandleGap, CandleList
from potrio.client.candle_stream import CandleStream
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.client.deal_records import DealPage, DealRecord, DealTotals
from potrio.client.export import to_arrow, to_pandas, to_polars
from potrio.client.journal import JournalStatistics
from potrio.client.leases import LeasedSession
from potrio.client.log_entries import LogEntries, LogEntry, open_log
from potrio.errors import (
    AuthError,
    CircuitOpen,
    ClientClosed,
    ClientFailed,
    ClockUnknown,
    ClosedForPolicy,
    ConfigError,
    ConnectError,
    ConnectionBroken,
    ConnectionClosed,
    ConnectRefused,
    ConnectTimeout,
    HandshakeFailed,
    HeartbeatMissed,
    HistoryShort,
    JournalBusy,
    JournalError,
    LimitExceeded,
    LocalProtocolError,
    NameNotResolved,
    NotConnected,
    OrderDenied,
    OrderError,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    PotrioError,
    ProtocolError,
    ProxyFailed,
    RateLimited,
    RemoteProtocolError,
    RequestError,
    RequestTimeout,
    RetryLater,
    SsidError,
    StreamOverflow,
    TlsFailed,
    TlsTruncated,
    UpgradeRejected,
)
from potrio.protocol.candle_builder import Forming
from potrio.protocol.candles import Candle
from potrio.protocol.matchers import Matcher, RawEvent
from potrio.protocol.messages.market import Asset, Tick
from potrio.protocol.messages.trading import Deal, Outcome, Side
from potrio.protocol.ssid import Ssid
from potrio.protocol.timeframes import TimeFrame
from potrio.secrets import Secret

__version__ = "0.1.0"

__all__ = [
    "ActorDead",
    "ActorError",
    "Anomaly",
    "Asset",
    "AssetAdded",
    "AssetChange",
    "AssetClosed",
    "AssetOpened",
    "AssetRemoved",
    "AuthError",
    "BalanceUpdate",
    "CancelOutcome",
    "Candle",
    "CandleGap",
    "CandleList",
    "CandleStream",
    "Change",
    "CircuitOpen",
    "Client",
    "ClientClosed",
    "ClientFailed",
    "ClockUnknown",
    "ClosedForPolicy",
    "Config",
    "ConfigError",
    "ConnectError",
    "ConnectRefused",
    "ConnectTimeout",
    "ConnectionBroken",
    "ConnectionClosed",
    "ConnectionLost",
    "ConnectionResumed",
    "Deal",
    "DealPage",
    "DealRecord",
    "DealTotals",
    "Draw",
    "DurationsChanged",
    "Forming",
    "Gap",
    "HandshakeFailed",
    "HeartbeatMissed",
    "HistoryShort",
    "JournalBusy",
    "JournalError",
    "JournalStatistics",
    "Latency",
    "LeasedSession",
    "LimitExceeded",
    "LinkPhase",
    "LocalProtocolError",
    "LogEntries",
    "LogEntry",
    "Lost",
    "Matcher",
    "NameNotResolved",
    "NotConnected",
    "OrderDenied",
    "OrderError",
    "OrderHandle",
    "OrderNotFound",
    "OrderRejected",
    "OrderState",
    "Outcome",
    "OutcomeUnknown",
    "PayoutChanged",
    "PendingHandle",
    "PendingState",
    "PotrioError",
    "ProtocolError",
    "ProxyFailed",
    "Rate",
    "RateLimited",
    "RateLimits",
    "Rates",
    "RawEvent",
    "RemoteProtocolError",
    "RequestError",
    "RequestTimeout",
    "Result",
    "RetryLater",
    "Secret",
    "Side",
    "Ssid",
    "SsidError",
    "Statistics",
    "Stream",
    "StreamOverflow",
    "SupervisorError",
    "Throughput",
    "Tick",
    "TimeFrame",
    "TlsFailed",
    "TlsTruncated",
    "UpgradeRejected",
    "VenueClock",
    "Won",
    "open_client",
    "open_log",
    "to_arrow",
    "to_pandas",
    "to_polars",
]
