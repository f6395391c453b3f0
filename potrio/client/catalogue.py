"""The venue's assets: payouts, what can be traded now and for how long, and a stream of what changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from operator import attrgetter
from types import MappingProxyType
from typing import Any, overload

from potrio.actors.asset_changes import AssetChange
from potrio.actors.stream import Gap, Policy, Stream
from potrio.client.core import ClientCore
from potrio.errors import ConfigError
from potrio.limits import STREAM_CAPACITY
from potrio.protocol.messages.market import Asset

__all__ = ["CatalogueCalls"]


class CatalogueCalls(ClientCore):
    """What a client knows of the assets; a part of `Client`."""

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The venue's assets by symbol: payout, tradable now, durations. Read-only."""
        return self._shared.account.assets

    @property
    def assets_age_s(self) -> float | None:
        """Seconds since the venue sent the table; None before it has. ``stale`` says whether the link is down since."""
        at = self._shared.account.assets_at
        return None if at is None else max(0.0, self._config.seam.now() - at)

    def active_assets(self) -> Mapping[str, Asset]:
        """The assets that can be traded now, as far as the venue has said, by symbol. Read-only."""
        return self._view(
            "active", lambda assets: {name: asset for name, asset in assets.items() if asset.is_active}
        )

    @overload
    def payout(self, asset: str) -> int: ...
    @overload
    def payout(self, asset: list[str] | tuple[str, ...] | None = None) -> Mapping[str, int]: ...
    def payout(self, asset: str | list[str] | tuple[str, ...] | None = None) -> int | Mapping[str, int]:
        """The payout in percent of one asset; of several, or of all (None), by symbol.

        Raises:
            ConfigError: an asset that the venue does not have.
        """
        if isinstance(asset, str):
            self._check_asset(asset)
            return self.assets[asset].payout
        if asset is None:
            return self._view("payout", lambda assets: {name: row.payout for name, row in assets.items()})
        for name in asset:
            self._check_asset(name)
        return {name: self.assets[name].payout for name in asset}

    def durations(self, asset: str) -> tuple[int, ...]:
        """The durations in seconds that the venue lists for trades of this asset.

        Raises:
            ConfigError: an asset that the venue does not have.
        """
        self._check_asset(asset)
        return self.assets[asset].durations_s

    @asynccontextmanager
    async def asset_changes(
        self, *assets: str, policy: Policy = "ring", capacity: int = STREAM_CAPACITY
    ) -> AsyncGenerator[Stream[AssetChange | Gap], None]:
        """Read what changes in the asset table: ``async with client.asset_changes() as stream: ...``.

        Changes are those between two tables the venue sent, also where the link was down between them: what was
        opened and closed again meanwhile is not told. ``policy="latest"`` keeps the newest change of each asset.
        Entering and leaving never wait.

        Args:
            assets: only these; by default all.

        Raises:
            ConfigError: an asset that the venue does not have.
        """
        self._check_open()
        for asset in assets:
            self._check_asset(asset)
        wanted = frozenset(assets)
        readers = self._shared.account.asset_readers
        stream: Stream[AssetChange | Gap] = Stream(
            capacity=capacity, policy=policy, gap=overflow_gap, key=attrgetter("asset")
        )
        readers.add(stream, (lambda change: change.asset in wanted) if wanted else None)
        try:
            yield stream
        finally:
            readers.discard(stream)
            stream.close()

    def _view(self, name: str, make: Callable[[Mapping[str, Asset]], dict[str, Any]]) -> Mapping[str, Any]:
        """An extract of the table, made once for each table."""
        views, now = self._shared.account.views, self._config.seam.now()
        found = views.get(name, now)
        if found is None:
            found = MappingProxyType(make(self.assets))
            views.put(name, found, now)
        return found

    def _check_asset(self, asset: str) -> None:
        if asset not in self.assets:
            raise ConfigError("asset", f"{asset!r} is not among the venue's {len(self.assets)} assets")


def overflow_gap(dropped: int) -> AssetChange | Gap:
    """What a reader that was too slow finds in place of the changes it lost."""
    return Gap("overflow", dropped=dropped)
