"""The tick as the raw libraries' contenders decode it: with msgspec into a struct, the best their users can do."""

from __future__ import annotations

import msgspec


class Tick(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One price."""

    asset: str
    timestamp: float
    price: float


decode = msgspec.json.Decoder(list[Tick]).decode
