"""Transports: whole WebSocket messages over TCP and TLS, by our own codec, by trio-websocket, or in memory."""

from potrio.transport.accept import HttpRequest, accept
from potrio.transport.base import Transport, TransportKind, TransportStatistics
from potrio.transport.dial import default_ssl_context, dial
from potrio.transport.framed import FramedTransport
from potrio.transport.memory import MemoryTransport, memory_transport_pair

__all__ = [
    "FramedTransport",
    "HttpRequest",
    "MemoryTransport",
    "Transport",
    "TransportKind",
    "TransportStatistics",
    "accept",
    "default_ssl_context",
    "dial",
    "memory_transport_pair",
]
