"""Events known by the shape of their name: answers ``success…``/``fail…`` to a request, and whole families ``x/…``."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from potrio.errors import LocalProtocolError
from potrio.protocol.json_guard import check_depth
from potrio.protocol.messages.base import Json, Message, shown_text
from potrio.protocol.messages.wire import shown, to_json

__all__ = [
    "ANSWERED",
    "Accepted",
    "Drawing",
    "Refused",
    "Social",
    "decode_client_family",
    "decode_server_family",
    "encode_family",
]

ANSWERED: Final = frozenset(
    {
        *("cancelOrder", "copyOrder", "copySignalOrder"),
        *("deals/double-up", "deals/rollover", "deals/ai", "openExpress", "openFreeTrade"),
        *("indicator/create", "indicator/update", "indicator/delete", "indicator/deleteAll"),
        *("indicator/fav", "indicator/unfav", "indicator/setVisible"),
        *("favorite/change", "price-alert/add", "price-alert/remove"),
        *("saveCharts", "deleteChart", "updateDrawingPoints", "lockDrawings", "order-chart/load"),
        *("ai-strategy-multi/start", "ai-strategy-multi/stop", "ai-strategy-multi/get-state"),
        *("user/change-platform", "td/refill"),
    }
)
"""Requests answered by the convention "``x`` gives ``successx`` or ``failx``", in a shape nobody has captured."""

REFUSED_ONLY: Final = frozenset(
    {
        *("indicator/load", "favorite/load", "price-alert/load", "signals/stats", "closeOrder"),
        *("updateBalance", "updatePending", "updateOpenedExpresses", "updateClosedExpresses"),
    }
)
"""Requests whose success has a type of its own; a failure of them is a `Refused`."""


class Accepted(Message, frozen=True):
    """Server: ``success`` + the name of a request (`ANSWERED`)."""

    request: str
    payload: Json = None


class Refused(Message, frozen=True):
    """Server: ``fail`` + the name of a request."""

    request: str
    payload: Json = None

    @property
    def error(self) -> str | None:
        """The venue's word for what is wrong, at the top or under ``data``; None where there is none."""
        layer = self.payload
        for _ in range(3):
            if not isinstance(layer, dict):
                return None
            if isinstance(layer.get("error"), str):
                return str(layer["error"])
            layer = layer.get("data")
        return None


class Drawing(Message, frozen=True):
    """Either way: ``drawing/`` + an action: what the user draws on a chart."""

    action: str
    payload: Json = None


class Social(Message, frozen=True):
    """Either way: ``social/`` + an action: followers, leaders, copied trades."""

    action: str
    payload: Json = None


FAMILIES: Final[dict[str, type[Drawing] | type[Social]]] = {"drawing": Drawing, "social": Social}


# --- wire ------------------------------------------------------------------------------------------------------------

_ANY: Final = msgspec.json.Decoder().decode


def decode_server_family(name: str, payload: bytes) -> Message | None:
    """Decode an event that a client received, or give None where its name has no known shape.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LimitExceeded: the payload is not good JSON.
    """
    if name.startswith("success") and _is_answered(name[7:]):
        return Accepted(name[7:], _json(payload))
    if name.startswith("fail") and (_is_answered(name[4:]) or name[4:] in REFUSED_ONLY):
        return Refused(name[4:], _json(payload))
    return decode_client_family(name, payload)


def decode_client_family(name: str, payload: bytes) -> Message | None:
    """Decode an event that a venue received, or give None; errors as in `decode_server_family`."""
    family, slash, action = name.partition("/")
    message = FAMILIES.get(family)
    if message is None or not slash:
        return None
    return message(shown_text(action), _json(payload))


def encode_family(message: Message) -> tuple[str, bytes | None] | None:
    """Write a message of a family; None where it is of none.

    Raises:
        LocalProtocolError: an answer to a request that has no such answer.
    """
    match message:
        case Accepted(request=request, payload=payload):
            known, name = _is_answered(request), f"success{request}"
        case Refused(request=request, payload=payload):
            known, name = _is_answered(request) or request in REFUSED_ONLY, f"fail{request}"
        case Drawing(action=action, payload=payload):
            known, name = True, f"drawing/{action}"
        case Social(action=action, payload=payload):
            known, name = True, f"social/{action}"
        case _:
            return None
    if not known:
        raise LocalProtocolError(f"{name} is not an answer in this form")
    return name, None if payload is None else to_json(payload)


def _is_answered(request: str) -> bool:
    return request in ANSWERED or request.partition("/")[0] in FAMILIES


def _json(payload: bytes) -> Any:
    check_depth(payload)
    return shown(_ANY(payload or b"null"), payload)
