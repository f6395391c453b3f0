"""Whom a client of the swarm logs in as: a demo account of its own, the same in every run of the same seed."""

from __future__ import annotations

import json

from loadsim.plan.chance import Chance
from potrio.protocol.ssid import Ssid, parse_ssid

__all__ = ["CLIENTS_MAX", "ssid_of", "uid_of"]

CLIENTS_MAX = 1_000_000
"""Accounts of one seed; those of two seeds are a multiple of this apart."""

SEEDS = 1000
SESSION_CHARS = 26
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def uid_of(seed: int, index: int) -> int:
    """The user of client number ``index``: no two clients of a run share one."""
    assert 0 <= index < CLIENTS_MAX, "loads are bounded"
    return (1 + Chance(seed, "account").below(SEEDS)) * CLIENTS_MAX + index


def ssid_of(seed: int, index: int) -> Ssid:
    """Its SSID, for a simulated venue: the session is drawn by lot and opens nothing anywhere else."""
    chance = Chance(seed, "session", index)
    session = "".join(chance.choice(LETTERS) for _ in range(SESSION_CHARS))
    auth = {"session": session, "isDemo": 1, "uid": uid_of(seed, index), "platform": 1}
    return parse_ssid("42" + json.dumps(["auth", auth], separators=(",", ":")))
