"""Feeds: for each asset, who reads its ticks, what was delivered last, and how a reconnect is bridged.

A feed that lost its connection is *bridging*: the asset is asked for again, live ticks are held back, and when the
venue's answer with recent ticks has come the missing ones are delivered first, in order and once. Where that answer
does not reach back far enough, or does not come, a `Gap` says from when to when (P4).

Owned by the router; it outlives the router's incarnations, so that a crash loses no subscription.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

from potrio.actors.stream import Gap, Stream
from potrio.limits import STREAM_CAPACITY, STREAMS_PER_CONNECTION_MAX
from potrio.protocol.messages.market import Tick

__all__ = ["PERIOD_S", "Feeds", "TickStream"]

PERIOD_S: Final = 60
"""The chart period named when an asset's stream is asked for; the recent ticks in the answer are what we are after."""

TickStream = Stream[Tick | Gap]

ASSET: Final = attrgetter("asset")
STAMP: Final = attrgetter("timestamp")

GAPS_MAX: Final = 64
"""Gaps kept for the event that tells the end of an outage: one for each asset, and there are few."""


class Feed:
    """One asset's ticks."""

    __slots__ = ("asset", "bridges", "bridging", "last", "left_out", "lost", "recalled", "streams")

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.streams: list[TickStream] = []
        self.last: float | None = None  # UTC seconds of the last tick delivered
        self.lost = False  # the connection has gone since
        self.left_out = False  # a tick since the last one was not to be believed
        self.recalled: float | None = None  # the newest tick of a bridge: the stream may bring it once more
        self.bridging: list[Tick] | None = None  # live ticks held back until the missing ones are known
        self.bridges = 0  # how often it has been bridged, the present time included

    def bridge(self) -> None:
        """Hold live ticks back from here on."""
        self.bridging = []
        self.bridges += 1

    def tell_left_out(self, tick: Tick) -> None:
        """Before this tick something is missing: it may have been true, and our clock wrong (P4)."""
        self.left_out = False
        if self.last is not None:
            self.deliver([Gap("stamp", self.asset, since=self.last, until=tick.timestamp)])

    def deliver(self, items: Iterable[Tick | Gap]) -> None:
        for item in items:
            if type(item) is Tick:
                self.last = item.timestamp
            for stream in self.streams:
                stream.push(item)


class Feeds:
    """All feeds of one connection. Nothing here waits."""

    def __init__(self, limit: int = STREAMS_PER_CONNECTION_MAX) -> None:
        self._feeds: dict[str, Feed] = {}
        self.limit = limit
        self.delivered = 0
        self.unwanted = 0
        self.out_of_order = 0
        self.unbelievable = 0
        self.heard_wall = -math.inf
        """Everything that had been read by this moment (of the wall clock) has been handed out."""
        self.gaps: list[Gap] = []  # told since the link is back, for whoever tells of the outage

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets with at least one reader, in the order in which they were first asked for."""
        return tuple(self._feeds)

    @property
    def read(self) -> tuple[str, ...]:
        """The same without those whose readers have all gone, though it has not been told yet."""
        return tuple(asset for asset, feed in self._feeds.items() if not all(s.closed for s in feed.streams))

    # --- who reads ---------------------------------------------------------------------------------------------------

    def room_for(self, assets: Sequence[str]) -> bool:
        """Would these fit? The venue silently ends the oldest stream when one too many is asked for."""
        return len(self._feeds.keys() | set(assets)) <= self.limit

    def add(self, stream: TickStream, assets: Sequence[str]) -> list[str]:
        """Let ``stream`` read these assets; returns those that nobody read before, to be asked for on the wire."""
        assert self.room_for(assets)
        fresh = [asset for asset in dict.fromkeys(assets) if asset not in self._feeds]
        for asset in dict.fromkeys(assets):
            feed = self._feeds.setdefault(asset, Feed(asset))
            if stream not in feed.streams:
                feed.streams.append(stream)
        return fresh

    def abandoned(self) -> list[TickStream]:
        """Streams whose reader has gone, but whose end was not told because there was too much to do."""
        streams = (stream for feed in self._feeds.values() for stream in feed.streams if stream.closed)
        return list(dict.fromkeys(streams))

    def remove(self, stream: TickStream) -> list[str]:
        """Forget a reader; returns the assets that nobody reads any more, to be ended on the wire."""
        orphans = []
        for feed in list(self._feeds.values()):
            if stream in feed.streams:
                feed.streams.remove(stream)
                if not feed.streams:
                    del self._feeds[feed.asset]
                    orphans.append(feed.asset)
        return orphans

    def end(self, reason: Exception | None) -> None:
        """End every stream: the client closes, or died of ``reason``."""
        for feed in self._feeds.values():
            for stream in feed.streams:
                stream.end(reason)
        self._feeds.clear()

    # --- ticks (UTC seconds) -----------------------------------------------------------------------------------------

    def publish(self, ticks: Sequence[Tick], latest: float = math.inf) -> None:
        """Hand live ticks to their readers.

        Not delivered are ticks older than the last delivered one of their asset, but to those who take them, and ticks
        later than ``latest``: a stamp from the far future would make all that follow look old.
        """
        for tick in ticks:
            feed = self._feeds.get(tick.asset)
            if feed is None:
                self.unwanted += 1
            elif tick.timestamp > latest:
                self.unbelievable += 1
                feed.left_out = True
            elif feed.bridging is not None:
                if len(feed.bridging) < STREAM_CAPACITY:
                    feed.bridging.append(tick)
                else:
                    self.bridge(tick.asset, ())
                    feed.deliver((tick,))
            elif tick.timestamp == feed.recalled:
                self.out_of_order += 1
            elif feed.last is not None and tick.timestamp < feed.last:
                self.out_of_order += 1
                for stream in feed.streams:
                    if stream.takes_late:
                        stream.push(tick)
            else:
                if feed.left_out:
                    feed.tell_left_out(tick)
                feed.last = tick.timestamp
                self.delivered += 1
                for stream in feed.streams:
                    stream.push(tick)

    def publish_run(self, ticks: Sequence[Tick], latest: float = math.inf) -> bool:
        """Do what `publish` does, for many live ticks at once; False, and nothing is done, where that cannot be.

        It can be where all ticks are of assets that are read and not being bridged, and in the order of their time,
        none later than ``latest``, none older than the last delivered one of any of these assets: then all are
        delivered, and no look at each is needed. The newest of each asset is found by building a dict, which keeps the
        last of equal keys.
        """
        assets, stamps = list(map(ASSET, ticks)), list(map(STAMP, ticks))
        newest = dict(zip(assets, stamps, strict=True))
        streams: dict[TickStream, list[Feed]] = {}
        floor = stamps[0]
        for asset in newest:
            feed = self._feeds.get(asset)
            if feed is None or feed.bridging is not None or (feed.last is not None and feed.last > floor):
                return False
            if feed.left_out or (feed.recalled is not None and feed.recalled >= floor):
                return False
            for stream in feed.streams:
                streams.setdefault(stream, []).append(feed)
        if stamps != sorted(stamps) or stamps[-1] > latest:
            return False
        for stream, feeds in streams.items():
            if len(feeds) == len(newest):
                stream.extend(ticks)
            else:
                read = {feed.asset for feed in feeds}
                stream.extend([tick for tick, asset in zip(ticks, assets, strict=True) if asset in read])
        for asset, stamp in newest.items():
            self._feeds[asset].last = stamp
        self.delivered += len(ticks)
        return True

    # --- reconnects --------------------------------------------------------------------------------------------------

    def lost(self) -> None:
        """The connection is gone: from here on ticks are being missed."""
        for feed in self._feeds.values():
            feed.lost = True
            feed.bridging = None

    def start_bridging(self) -> list[str]:
        """The connection is back: returns the assets to ask for again; their ticks are held back until `bridge`."""
        self.gaps.clear()
        for feed in self._feeds.values():
            if feed.lost and feed.last is not None:
                feed.bridge()
            feed.lost = False
        return list(self._feeds)

    def restart(self, asset: str) -> None:
        """The asset is asked for again on the same link: bridge what may have been missed meanwhile."""
        feed = self._feeds.get(asset)
        if feed is not None and feed.last is not None and feed.bridging is None:
            feed.bridge()

    def last(self, asset: str) -> float | None:
        """The stamp of the newest tick delivered (UTC seconds)."""
        feed = self._feeds.get(asset)
        return None if feed is None else feed.last

    def held(self, asset: str) -> int:
        """How many live ticks are held back until the missing ones are known."""
        feed = self._feeds.get(asset)
        return 0 if feed is None or feed.bridging is None else len(feed.bridging)

    def take_gaps(self) -> list[Gap]:
        """The gaps told since the link is back; each is given out once."""
        gaps, self.gaps = self.gaps, []
        return gaps

    def bridge_number(self, asset: str) -> int:
        """Which bridge of this asset it is that is waited for, so that no other is given up in its place."""
        feed = self._feeds.get(asset)
        return 0 if feed is None else feed.bridges

    def bridging(self, asset: str) -> bool:
        """Is this asset waiting for its missing ticks?"""
        feed = self._feeds.get(asset)
        return feed is not None and feed.bridging is not None

    def interrupted(self, asset: str) -> bool:
        """Are ticks of this asset being missed or held back, so that those handed out may not be all there were?"""
        feed = self._feeds.get(asset)
        return feed is None or feed.lost or feed.bridging is not None

    def bridge(self, asset: str, recent: Sequence[Tick]) -> None:
        """Close the gap with the venue's ``recent`` ticks (oldest first), as far as they reach, and go on live."""
        feed = self._feeds.get(asset)
        if feed is None or feed.bridging is None:
            return
        held, feed.bridging = feed.bridging, None
        last = feed.last
        assert last is not None, "a feed that never delivered has nothing to bridge"
        missing = [tick for tick in recent if tick.timestamp > last]
        newest = missing[-1].timestamp if missing else last
        feed.recalled = newest
        items: list[Tick | Gap] = [*missing, *(tick for tick in held if tick.timestamp > newest)]
        reaches_back = bool(recent) and recent[0].timestamp <= last
        if not reaches_back:
            first = items[0] if items else None
            until = first.timestamp if isinstance(first, Tick) else None
            gap = Gap("reconnect", asset, since=last, until=until)
            items.insert(0, gap)
            if len(self.gaps) < GAPS_MAX:
                self.gaps.append(gap)
        self.delivered += sum(type(item) is Tick for item in items)
        feed.deliver(items)
