"""The venue's public addresses, and in which order to try them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from potrio.errors import ConfigError

__all__ = ["REGIONS", "Region", "candidates"]

PATH: Final = "/socket.io/?EIO=4&transport=websocket"


class Region(msgspec.Struct, frozen=True):
    """One address of the venue. ``is_guest``: only anonymous "try demo" logins are served there."""

    name: str
    url: str
    is_demo: bool
    is_guest: bool = False


def _public(name: str, host: str, *, is_demo: bool = False, is_guest: bool = False) -> Region:
    return Region(name, f"wss://{host}{PATH}", is_demo, is_guest)


REGIONS: Final[tuple[Region, ...]] = (
    _public("EUROPA", "api-eu.po.market"),
    _public("SEYCHELLES", "api-sc.po.market"),
    _public("HONGKONG", "api-hk.po.market"),
    _public("SERVER1", "api-spb.po.market"),
    _public("FRANCE2", "api-fr2.po.market"),
    _public("UNITED_STATES4", "api-us4.po.market"),
    _public("UNITED_STATES3", "api-us3.po.market"),
    _public("UNITED_STATES2", "api-us2.po.market"),
    _public("UNITED_STATES", "api-us-north.po.market"),
    _public("SERVER4", "api-us-south.po.market"),
    _public("RUSSIA", "api-msk.po.market"),
    _public("SERVER2", "api-l.po.market"),
    _public("INDIA", "api-in.po.market"),
    _public("FRANCE", "api-fr.po.market"),
    _public("FINLAND", "api-fin.po.market"),
    _public("SERVER3", "api-c.po.market"),
    _public("ASIA", "api-asia.po.market"),
    _public("DEMO", "demo-api-eu.po.market", is_demo=True),
    _public("DEMO_2", "try-demo-eu.po.market", is_demo=True, is_guest=True),
)
"""The table of ``protocol.md`` 1.1, in the order in which they are tried."""

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "EU": ("EUROPA", "DEMO"),
    "EUROPE": ("EUROPA", "DEMO"),
    "SC": ("SEYCHELLES",),
    "HK": ("HONGKONG",),
    "HONG_KONG": ("HONGKONG",),
    "FR": ("FRANCE",),
    "FI": ("FINLAND",),
    "IN": ("INDIA",),
    "RU": ("RUSSIA",),
    "US": ("UNITED_STATES",),
    "USA": ("UNITED_STATES",),
    "TRY_DEMO": ("DEMO_2",),
    "GUEST": ("DEMO_2",),
}
"""Other names; where one has a live and a demo region, the account decides."""

_BY_NAME: Final = {region.name: region for region in REGIONS}


def candidates(is_demo: bool, preferred: str | None = None, *, is_guest: bool = False) -> list[Region]:
    """List the addresses to try for an account, the best first.

    A session is only sent where it can be valid: a rejection is final, and must not come from the wrong host.

    Args:
        is_demo: which kind of account; `Ssid.is_demo`.
        preferred: a region's name or alias in any case, to be tried first, or a URL, to be the only one.
        is_guest: an anonymous login; it has a host of its own.

    Raises:
        ConfigError: there is no such region, it is of the other kind, or the URL is not one.
    """
    if preferred is not None and "://" in preferred:
        return [Region("url", _checked(preferred), is_demo, is_guest)]
    fitting = [region for region in REGIONS if region.is_demo == is_demo and region.is_guest == is_guest]
    if preferred is None:
        return fitting
    first = _named(preferred, is_demo)
    return [first, *(region for region in fitting if region is not first)]


def _named(preferred: str, is_demo: bool) -> Region:
    name = preferred.strip().upper().replace("-", "_").replace(" ", "_")
    found = [_BY_NAME[known] for known in ALIASES.get(name, (name,)) if known in _BY_NAME]
    if not found:
        names = ", ".join(region.name for region in REGIONS)
        raise ConfigError(
            "region", f"there is none of that name; known are {names}, aliases such as eu, or a URL"
        )
    for region in found:
        if region.is_demo == is_demo:
            return region
    kinds = ("live", "demo")
    raise ConfigError(
        "region",
        f"{found[0].name} serves {kinds[not is_demo]} accounts, and this account is {kinds[is_demo]}",
    )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0  # reading it raises where it is no port
    except ValueError:
        raise ConfigError("region", "the URL is malformed") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname or not port_is_good:
        raise ConfigError("region", "a URL must be ws:// or wss:// with a host")
    return url
