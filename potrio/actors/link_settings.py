"""How to reach the venue: what a connection needs to know, and the two records that outlive its incarnations."""

from __future__ import annotations

import ssl
from collections.abc import Hashable, Mapping

import msgspec

from potrio.actors.fresh_ssid import FreshSsid
from potrio.actors.limiter import RateLimits
from potrio.actors.region_health import RegionHealth
from potrio.limits import (
    CONNECT_DEADLINE,
    HANDSHAKE_TIMEOUT,
    RECONNECT_BASE,
    RECONNECT_CAP,
    RECONNECT_STABLE,
)
from potrio.protocol.regions import Region
from potrio.protocol.ssid import Ssid
from potrio.seam import Seam
from potrio.supervision.backoff import Backoff
from potrio.transport.base import TransportKind
from potrio.transport.proxy import Proxy
from potrio.transport.recorder import Recorder

__all__ = ["LinkSettings"]


class LinkSettings(msgspec.Struct, frozen=True):
    """Everything that does not change while the client lives, but for the two records at the end.

    Attributes:
        max_retries: attempts in a row to get a lost link back; None: no end.
        reconnect_pause: the longest first pause between two of them.
        reconnect_pause_max: the longest of all.
        limits: the budgets of this account and address, shared by whoever is given the same object.
        address: whose budget of an address it is: the venue's.
        health: what is known of the addresses.
        recorder: takes down every frame of every connection.
        fresh: the SSID in use, where the program can supply fresh ones; None: it is ``ssid`` for good.
    """

    ssid: Ssid
    candidates: tuple[Region, ...]
    seam: Seam
    transport: TransportKind = "framed"
    headers: Mapping[str, str] | None = None
    ssl_context: ssl.SSLContext | None = None
    allow_insecure: bool = False
    handshake_timeout: float = HANDSHAKE_TIMEOUT
    connect_deadline: float = CONNECT_DEADLINE
    max_retries: int | None = None
    reconnect_pause: float = RECONNECT_BASE
    reconnect_pause_max: float = RECONNECT_CAP
    proxy: Proxy | None = None
    limits: RateLimits = msgspec.field(default_factory=RateLimits)
    address: Hashable = None
    health: RegionHealth = msgspec.field(default_factory=RegionHealth)
    fresh: FreshSsid | None = None
    recorder: Recorder | None = None

    @property
    def reconnect(self) -> Backoff:
        """The pauses between attempts."""
        base, cap = self.reconnect_pause, self.reconnect_pause_max
        return Backoff(base=min(base, cap), cap=cap, jitter="full", reset_after=RECONNECT_STABLE)

    @property
    def ssid_now(self) -> Ssid:
        """The SSID to log in with."""
        return self.ssid if self.fresh is None else self.fresh.ssid
