"""Before a run: descriptors and ports for it, acts that its lanes know, a target that lets one in."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

import trio

from loadsim.plan.model import Plan
from loadsim.plan.schedule import arrivals
from loadsim.swarm.account import CLIENTS_MAX, ssid_of
from potrio.errors import ConfigError, ConnectTimeout, PotrioError
from potrio.protocol.client_session import ClientSession
from potrio.protocol.events import Authenticated, Closed, Connected
from potrio.seam import REAL, Seam
from potrio.transport.dial import default_ssl_context, dial

__all__ = ["TargetUnusable", "check_acts", "check_descriptors", "check_login", "raise_nofile"]

SPARE: Final = 200
"""Descriptors of a process that are none of its clients'."""

PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
SOURCES: Final = 8
LOGIN_TIMEOUT_S: Final = 10.0


class TargetUnusable(PotrioError):
    """The target cannot be put under load: it does not answer, or lets nobody in."""


def raise_nofile() -> int:
    """Raise the limit of descriptors as far as it goes; returns it. Children get it, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def check_descriptors(clients: int, shards: int, nofile: int, seam: Seam = REAL) -> int:
    """Is there a descriptor for each client in its shard, and for all of them at a venue of this machine; and a port?

    Returns:
        how many descriptors a shard needs.

    Raises:
        ConfigError: there is not.
    """
    each = -(-clients // shards)
    needed = each + SPARE
    if needed > nofile:
        raise ConfigError(
            "limits", f"{each} clients in a process need {needed} descriptors, and there are {nofile}"
        )
    if clients + SPARE > nofile:
        raise ConfigError(
            "limits",
            f"the venue needs {clients + SPARE} descriptors for {clients} clients, there are {nofile}",
        )
    try:
        low, high = (int(word) for word in seam.read_file(PORTS).split())
    except (OSError, ValueError):
        return needed  # another system: it will say so itself
    if clients > (high - low) * SOURCES:
        raise ConfigError("limits", f"{clients} clients need more than the {high - low} ports of an address")
    return needed


def check_acts(plan: Plan) -> None:
    """Refuse what a lane cannot do.

    Raises:
        ConfigError: with the place in the plan.
    """
    full = {arrival.client for arrival in arrivals(plan) if arrival.lane == "full"}
    for number, act in enumerate(plan.acts):
        if act.do == "ping" and act.client in full:
            raise ConfigError(f"act[{number}].do", "a client of the full lane pings by itself")


async def check_login(url: str, seed: int, ca_file: str | None = None, seam: Seam = REAL) -> None:
    """Log in once, with an account that no client of the run has. Cancelling closes the connection.

    Raises:
        TargetUnusable: it does not work, and why.
    """
    ssid = ssid_of(seed, CLIENTS_MAX - 1)
    try:
        context = None
        if ca_file is not None:
            context = default_ssl_context(seam.read_file(Path(ca_file)).decode())
        with trio.move_on_after(LOGIN_TIMEOUT_S) as scope:
            async with dial(url, seam=seam, ssl_context=context) as transport:
                session = ClientSession(now=seam.now())
                while True:
                    for event in session.receive_messages(await transport.receive(), seam.now()):
                        match event:
                            case Connected():
                                session.authenticate(ssid.auth_payload().reveal())
                            case Authenticated():
                                return
                            case Closed(error=error) if error is not None:
                                raise error
                            case _:
                                pass
                    if session.has_output:
                        await transport.send(session.messages_to_send())
        if scope.cancelled_caught:
            raise ConnectTimeout(url.partition("?")[0], "login", LOGIN_TIMEOUT_S)
    except (PotrioError, OSError, ValueError) as error:
        raise TargetUnusable(f"the target is not usable: {error}") from error
