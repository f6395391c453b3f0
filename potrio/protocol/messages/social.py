"""The rest of the web client's requests: express and free trades, strategies, the user's settings."""

from __future__ import annotations

from typing import Final

from potrio.protocol.messages.base import Integer, Json, Message, Text
from potrio.protocol.messages.wire import bare, opaque, single, structured

__all__ = [
    "CLIENT_EVENTS",
    "SERVER_EVENTS",
    "AIDeal",
    "ChangePlatform",
    "ClosedExpresses",
    "GetAIStrategyState",
    "OpenExpress",
    "OpenFreeTrade",
    "OpenedExpresses",
    "RequestClosedExpresses",
    "StartAIStrategy",
    "Sto",
    "StopAIStrategy",
    "Sts",
    "Usto",
]

# --- trades of other kinds: their shapes have not been captured ------------------------------------------------------


class AIDeal(Message, frozen=True):
    """Client: ``deals/ai``."""

    argument: Json = None


class OpenExpress(Message, frozen=True):
    """Client: ``openExpress``: one trade on several assets."""

    argument: Json = None


class OpenFreeTrade(Message, frozen=True):
    """Client: ``openFreeTrade``: a trade with the venue's money."""

    argument: Json = None


class RequestClosedExpresses(Message, frozen=True):
    """Client: ``updateClosedExpresses``; answered by `ClosedExpresses`."""


class OpenedExpresses(Message, frozen=True):
    """Server: ``successupdateOpenedExpresses``, after login."""

    expresses: list[Json]


class ClosedExpresses(Message, frozen=True):
    """Server: ``successupdateClosedExpresses``."""

    expresses: list[Json]


class StartAIStrategy(Message, frozen=True):
    """Client: ``ai-strategy-multi/start``."""

    argument: Json = None


class StopAIStrategy(Message, frozen=True):
    """Client: ``ai-strategy-multi/stop``."""

    argument: Json = None


class GetAIStrategyState(Message, frozen=True):
    """Client: ``ai-strategy-multi/get-state``."""

    argument: Json = None


# --- the user; events of the family `social/` are `families.Social` --------------------------------------------------


class ChangePlatform(Message, frozen=True):
    """Client: ``user/change-platform``: 1 is the web, 2 and 3 are phones."""

    platform: Integer | Text


class Sto(Message, frozen=True):
    """Client: ``sto``; its meaning is not known."""

    argument: Json = None


class Sts(Message, frozen=True):
    """Client: ``sts``; its meaning is not known."""

    argument: Json = None


class Usto(Message, frozen=True):
    """Client: ``usto``; its meaning is not known."""

    argument: Json = None


# --- wire ------------------------------------------------------------------------------------------------------------

CLIENT_EVENTS: Final = (
    opaque(AIDeal, "deals/ai"),
    opaque(OpenExpress, "openExpress"),
    opaque(OpenFreeTrade, "openFreeTrade"),
    bare(RequestClosedExpresses, "updateClosedExpresses"),
    opaque(StartAIStrategy, "ai-strategy-multi/start"),
    opaque(StopAIStrategy, "ai-strategy-multi/stop"),
    opaque(GetAIStrategyState, "ai-strategy-multi/get-state"),
    structured(ChangePlatform, "user/change-platform"),
    opaque(Sto, "sto"),
    opaque(Sts, "sts"),
    opaque(Usto, "usto"),
)

SERVER_EVENTS: Final = (
    single(OpenedExpresses, list[Json], "successupdateOpenedExpresses"),
    single(ClosedExpresses, list[Json], "successupdateClosedExpresses"),
)
