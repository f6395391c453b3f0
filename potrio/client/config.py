"""What a client needs to know before it starts: `Config`, checked as a whole, errors naming the field."""

from __future__ import annotations

import math
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import msgspec

from potrio.actors.fresh_ssid import SsidProvider
from potrio.actors.journal_record import DURABILITIES, Durability
from potrio.actors.limiter import RateLimits
from potrio.errors import ConfigError
from potrio.limits import (
    CONNECT_DEADLINE,
    FRESH_SSID_MAX,
    HANDSHAKE_TIMEOUT,
    RECONNECT_BASE,
    RECONNECT_CAP,
    RECONNECT_CAP_MAX,
    RECONNECT_CAP_MIN,
    SESSIONS_MAX,
)
from potrio.logs import LEVELS
from potrio.protocol.regions import Region, candidates
from potrio.protocol.ssid import Ssid, parse_ssid
from potrio.seam import REAL, Seam
from potrio.secrets import Secret
from potrio.transport.base import TransportKind
from potrio.transport.proxy import parse_proxy
from potrio.transport.recorder import Recorder
from potrio.transport.target import parse_target

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one account of one venue. Immutable; `checked` is called by `open_client`.

    Attributes:
        ssid: the auth frame copied from the browser, as text or already parsed; see ``potrio ssid check``.
        url: one venue to use instead of the public ones (``ws://127.0.0.1:8080/socket.io/?EIO=4&transport=websocket``).
        urls: several of your own instead; they are tried by measured health, in this order at first.
        region: the public region to try first (``"eu"``); the others follow.
        transport: ``"framed"`` (fast, the default) or ``"trio-websocket"`` (the library, as a reference).
        headers: HTTP headers of the upgrade; they replace the defaults of the same name.
        ssl_context: your own certificates; the default verifies against the system's. One that does not verify is
            refused.
        ca_file: a file of certificates (PEM) to trust in the place of the system's.
        proxy: connect through it: ``http://user:password@host:port`` (CONNECT) or ``socks5://...`` (needs the extra
            ``proxy``); it is given the venue's name to look up, and sees no token.
        allow_insecure: on this machine, and on no other, an ``ssl_context`` need not verify who answers.
        arm_live: allow orders on a live account; without it only a demo account trades.
        handshake_timeout_s: the budget of one attempt, from DNS to authentication.
        connect_deadline_s: the budget of the very first round over all addresses.
        stale_after_s: silence of a subscribed asset that may be traded after which it is asked for again, and, after as
            long once more, the link given up; None: measured for each asset (10 to 60 s), ``inf``: never.
        sessions_max: how many sessions of the account the client may have at once: each streams four assets, and those
            beyond the first are opened when they are needed, for streams or a lease, and never trade.
        fresh_ssid: called with the `AuthError` of a rejected SSID; returns a fresh one of the same account.
        fresh_ssid_max: how often it is called at most, in the life of the client.
        max_retries: attempts to get a lost link back before the client gives up with the last error; None: no end.
        reconnect_pause_s: the first pause between two of them is drawn from 0 to this; each range doubles the last one.
        reconnect_pause_max_s: no pause is longer.
        debug: potrio's own loggers record everything while the client is open; nobody else's are touched.
        log_level: the same with a level of your choice (``"INFO"``); where records go is up to your handlers.
        limits: what may be sent how often; hand the same object to all clients that share accounts or an address.
            None: a limiter of its own, with the defaults.
        journal: a file that keeps every order from before it is sent until it is settled, so that a crash of the
            process loses none and sends none twice; None: no journal.
        durability: what the journal outlives: ``"process-crash"``, or ``"power-loss"`` too, at the cost of a sync of
            the disk for each order.
        recorder: takes down every frame, without the token; its `Recorder.run` is yours to run (``potrio record``).
        seam: clocks, chance and sockets; another one is for simulations.
    """

    ssid: str | Secret | Ssid
    url: str | None = None
    urls: tuple[str, ...] = ()
    region: str | None = None
    transport: TransportKind = "framed"
    headers: Mapping[str, str] | None = None
    ssl_context: ssl.SSLContext | None = None
    ca_file: str | None = None
    proxy: str | Secret | None = None
    allow_insecure: bool = False
    arm_live: bool = False
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT
    connect_deadline_s: float = CONNECT_DEADLINE
    stale_after_s: float | None = None
    sessions_max: int = 1
    fresh_ssid: SsidProvider | None = None
    fresh_ssid_max: int = FRESH_SSID_MAX
    max_retries: int | None = None
    reconnect_pause_s: float = RECONNECT_BASE
    reconnect_pause_max_s: float = RECONNECT_CAP
    debug: bool = False
    log_level: str | None = None
    limits: RateLimits | None = None
    journal: str | Path | None = None
    durability: Durability = "process-crash"
    recorder: Recorder | None = None
    seam: Seam = REAL

    def __repr__(self) -> str:
        where = self.url or ", ".join(self.urls) or self.region or "the public venue"
        return f"<Config of an account at {where} over {self.transport}>"

    @property
    def level(self) -> str | None:
        """The level of potrio's own loggers; None leaves them as they are."""
        if self.log_level is not None:
            return self.log_level.upper()
        return "DEBUG" if self.debug else None

    def parsed_ssid(self) -> Ssid:
        """The SSID, parsed.

        Raises:
            SsidError: it is not one; the text says what is wrong with it.
        """
        match self.ssid:
            case str():  # no local of the plain text: tracebacks can capture them (P8)
                return parse_ssid(Secret(self.ssid))
            case Secret():
                return parse_ssid(self.ssid)
            case Ssid() as ssid:
                return ssid
        raise ConfigError("ssid", f"must be text, a Secret or an Ssid, not {type(self.ssid).__name__}")

    def candidates(self, ssid: Ssid) -> tuple[Region, ...]:
        """The addresses to try, in order.

        Raises:
            ConfigError: the region has no such name.
        """
        if self.url is not None:
            return (Region(name="url", url=self.url, is_demo=ssid.is_demo),)
        if self.urls:
            return tuple(
                Region(name=f"url {number}", url=url, is_demo=ssid.is_demo)
                for number, url in enumerate(dict.fromkeys(self.urls), 1)
            )
        return tuple(candidates(ssid.is_demo, self.region, is_guest=ssid.kind == "guest"))

    def checked(self) -> Config:
        """Return self if every field can be used.

        Raises:
            ConfigError: naming the field.
        """
        if self.transport not in get_args(TransportKind):
            known = " or ".join(repr(kind) for kind in get_args(TransportKind))
            raise ConfigError("transport", f"must be {known}, not {self.transport!r}")
        if not 0 < self.handshake_timeout_s < math.inf:
            raise ConfigError(
                "handshake_timeout_s", f"must be a number of seconds > 0, not {self.handshake_timeout_s}"
            )
        if self.max_retries is not None and (isinstance(self.max_retries, bool) or self.max_retries < 0):
            raise ConfigError("max_retries", f"must be a whole number >= 0, not {self.max_retries}")
        if self.log_level is not None and self.log_level.upper() not in LEVELS:
            raise ConfigError("log_level", f"must be one of {', '.join(LEVELS)}, not {self.log_level!r}")
        if self.durability not in DURABILITIES:
            known = " or ".join(repr(each) for each in DURABILITIES)
            raise ConfigError("durability", f"must be {known}, not {self.durability!r}")
        if self.region is not None and (self.url is not None or self.urls):
            raise ConfigError("region", "cannot be given together with url or urls")
        self._check_link()
        return self

    def _check_link(self) -> None:
        if isinstance(self.urls, str) or not all(isinstance(url, str) for url in self.urls):
            raise ConfigError("urls", "must be several texts; for one there is url")
        if self.urls and self.url is not None:
            raise ConfigError("urls", "cannot be given together with url")
        for url in self.urls:
            try:
                parse_target(url)
            except ConfigError as error:
                raise ConfigError("urls", error.reason) from None
        if not self.connect_deadline_s > 0:
            raise ConfigError("connect_deadline_s", f"must be above 0, not {self.connect_deadline_s}")
        for name in ("reconnect_pause_s", "reconnect_pause_max_s"):
            if not RECONNECT_CAP_MIN <= getattr(self, name) <= RECONNECT_CAP_MAX:
                raise ConfigError(
                    name,
                    f"must be from {RECONNECT_CAP_MIN:g} to {RECONNECT_CAP_MAX:g} seconds, not {getattr(self, name)}",
                )
        if self.stale_after_s is not None and not self.stale_after_s > 0:
            raise ConfigError("stale_after_s", f"must be above 0, not {self.stale_after_s}")
        if isinstance(self.sessions_max, bool) or not 1 <= self.sessions_max <= SESSIONS_MAX:
            raise ConfigError("sessions_max", f"must be from 1 to {SESSIONS_MAX}, not {self.sessions_max}")
        if isinstance(self.fresh_ssid_max, bool) or self.fresh_ssid_max < 0:
            raise ConfigError("fresh_ssid_max", f"must be a whole number >= 0, not {self.fresh_ssid_max}")
        if self.fresh_ssid is not None and not callable(self.fresh_ssid):
            raise ConfigError("fresh_ssid", "must be an async function")
        if self.ca_file is not None and self.ssl_context is not None:
            raise ConfigError("ca_file", "cannot be given together with ssl_context")
        if self.proxy is not None:
            parse_proxy(self.proxy)
