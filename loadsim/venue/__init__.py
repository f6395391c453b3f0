"""The simulated venue: speaks the real wire protocol, on a market made from a seed."""

from loadsim.venue.config import AccessConfig, MarketConfig, TradingConfig, VenueConfig, read_config
from loadsim.venue.faults import Fault, FaultKind
from loadsim.venue.server import Venue, open_venue

__all__ = [
    "AccessConfig",
    "Fault",
    "FaultKind",
    "MarketConfig",
    "TradingConfig",
    "Venue",
    "VenueConfig",
    "open_venue",
    "read_config",
]
