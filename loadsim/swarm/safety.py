"""Who may be put under load, and how much (P14): this machine, or a host of an allow-list; never a public venue."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from loadsim.plan.model import Plan
from loadsim.plan.schedule import arrivals
from loadsim.swarm.account import CLIENTS_MAX
from potrio.errors import ConfigError
from potrio.protocol.regions import REGIONS
from potrio.seam import REAL, Seam
from potrio.transport.target import Target, is_loopback, parse_target

__all__ = ["check_size", "check_target", "is_public", "read_allow_list"]

DURATION_MAX_S = 24 * 3600.0
HOSTS_MAX = 1000
PUBLIC_DOMAINS = ("po.market", "po.trade", "pocketoption.com", "pocketoption.net", "po.cash")
"""Domains of the service; every host in them is refused, whatever an allow-list says."""


def is_public(host: str) -> bool:
    """Is this a host of the public service?"""
    host = host.lower().rstrip(".")
    known = {urlsplit(region.url).hostname for region in REGIONS}
    return host in known or any(host == domain or host.endswith(f".{domain}") for domain in PUBLIC_DOMAINS)


def check_target(url: str, allowed: Collection[str] = ()) -> Target:
    """Take a URL that may be put under load.

    Args:
        url: of the venue.
        allowed: hosts besides this machine, from a file that somebody wrote on purpose (`read_allow_list`).

    Raises:
        ConfigError: it is no URL, a host of the public service, or one that is not allowed.
    """
    target = parse_target(url)
    if is_public(target.host):
        raise ConfigError(
            "target", f"{target.host} is a host of the public service: it is never put under load"
        )
    if not is_loopback(target.host) and target.host.rstrip(".") not in allowed:
        raise ConfigError(
            "target", f"{target.host} is not this machine: name it in a file and say --allow-hosts FILE"
        )
    return target


def read_allow_list(path: Path, seam: Seam = REAL) -> frozenset[str]:
    """Read hosts, one a line; ``#`` begins a remark.

    Raises:
        ConfigError: the file cannot be read, or names what is no host, or a host of the public service.
    """
    try:
        text = seam.read_file(path).decode()
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8") from None
    words = [line.partition("#")[0].strip().lower() for line in text.splitlines()]
    hosts = [word.rstrip(".") for word in words if word]
    if len(hosts) > HOSTS_MAX:
        raise ConfigError(str(path), f"names more than {HOSTS_MAX} hosts")
    for host in hosts:
        parse_target(f"wss://[{host}]/" if ":" in host else f"wss://{host}/")
        if is_public(host):
            raise ConfigError(str(path), f"{host} is a host of the public service: it cannot be allowed")
    return frozenset(hosts)


def check_size(plan: Plan) -> int:
    """How many clients a plan has.

    Raises:
        ConfigError: they are more than its own limit, or it lasts too long.
    """
    limit = min(plan.limits.clients_max, CLIENTS_MAX)
    if not 0 < plan.duration_s <= DURATION_MAX_S:
        raise ConfigError("run.duration", f"must be above 0 and at most {DURATION_MAX_S / 3600:g} h")
    count = sum(1 for _ in islice(arrivals(plan), limit + 1))
    if count > limit:
        raise ConfigError("limits.clients_max", f"the plan has more than {limit} clients")
    return count
