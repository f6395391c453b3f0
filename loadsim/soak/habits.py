"""What a user of the soak does, and how often; who it is; when one of its orders has ended."""

from __future__ import annotations

from typing import Any

import msgspec

from potrio.actors.order_handle import OrderHandle
from potrio.actors.pending_handle import PendingHandle

__all__ = ["Habits", "faster", "has_ended", "ssid_of"]


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """What a user does.

    Attributes:
        assets: that it reads and trades.
        orders_per_hour, pending_per_hour, questions_per_hour, pauses_per_hour: on average.
        journal: whether it keeps one.
        transport: the client's.
        slow_s: its slow reader sleeps so long between two looks.
    """

    assets: tuple[str, ...] = ("EURUSD_otc", "GBPUSD_otc")
    orders_per_hour: float = 60.0
    pending_per_hour: float = 12.0
    questions_per_hour: float = 30.0
    pauses_per_hour: float = 4.0
    journal: bool = False
    transport: Any = "framed"
    slow_s: float = 45.0


def has_ended(handle: OrderHandle | PendingHandle | None) -> bool:
    """Is nothing more to be expected of it, nor of the order that it has become?"""
    if isinstance(handle, PendingHandle) and handle.order is not None and not handle.order.state.ended:
        return False
    return handle is None or handle.state.ended


def ssid_of(uid: int, number: int = 0) -> str:
    """The auth frame of an account; each number is another session of it."""
    return (
        f'42["auth",{{"session":"a0soak{number:06d}x{uid:08d}xpotrio","isDemo":1,"uid":{uid},"platform":2}}]'
    )


def faster(habits: Habits, hurry: float) -> Habits:
    """The same habits, in a hurry."""
    names = ("orders_per_hour", "pending_per_hour", "questions_per_hour", "pauses_per_hour")
    return msgspec.structs.replace(habits, **{name: hurry * getattr(habits, name) for name in names})
