"""potrio: supervised actors on trio, and on them a PocketOption client that never sends an order twice."""

from potrio.actor_errors import ActorDead, ActorError, SupervisorError
from potrio.actors.evidence import Anomaly, OrderState
from potrio.actors.limiter import Rate, RateLimits, Rates
from potrio.actors.monitor import Statistics
from potrio.actors.order_handle import Draw, Lost, OrderHandle, Result, Won
from potrio.actors.order_log import Change
from potrio.actors.outages import ConnectionLost, ConnectionResumed
from potrio.actors.pending_evidence import PendingState
from potrio.actors.pending_handle import CancelOutcome, PendingHandle
from potrio.actors.phases import LinkPhase
from potrio.actors.stream import Gap, Stream
from potrio.client.candle_stream import CandleStream
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.errors import (
    AuthError,
    CircuitOpen,
    ClientClosed,
    ClientFailed,
    ConfigError,
    ConnectError,
    ConnectionBroken,
    ConnectionClosed,
    ConnectRefused,
    ConnectTimeout,
    HandshakeFailed,
    HeartbeatMissed,
    HistoryShort,
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
    UpgradeRejected,
)
from potrio.protocol.candle_builder import Forming
from potrio.protocol.candles import Candle
from potrio.protocol.matchers import Matcher, RawEvent
from potrio.protocol.messages.market import Asset, Tick
from potrio.protocol.messages.trading import Deal, Side
from potrio.protocol.ssid import Ssid
from potrio.protocol.timeframes import TimeFrame
from potrio.secrets import Secret

__version__ = "0.1.0"

__all__ = [
    "ActorDead",
    "ActorError",
    "Anomaly",
    "Asset",
    "AuthError",
    "CancelOutcome",
    "Candle",
    "CandleStream",
    "Change",
    "CircuitOpen",
    "Client",
    "ClientClosed",
    "ClientFailed",
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
    "Draw",
    "Forming",
    "Gap",
    "HandshakeFailed",
    "HeartbeatMissed",
    "HistoryShort",
    "LimitExceeded",
    "LinkPhase",
    "LocalProtocolError",
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
    "OutcomeUnknown",
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
    "Tick",
    "TimeFrame",
    "TlsFailed",
    "UpgradeRejected",
    "Won",
    "open_client",
]
