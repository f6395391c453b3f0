"""Every error potrio raises, on one page: the type says whose fault it is and what may be done about it.

Words of fault are trio's and h11's: *Closed* is our own doing, *Broken* the world's; *Local* is a bug on our side,
*Remote* one on the peer's. Errors carry plain values only, never live objects and never a secret.
"""

from __future__ import annotations

__all__ = [
    "AuthError",
    "CircuitOpen",
    "ClientClosed",
    "ClientFailed",
    "ClockUnknown",
    "ClosedForPolicy",
    "ConfigError",
    "ConnectError",
    "ConnectRefused",
    "ConnectTimeout",
    "ConnectionBroken",
    "ConnectionClosed",
    "HandshakeFailed",
    "HeartbeatMissed",
    "HistoryShort",
    "JournalBusy",
    "JournalError",
    "LimitExceeded",
    "LocalProtocolError",
    "NameNotResolved",
    "NotConnected",
    "OrderDenied",
    "OrderError",
    "OrderNotFound",
    "OrderRejected",
    "OutboundFull",
    "OutcomeUnknown",
    "PayloadInvalid",
    "PotrioError",
    "ProtocolError",
    "ProxyFailed",
    "RateLimited",
    "RemoteProtocolError",
    "RequestError",
    "RequestTimeout",
    "RetryLater",
    "SsidError",
    "StreamOverflow",
    "TlsFailed",
    "TlsTruncated",
    "UpgradeRejected",
]


class PotrioError(Exception):
    """The base of all of them. ``str(error)`` is one line that says what to do, where something can be done."""


# --- configuration ---------------------------------------------------------------------------------------------------


class ConfigError(PotrioError, ValueError):
    """A value handed to us cannot be used. ``path`` names it (``"client.region"``), ``reason`` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class SsidError(ConfigError):
    """The SSID is not one; ``reason`` names the exact fault and never repeats a secret."""

    def __init__(self, reason: str) -> None:
        super().__init__("ssid", reason)
        self.args = (reason,)  # so that it pickles and copies with its own signature


# --- protocol --------------------------------------------------------------------------------------------------------


class ProtocolError(PotrioError):
    """The rules of the wire were broken."""


class LocalProtocolError(ProtocolError):
    """We were about to break the protocol: a bug on this side. Nothing was sent and no state changed."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; the session is closed. ``close_code`` is the RFC 6455 code that answers it."""

    def __init__(self, reason: str, close_code: int = 1002) -> None:
        super().__init__(reason, close_code)
        self.reason = reason
        self.close_code = close_code

    def __str__(self) -> str:
        return self.reason


class LimitExceeded(RemoteProtocolError):
    """The peer sent too much, too many or too deep: ``what`` exceeded ``limit``."""

    def __init__(self, what: str, limit: float, close_code: int = 1009) -> None:
        super().__init__(f"{what} exceeds the limit of {limit:.12g}", close_code)
        self.args = (what, limit, close_code)
        self.what = what
        self.limit = limit


class PayloadInvalid(RemoteProtocolError):
    """A known event came with a payload that does not fit. The text names ``event`` and ``fault``, never the data."""

    def __init__(self, event: str, fault: str) -> None:
        super().__init__(f"bad payload for {event}: {fault}", 1007)
        self.args = (event, fault)
        self.event = event
        self.fault = fault


# --- connecting ------------------------------------------------------------------------------------------------------


class ConnectError(PotrioError):
    """No connection could be made. ``stage`` is one of dns, tcp, proxy, tls, http, engine.io, socket.io, auth."""

    stage = "connect"

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(target, reason)
        self.target = target
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot connect to {self.target}: {self.stage}: {self.reason}"


class NameNotResolved(ConnectError):
    """The host name has no address."""

    stage = "dns"


class ConnectRefused(ConnectError):
    """The TCP connection was refused, or the host cannot be reached."""

    stage = "tcp"


class ProxyFailed(ConnectError):
    """The proxy cannot be reached, refuses, or does not speak its protocol; nothing was sent to the venue."""

    stage = "proxy"


class TlsFailed(ConnectError):
    """The TLS handshake failed, or the certificate was not accepted; the token was not sent."""

    stage = "tls"


class UpgradeRejected(ConnectError):
    """The HTTP upgrade was answered with something else; ``status`` is the HTTP status; None: it was not HTTP."""

    stage = "http"

    def __init__(self, target: str, reason: str, status: int | None = None) -> None:
        super().__init__(target, reason)
        self.args = (target, reason, status)
        self.status = status


class HandshakeFailed(ConnectError):
    """Engine.IO or Socket.IO did not open as they must; ``stage`` says which of them."""

    def __init__(self, target: str, reason: str, stage: str = "engine.io") -> None:
        super().__init__(target, reason)
        self.args = (target, reason, stage)
        self.stage = stage


class ConnectTimeout(ConnectError):
    """The overall handshake deadline passed; ``stage`` is the one that was under way."""

    def __init__(self, target: str, stage: str, seconds: float) -> None:
        super().__init__(target, f"no answer within {seconds:g} s")
        self.args = (target, stage, seconds)
        self.stage = stage
        self.seconds = seconds


class AuthError(PotrioError):
    """The venue does not accept the SSID. Terminal: the same SSID is never tried again or at another region."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the venue rejected the SSID ({self.reason}); log in with the browser again and copy a fresh one"
        )


# --- a connection that was there -------------------------------------------------------------------------------------


class ConnectionClosed(PotrioError):
    """The connection was closed on this side."""


class ConnectionBroken(ConnectionClosed):
    """The connection was ended by the peer or by the network."""


class ClosedForPolicy(ConnectionBroken):
    """The peer closed the connection with 1008: we broke a rule of it, as by sending too much."""


class TlsTruncated(ConnectionBroken):
    """The peer's end came without TLS's own word of it (close_notify): what was sent last may have been cut off."""


class OutboundFull(PotrioError):
    """The peer does not read: as many bytes wait for it as may. Nothing of what was to be sent has been queued."""


class HeartbeatMissed(ConnectionBroken):
    """Nothing came from the peer for ``seconds``: longer than pingInterval + pingTimeout of its own handshake."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"the peer has been silent for {self.seconds:g} s"


# --- requests and orders ---------------------------------------------------------------------------------------------


class RequestError(PotrioError):
    """A request to the venue did not end well."""


class NotConnected(RequestError):
    """There is no authenticated connection now; nothing was sent. Safe to try again."""


class ClockUnknown(RequestError):
    """The venue's clock has not been measured: no tick has come yet."""

    def __str__(self) -> str:
        return "the venue's clock is not known: it has not sent a tick yet; read the ticks of an open asset"


class RequestTimeout(RequestError):
    """The venue did not answer in time. Only for requests that are safe to repeat; orders raise OutcomeUnknown."""


class RetryLater(RequestError):
    """Not sent, and not to be sent before ``retry_at`` (Unix seconds, UTC), which is ``retry_in_s`` from now."""

    def __init__(self, what: str, retry_at: float, retry_in_s: float) -> None:
        super().__init__(what, retry_at, retry_in_s)
        self.what = what
        self.retry_at = retry_at
        self.retry_in_s = retry_in_s


class RateLimited(RetryLater):
    """Our own limiter has no room for it within its deadline; ``what`` is the lane. Nothing was sent."""

    def __str__(self) -> str:
        return f"too many {self.what} now: not sent; the limiter has room again in {self.retry_in_s:.3g} s"


class CircuitOpen(RetryLater):
    """The last few requests of this kind all failed, and the venue is left alone for a while. Nothing was sent."""

    def __str__(self) -> str:
        return f"{self.what} failed again and again: not asked; the next try may be made in {self.retry_in_s:.3g} s"


class HistoryShort(RequestError):
    """The venue has fewer candles than were asked for: ``have`` of ``want``."""

    def __init__(self, have: int, want: int) -> None:
        super().__init__(have, want)
        self.have = have
        self.want = want

    def __str__(self) -> str:
        return f"the venue has {self.have} of the {self.want} candles asked for; ask for fewer, or for an earlier end"


class OrderError(RequestError):
    """The base of everything that can be said against an order."""


class OrderDenied(OrderError):
    """Refused on this side, before anything was sent: ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OrderNotFound(OrderError):
    """No order, deal or ticket of this id is known here."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"no order, deal or ticket {self.id!r} is known"


class OrderRejected(OrderError):
    """Refused by the venue; ``code`` is the venue's own word (``"MaxDemoTrades"``)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"the venue rejected the order: {self.code}"


class OutcomeUnknown(OrderError):
    """Sent, but its fate is not known: never to be confused with a failure. ``request_id`` finds it again."""

    def __init__(self, request_id: str, reason: str) -> None:
        super().__init__(request_id, reason)
        self.request_id = request_id
        self.reason = reason

    def __str__(self) -> str:
        return f"the fate of order {self.request_id} is not known: {self.reason}"


class StreamOverflow(PotrioError):
    """A lossless stream was not read fast enough and has been ended."""


# --- the journal -----------------------------------------------------------------------------------------------------


class JournalError(PotrioError):
    """The journal of orders at ``path`` cannot be used; it was not changed. ``reason`` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"journal {self.path}: {self.reason}"


class JournalBusy(JournalError):
    """Another client is writing this journal; ``pid`` is its process, where that is known."""

    def __init__(self, path: str, pid: int | None = None) -> None:
        holder = "another client" if pid is None else f"process {pid}"
        super().__init__(path, f"is in use by {holder}; each client needs a journal of its own")
        self.args = (path, pid)
        self.pid = pid


# --- the client ------------------------------------------------------------------------------------------------------


class ClientClosed(PotrioError):
    """The client has been closed; the call cannot be served any more."""


class ClientFailed(ClientClosed):
    """The client died in the background; ``__cause__`` is what the supervisor gave up on."""


# --- actors and supervision ------------------------------------------------------------------------------------------
