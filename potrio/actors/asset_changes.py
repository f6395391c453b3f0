"""What has changed between two asset tables of the venue (pure)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from potrio.protocol.messages.market import Asset

__all__ = [
    "AssetAdded",
    "AssetChange",
    "AssetClosed",
    "AssetOpened",
    "AssetRemoved",
    "DurationsChanged",
    "PayoutChanged",
    "asset_changes",
]


class AssetAdded(msgspec.Struct, frozen=True):
    """The table has an asset that it did not have before: ``now``."""

    asset: str
    now: Asset


class AssetRemoved(msgspec.Struct, frozen=True):
    """The table has an asset no more: ``before`` is its last row."""

    asset: str
    before: Asset


class AssetOpened(msgspec.Struct, frozen=True):
    """The asset can be traded from now on."""

    asset: str
    now: Asset


class AssetClosed(msgspec.Struct, frozen=True):
    """The asset cannot be traded any more, until it is opened again."""

    asset: str
    now: Asset


class PayoutChanged(msgspec.Struct, frozen=True):
    """Another payout, in percent."""

    asset: str
    before: int
    after: int


class DurationsChanged(msgspec.Struct, frozen=True):
    """Other durations are allowed, in seconds."""

    asset: str
    before: tuple[int, ...]
    after: tuple[int, ...]


AssetChange = AssetAdded | AssetRemoved | AssetOpened | AssetClosed | PayoutChanged | DurationsChanged


def asset_changes(before: Mapping[str, Asset], after: Mapping[str, Asset]) -> list[AssetChange]:
    """List the changes in the order of the new table, what was removed last; nothing for equal tables."""
    found: list[AssetChange] = []
    for symbol, now in after.items():
        was = before.get(symbol)
        if was is None:
            found.append(AssetAdded(symbol, now))
        elif was != now:
            if was.is_active != now.is_active:
                found.append(AssetOpened(symbol, now) if now.is_active else AssetClosed(symbol, now))
            if was.payout != now.payout:
                found.append(PayoutChanged(symbol, was.payout, now.payout))
            if was.durations_s != now.durations_s:
                found.append(DurationsChanged(symbol, was.durations_s, now.durations_s))
    found.extend(AssetRemoved(symbol, was) for symbol, was in before.items() if symbol not in after)
    return found
