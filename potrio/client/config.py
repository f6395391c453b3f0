"""What a client needs to know before it starts: `Config`, checked as a whole, errors naming the field."""

from __future__ import annotations

import math
import ssl
from collections.abc import Mapping
from typing import get_args

import msgspec

from potrio.errors import ConfigError
from potrio.limits import HANDSHAKE_TIMEOUT
from potrio.logs import LEVELS
from potrio.protocol.regions import Region, candidates
from potrio.protocol.ssid import Ssid, parse_ssid
from potrio.seam import REAL, Seam
from potrio.secrets import Secret
from potrio.transport.base import TransportKind

__all__ = ["Config"]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one account of one venue. Immutable; `checked` is called by `open_client`.

    Attributes:
        ssid: the auth frame copied from the browser, as text or already parsed; see ``potrio ssid check``.
        url: one venue to use instead of the public ones (``ws://127.0.0.1:8080/socket.io/?EIO=4&transport=websocket``).
        region: the public region to try first (``"eu"``); the others follow.
        transport: ``"framed"`` (fast, the default) or ``"trio-websocket"`` (the library, as a reference).
        headers: HTTP headers of the upgrade; they replace the defaults of the same name.
        ssl_context: your own certificates; the default verifies against the system's.
        allow_insecure: send the token in clear (``ws://``) to a host that is not this machine.
        arm_live: allow orders on a live account; without it only a demo account trades.
        handshake_timeout_s: the budget of one attempt, from DNS to authentication.
        max_retries: attempts to get a lost link back before the client gives up with the last error; None: no end.
        debug: potrio's own loggers record everything while the client is open; nobody else's are touched.
        log_level: the same with a level of your choice (``"INFO"``); where records go is up to your handlers.
        seam: clocks, chance and sockets; another one is for simulations.
    """

    ssid: str | Secret | Ssid
    url: str | None = None
    region: str | None = None
    transport: TransportKind = "framed"
    headers: Mapping[str, str] | None = None
    ssl_context: ssl.SSLContext | None = None
    allow_insecure: bool = False
    arm_live: bool = False
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT
    max_retries: int | None = None
    debug: bool = False
    log_level: str | None = None
    seam: Seam = REAL

    def __repr__(self) -> str:
        where = self.url or self.region or "the public venue"
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
        if self.url is not None and self.region is not None:
            raise ConfigError("region", "cannot be given together with url")
        return self
