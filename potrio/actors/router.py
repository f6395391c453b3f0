"""The router: turns session events into typed messages and hands each to whom it concerns, by a dict of types.

One message per read comes in. Ticks go straight into the readers' rings; account and market are folded into the
snapshot that readers see; deals go to the order book and history pages to their askers. A payload that cannot be
decoded is counted and skipped; three within a minute and the connection is made anew.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from itertools import repeat
from operator import attrgetter
from typing import Any, Final

import msgspec

from potrio.actor_errors import ChildNotFound
from potrio.actors.account import AccountState, ignore
from potrio.actors.clock_probe import ClockProbe, LookAtClock
from potrio.actors.feeds import PERIOD_S, Feeds, TickStream
from potrio.actors.keys import CONNECTION, HISTORY, MONITOR, ORDER_BOOK
from potrio.actors.limiter import refused_lane
from potrio.actors.link import Batch, LinkLost, LinkState, LinkUp, Resync, TooMany, Transmit, count
from potrio.actors.outages import Outages
from potrio.actors.raw import RawState
from potrio.actors.staleness import StaleWatch
from potrio.actors.stream_guard import LookAtStreams, StreamGuard
from potrio.errors import LimitExceeded, RemoteProtocolError, RequestError
from potrio.limits import DECODE_ERRORS_MAX, DECODE_ERRORS_WINDOW, REQUEST_TIMEOUT, TICK_AHEAD_MAX
from potrio.protocol.events import EventReceived, EventRun
from potrio.protocol.json_guard import JSON_ERRORS
from potrio.protocol.messages.account import Balance
from potrio.protocol.messages.base import Message, Unknown
from potrio.protocol.messages.codec import decode_server_event
from potrio.protocol.messages.market import (
    ChangeSymbol,
    History,
    HistoryFast,
    HistoryPeriod,
    HistoryPeriodFast,
    Tick,
    UnsubscribeSymbol,
    UpdateAssets,
    UpdateStream,
)
from potrio.protocol.messages.market_wire import decode_tick_run
from potrio.protocol.messages.pending import PENDING_NEWS
from potrio.protocol.messages.trading import ClosedDeals, DealsClosed, OpenedDeals, OrderFailed, OrderOpened
from potrio.supervision.call import Call, Request
from potrio.supervision.child_spec import Key
from potrio.supervision.context import Context

__all__ = ["RouterCounters", "RouterMessage", "RouterState", "Routes", "Subscribe", "Unsubscribe", "router"]

BRIDGE_TIMEOUT = REQUEST_TIMEOUT / 2
"""The answer with the recent ticks of an asset has this long; live ticks are held back meanwhile."""

TICKS_NAME: Final = "updateStream"
STAMP: Final = attrgetter("timestamp")


class Subscribe(Request[None], frozen=True):
    """Let ``stream`` read the ticks of these assets. Fails with RequestError beyond the venue's limit."""

    stream: TickStream
    assets: tuple[str, ...]


class Unsubscribe(msgspec.Struct, frozen=True):
    """This stream is read no more."""

    stream: TickStream


class BridgeOverdue(msgspec.Struct, frozen=True, gc=False):
    """The recent ticks of this asset have not come in time: go on with a gap."""

    asset: str
    epoch: int
    number: int = 0


class RouterCounters(msgspec.Struct):
    """What the router did with what came in."""

    decoded: Counter[str] = msgspec.field(default_factory=Counter)
    unknown: Counter[str] = msgspec.field(default_factory=Counter)
    undecodable: Counter[str] = msgspec.field(default_factory=Counter)


RouterMessage = (
    Batch | LinkUp | LinkLost | Call[None] | Unsubscribe | BridgeOverdue | LookAtStreams | LookAtClock
)


class RouterState:
    """What outlives an incarnation: who reads what, the counters, and what was in hand when it crashed."""

    def __init__(self, stale_after: float | None = None) -> None:
        self.feeds = Feeds()
        self.outages = Outages()
        self.watch = StaleWatch(stale_after)
        self.counters = RouterCounters()
        self.raw = RawState()
        self.probe = ClockProbe()
        self.in_hand: Batch | LinkUp | LinkLost | None = None
        self.run_in_hand: EventRun | None = None


async def router(
    ctx: Context[RouterMessage], state: RouterState, account: AccountState, link: LinkState
) -> None:
    """Route until stopped; never waits but for its inbox. A crash loses at most the event in hand."""
    routes = Routes(ctx, state, account, link)
    routes.resume()
    account.on_doubt = partial(ctx.after, 0.0, LookAtClock(), key=LookAtClock)
    try:
        while not ctx.stopping.is_set():
            for message in await ctx.inbox.burst():
                routes.handle(message)
    finally:
        account.on_doubt = ignore


class Routes:
    """One incarnation's table: message type -> what to do with it."""

    def __init__(
        self, ctx: Context[RouterMessage], state: RouterState, account: AccountState, link: LinkState
    ) -> None:
        self.ctx = ctx
        self.state = state
        self.feeds = state.feeds
        self.counters = state.counters
        self.account = account
        self.link = link
        self.faults: list[float] = []  # the last ones
        self.arrived = self._arrived_wall = 0.0
        self.guard = StreamGuard(
            ctx, self.feeds, state.watch, state.outages, account, link, ask_for=self.ask_for, tell=self.tell
        )
        to_order_book = self.to_order_book
        self.routes: dict[type[Message], Callable[[Any], None]] = {
            UpdateStream: self.ticks,
            Balance: self.balance,
            UpdateAssets: self.assets,
            History: self.recent,
            HistoryFast: self.recent,
            HistoryPeriod: self.page,
            HistoryPeriodFast: self.page,
            OrderOpened: self.opened,
            OrderFailed: to_order_book,
            DealsClosed: to_order_book,
            OpenedDeals: to_order_book,
            ClosedDeals: to_order_book,
            **dict.fromkeys(PENDING_NEWS, to_order_book),
        }

    def resume(self) -> None:
        """A new incarnation: go on with what was in hand, and set the timers that died with the old one."""
        for asset in self.feeds.assets:
            self.limit_bridge(asset)
        in_hand = self.state.in_hand
        if isinstance(in_hand, LinkUp | LinkLost):  # once more, and only once: it may be what we crashed of
            self.state.in_hand = None
            self.link_changed(in_hand)
        elif in_hand is not None:
            self.batch(in_hand)
        self.guard.schedule()

    def handle(self, message: RouterMessage | Any) -> None:
        match message:
            case Batch():
                self.batch(message)
            case LinkUp() | LinkLost():
                self.state.in_hand = message
                self.link_changed(message)
                self.state.in_hand = None
            case Call(msg=Subscribe(stream=stream, assets=assets)) as call:
                self.subscribe(stream, assets, call)
            case Unsubscribe(stream=stream):
                self.unsubscribe(stream)
            case BridgeOverdue(asset=asset, epoch=epoch, number=number):
                if epoch == self.link.epoch and number == self.feeds.bridge_number(asset):
                    self.feeds.bridge(asset, ())
            case LookAtStreams():
                self.guard.look()
            case LookAtClock():
                self.start_probe()
            case _:
                raise AssertionError(f"the router has no use for a {type(message).__name__}")
        if self.state.outages.restoring:
            self.guard.settle()

    def link_changed(self, message: LinkUp | LinkLost) -> None:
        """Everyone who lives by the link is told, in order with the data."""
        self.faults.clear()  # they are forgiven per connection
        self.tell(ORDER_BOOK, message)
        self.tell(MONITOR, message)
        if isinstance(message, LinkUp):
            self.restore()
            for message_kept in self.state.raw.up(message.epoch):
                self.tell(CONNECTION, Transmit(message_kept, message.epoch))
            self.start_probe()
            self.guard.link_up(message)
        else:
            self.state.probe.asset = None
            self.state.raw.lost(message.reason)
            self.feeds.lost()
            self.guard.link_lost(message)
            self.account.lost()
            self.tell(HISTORY, message)

    def tell(self, key: Key[Any], message: object) -> None:
        """Tell a neighbour; one whose supervisor is just being started anew looks for itself when it is back."""
        try:
            self.ctx.lookup(key).tell(message)
        except ChildNotFound:
            pass

    # --- events ------------------------------------------------------------------------------------------------------

    def batch(self, batch: Batch) -> None:
        """Route the events of one read, from where a former incarnation left off."""
        self.state.in_hand = batch
        self.arrived, self._arrived_wall = batch.at, batch.wall
        if self.account.clock.is_doubted:
            self.start_probe()
        routes, events = self.routes, batch.events
        if self.state.raw.taps and not batch.tapped:
            batch.tapped = True
            self.state.raw.offer(events, batch.at)
        while batch.position < len(events):
            event = events[batch.position]
            batch.position += 1
            if type(event) is EventRun:
                batch.position -= 1  # not done before all of it is
                self.run(event, batch)
                continue
            if type(event) is not EventReceived:
                continue
            if event.name[:4] == "fail" and (lane := refused_lane(event.name, event.payload)) is not None:
                self.tell(CONNECTION, TooMany(lane))
            try:
                message = decode_server_event(event.name, event.payload)
            except RemoteProtocolError as error:
                self.undecodable(event.name, error, batch.epoch)
                continue
            route = routes.get(type(message))
            if route is not None:
                route(message)
            elif type(message) is Unknown:
                count(self.counters.unknown, event.name)
        self.state.in_hand = None
        self.feeds.heard_wall = self.arrived_wall()

    def run(self, run: EventRun, batch: Batch) -> None:
        """Route a run as one, where it is ticks that need no look at each; else let its events follow one by one.

        Nothing is handed out before all that could fail is done. If it does fail, the next incarnation finds the run
        still in hand and takes it apart, so that a crash loses one event and not the run.
        """
        again = self.state.run_in_hand is run
        self.state.run_in_hand = run
        if again or run.name != TICKS_NAME or not self.tick_run(run):
            batch.events[batch.position : batch.position + 1] = run.events()
        else:
            batch.position += 1
        self.state.run_in_hand = None

    def tick_run(self, run: EventRun) -> bool:
        """Hand out a run of ticks; False, and nothing was handed out, where one of them must be looked at."""
        try:
            ticks = decode_tick_run(run.payloads, run.joined)
        except (*JSON_ERRORS, LimitExceeded):
            return False
        if not ticks:
            return False
        # One sample for one read: the newest stamp is the one that was on its way for the shortest time.
        self.observe(ticks[-1].timestamp)
        return self.feeds.publish_run(self.in_utc(ticks), self.latest())

    def start_probe(self) -> None:
        """Have the venue's clock measured, where nobody reads a stream that shows it."""
        if self.link.ready:
            self.state.probe.begin(self.account, self.feeds, self.transmit)

    def undecodable(self, name: str, error: RemoteProtocolError, epoch: int) -> None:
        count(self.counters.undecodable, name)
        full = len(self.faults) == DECODE_ERRORS_MAX
        if full and self.arrived - self.faults[0] <= DECODE_ERRORS_WINDOW:
            self.faults.clear()
            reason = f"too many payloads that cannot be decoded; the last: {error}"
            self.tell(CONNECTION, Resync(reason, epoch))
        self.faults = [*self.faults[1 - DECODE_ERRORS_MAX :], self.arrived]

    def ticks(self, message: UpdateStream) -> None:
        ticks = message.ticks
        if ticks:
            self.observe(ticks[-1].timestamp)
            self.feeds.publish(self.in_utc(ticks), self.latest())

    def observe(self, stamp: float) -> None:
        """The venue stamped something so that arrived just now."""
        self.account.observe(stamp, self.arrived_wall())
        self.state.probe.settle(self.account, self.feeds, self.transmit)

    def latest(self) -> float:
        """The latest stamp (UTC) to be believed of what arrived just now."""
        clock = self.account.clock
        return clock.to_utc(clock.latest_stamp(self.arrived_wall())) + TICK_AHEAD_MAX

    def arrived_wall(self) -> float:
        """When it arrived, by our wall clock as it goes now: the very read may show that the machine has slept."""
        return self.account.wall_at(self.arrived, self._arrived_wall)

    def in_utc(self, ticks: list[Tick]) -> list[Tick]:
        """Move ticks from the venue's clock to UTC: the zone only, so that they stay the venue's own times."""
        zone = self.account.clock.zone_s
        if zone:
            stamps = [stamp - zone for stamp in map(STAMP, ticks)]
            deque(map(msgspec.structs.force_setattr, ticks, repeat("timestamp"), stamps), maxlen=0)
        return ticks

    def balance(self, message: Balance) -> None:
        self.account.set_balance(message, self.arrived)

    def assets(self, message: UpdateAssets) -> None:
        self.account.set_assets(message.by_symbol, self.arrived)

    def recent(self, message: History) -> None:
        """The answer to a `ChangeSymbol`: its ticks close the gap of a feed that was asked for again."""
        if self.feeds.bridging(message.asset):
            zone = self.account.clock.zone_s
            ticks = [Tick(message.asset, row.timestamp - zone, row.price) for row in message.history]
            ticks.sort(key=STAMP)
            latest = self.latest()
            self.feeds.bridge(message.asset, [tick for tick in ticks if tick.timestamp <= latest])

    def opened(self, message: OrderOpened) -> None:
        """The venue stamps a deal as it opens: a look at its clock, where no stream is read."""
        deal = message.deal
        self.observe(deal.open_timestamp + (deal.open_ms or 0) / 1000)
        self.to_order_book(message)

    def page(self, message: HistoryPeriod) -> None:
        self.tell(HISTORY, message)

    def to_order_book(self, message: object) -> None:
        self.tell(ORDER_BOOK, message)

    # --- subscriptions -----------------------------------------------------------------------------------------------

    def transmit(self, message: Message) -> None:
        self.tell(CONNECTION, Transmit(message))

    def unsubscribe(self, stream: TickStream) -> None:
        for asset in self.feeds.remove(stream):
            self.transmit(UnsubscribeSymbol(asset))

    def subscribe(self, stream: TickStream, assets: tuple[str, ...], call: Call[None]) -> None:
        for abandoned in self.feeds.abandoned():
            self.unsubscribe(abandoned)
        if not self.feeds.room_for(assets):
            wanted = ", ".join(dict.fromkeys((*self.feeds.assets, *assets)))
            call.fail(
                RequestError(
                    f"the venue streams {self.feeds.limit} assets per connection, and {wanted} are more; "
                    "close a stream first, or raise sessions_max"
                )
            )
            return
        self.state.probe.give_way(self.feeds, assets, self.transmit)
        for asset in self.feeds.add(stream, assets):
            self.transmit(ChangeSymbol(asset=asset, period=PERIOD_S))
        self.guard.schedule()
        call.reply(None)

    def restore(self) -> None:
        """Subscriptions are state, not messages: a new link gets them all, and the missing ticks are asked for."""
        for asset in self.feeds.start_bridging():
            self.ask_for(asset)

    def ask_for(self, asset: str) -> None:
        """Ask for an asset's ticks; where its feed is being bridged, the answer has a certain time."""
        self.transmit(ChangeSymbol(asset=asset, period=PERIOD_S))
        self.limit_bridge(asset)

    def limit_bridge(self, asset: str) -> None:
        if self.feeds.bridging(asset):
            overdue = BridgeOverdue(asset, self.link.epoch, self.feeds.bridge_number(asset))
            self.ctx.after(BRIDGE_TIMEOUT, overdue)
