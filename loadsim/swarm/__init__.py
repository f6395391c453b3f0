"""Swarms: thousands of simulated clients in one task."""

from loadsim.swarm.lean import LeanSession
from loadsim.swarm.mux import MuxClient, MuxClients, MuxOwner, MuxPhase, MuxStatistics, spread_sources

__all__ = [
    "LeanSession",
    "MuxClient",
    "MuxClients",
    "MuxOwner",
    "MuxPhase",
    "MuxStatistics",
    "spread_sources",
]
