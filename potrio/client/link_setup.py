"""From a `Config` to the settings of a link: regions or URLs, certificates, proxy, where a fresh SSID comes from."""

from __future__ import annotations

import ssl
from pathlib import Path

from potrio.actors.fresh_ssid import FreshSsid
from potrio.actors.limiter import RateLimits, address_of
from potrio.actors.link_settings import LinkSettings
from potrio.client.config import Config
from potrio.errors import ConfigError
from potrio.protocol.ssid import Ssid
from potrio.transport.dial import default_ssl_context
from potrio.transport.proxy import parse_proxy
from potrio.transport.target import parse_target, trusted

__all__ = ["link_settings", "tls_context"]


def link_settings(config: Config, ssid: Ssid) -> LinkSettings:
    """Everything a connection needs to know.

    Raises:
        ConfigError: a field cannot be used; `Config.checked` reads no files and looks at no certificates.
    """
    candidates, ssl_context = config.candidates(ssid), tls_context(config)
    if ssl_context is not None:
        for region in candidates:
            trusted(parse_target(region.url), ssl_context, allow_insecure=config.allow_insecure)
    return LinkSettings(
        ssid=ssid,
        candidates=candidates,
        seam=config.seam,
        transport=config.transport,
        headers=config.headers,
        ssl_context=ssl_context,
        allow_insecure=config.allow_insecure,
        handshake_timeout=config.handshake_timeout_s,
        connect_deadline=config.connect_deadline_s,
        max_retries=config.max_retries,
        reconnect_pause=config.reconnect_pause_s,
        reconnect_pause_max=config.reconnect_pause_max_s,
        recorder=config.recorder,
        proxy=None if config.proxy is None else parse_proxy(config.proxy),
        limits=config.limits or RateLimits(),
        address=address_of(config.url or next(iter(config.urls), None)),
        fresh=None
        if config.fresh_ssid is None
        else FreshSsid(ssid, config.fresh_ssid, attempts=config.fresh_ssid_max),
    )


def tls_context(config: Config) -> ssl.SSLContext | None:
    """The certificates to verify the venue's by; None: the system's.

    Raises:
        ConfigError: ``ca_file`` cannot be read, or holds no certificate.
    """
    if config.ca_file is None:
        return config.ssl_context
    try:
        text = config.seam.read_file(Path(config.ca_file).expanduser()).decode("ascii")
        return default_ssl_context(text)
    except (ssl.SSLError, ValueError):
        fault = "holds no certificate in PEM"
    except OSError as error:
        fault = error.strerror or "cannot be read"
    raise ConfigError("ca_file", f"{config.ca_file}: {fault}")
