"""The router's guard: looks for streams that have gone silent, and tells when an outage is really over.

It decides nothing by itself: `StaleWatch` says what is silent, `Outages` what is to be told. Here is what both need of
the router's world: the feeds, the asset table, a timer, and the connection to tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio

from potrio.actors.account import AccountState
from potrio.actors.feeds import Feeds
from potrio.actors.keys import CONNECTION
from potrio.actors.link import LinkLost, LinkState, LinkUp, Resync, StreamsStale
from potrio.actors.outages import Outages
from potrio.actors.phases import LinkPhase
from potrio.actors.staleness import StaleWatch, StreamSample
from potrio.supervision.child_spec import Key
from potrio.supervision.context import Context

__all__ = ["LookAtStreams", "StreamGuard"]


class LookAtStreams(msgspec.Struct, frozen=True, gc=False):
    """It is time to look whether all subscribed streams are alive."""


class StreamGuard:
    """One incarnation's guard; what it knows is in the state objects it is given.

    Args:
        ask_for: asks the venue for an asset's stream; live ticks are held back where the feed is being bridged.
        tell: tells a neighbour.
    """

    def __init__(
        self,
        ctx: Context[Any],
        feeds: Feeds,
        watch: StaleWatch,
        outages: Outages,
        account: AccountState,
        link: LinkState,
        *,
        ask_for: Callable[[str], None],
        tell: Callable[[Key[Any], object], None],
    ) -> None:
        self.ctx = ctx
        self.feeds = feeds
        self.watch = watch
        self.outages = outages
        self.account = account
        self.link = link
        self.ask_for = ask_for
        self.tell = tell
        self.scheduled = False

    def link_up(self, message: LinkUp) -> None:
        """A link is up, and its subscriptions have been asked for."""
        self.watch.link_up(message.at)
        self.outages.link_up()
        self.schedule()
        self.settle()

    def link_lost(self, message: LinkLost) -> None:
        """A link is gone."""
        self.outages.link_lost(message.reason, message.at)

    def settle(self) -> None:
        """Tell that the outage is over, once nothing is being back-filled any more."""
        if self.outages.restoring and not any(map(self.feeds.bridging, self.feeds.assets)):
            self.outages.resumed(self.feeds.take_gaps(), trio.current_time())

    def schedule(self) -> None:
        """Look again after a while, if there is anything to look at."""
        if not self.scheduled and self.watch.watches and self.feeds.assets and self.link.ready:
            self.scheduled = True
            self.ctx.after(self.watch.look_every, LookAtStreams())

    def look(self) -> None:
        """Look at all streams, and do what has to be done about those that are silent."""
        self.scheduled = False
        if not self.link.ready:
            return
        feeds, epoch = self.feeds, self.link.epoch
        samples = [
            StreamSample(asset, feeds.last(asset), feeds.bridging(asset), feeds.held(asset))
            for asset in feeds.assets
        ]
        verdict = self.watch.look(trio.current_time(), samples, self.tradable)
        if bool(verdict.stale) != (self.link.phase is LinkPhase.DEGRADED):
            self.tell(CONNECTION, StreamsStale(verdict.stale, epoch))
        for asset in verdict.resubscribe:
            feeds.restart(asset)
            self.ask_for(asset)
        if verdict.drop is not None:
            self.tell(CONNECTION, Resync(verdict.drop, epoch))
        self.schedule()

    def tradable(self, symbol: str) -> bool:
        """May the asset be traded now, as far as the venue said?"""
        asset = self.account.assets.get(symbol)
        return asset is not None and asset.is_active
