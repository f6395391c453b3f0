"""The full lane: real clients, under supervision, as a program would use them."""

from __future__ import annotations

from typing import Any, Final

import trio

from loadsim.plan.schedule import Arrival, PlannedAction
from loadsim.plan.units import parse_duration
from loadsim.swarm.acts import Due
from loadsim.swarm.ledger import AMOUNT, ASSET, DURATION_S, EVENTS, Order
from loadsim.swarm.link_seam import LinkSeam
from loadsim.swarm.player import BARRIER_S, DRAIN_MAX_S, Player
from loadsim.swarm.stage import Stage
from potrio.actors.order_handle import OrderHandle
from potrio.actors.phases import LinkPhase
from potrio.actors.stream import Stream
from potrio.client.client import Client, open_client
from potrio.client.config import Config
from potrio.errors import LocalProtocolError, OrderDenied, OrderRejected, PotrioError
from potrio.protocol.messages.market import Tick

__all__ = ["play_full"]

READY: Final = (LinkPhase.READY, LinkPhase.DEGRADED)
TICKS: Final = "updateStream"
ORDERS: Final = "openOrder"


async def play_full(stage: Stage, arrival: Arrival) -> None:
    """Play one client from its arrival to its end. Cancelling closes it, within two seconds.

    Waits for the network and for the client's own instants.
    """
    player = Player(stage, arrival, "full")
    stage.enter()
    link = LinkSeam(stage.seam) if stage.has_link_faults else None
    if link is not None:
        stage.links[arrival.index] = link
    config = Config(
        ssid=player.ssid,
        url=stage.spec.url,
        seam=link or stage.seam,
        ssl_context=stage.ssl_context,
    )
    try:
        while not player.finished:
            await stage.wait_for_turn()
            began_s = stage.now_s()
            error: PotrioError | None = None
            try:
                async with open_client(config) as client:
                    player.entered(began_s, stage.now_s())
                    await Part(stage, player, client).play()
            except PotrioError as ended:
                error = ended
            delay_s = None if player.finished else player.ended(error, began_s, stage.now_s())
            if delay_s is not None:
                await trio.sleep(delay_s)
                if stage.now_s() >= player.leaves_s:
                    player.step(stage.now_s())
    finally:
        stage.links.pop(arrival.index, None)
        player.depart(stage.now_s())


class Part:
    """What a client does as long as it is open."""

    def __init__(self, stage: Stage, player: Player, client: Client) -> None:
        self._stage = stage
        self._player = player
        self._client = client
        self._changed = trio.Event()
        self._running = 0
        self._unsettled = 0
        self._unknown = 0
        self._streams: dict[str, Stream[Any]] = {}
        self._last_at: dict[str, float] = {}
        self._counted = {TICKS: 0, ORDERS: 0}
        ledger = player.ledger
        if ledger.start is None and not ledger.traded:
            ledger.start = client.balance
        if client.external_deals:
            ledger.doubtful = True

    async def play(self) -> None:
        """Play until it is time to leave, and leave in order.

        Raises:
            PotrioError: the client has died.
        """
        stage, player, acts = self._stage, self._player, self._player.acts
        stage.samplers.add(self._sample)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch)
                while stage.now_s() < player.leaves_s:
                    self._changed = trio.Event()
                    due_s = min(player.leaves_s, acts.next_due() if player.ready else player.leaves_s)
                    known_s = stage.now_s()
                    with trio.move_on_at(stage.at(due_s)) as sleeping:
                        await self._changed.wait()
                    now_s = stage.now_s()
                    if sleeping.cancelled_caught and due_s < player.leaves_s:
                        stage.lag(max(due_s, known_s), now_s)
                    # Also what was due just before the end, and is a little late by now.
                    for due in acts.take_due(min(now_s, player.leaves_s), ready=player.ready):
                        self._running += 1
                        nursery.start_soon(self._act, nursery, due)
                acts.finish(player.leaves_s)
                await self._leave()
                nursery.cancel_scope.cancel("it leaves")
            player.finished = True
        finally:
            stage.samplers.discard(self._sample)
            self._sample()
            if self._unknown:  # orders whose fate nobody has waited for
                player.ledger.doubtful = True
                stage.recorder.count("orders.unknown", self._unknown)

    async def _leave(self) -> None:
        """Let what is under way end, then end the streams; what answers the last question comes behind all ticks."""
        with trio.move_on_after(DRAIN_MAX_S):
            while self._running or self._unsettled:
                self._changed = trio.Event()
                await self._changed.wait()
        heard_out = False
        with trio.move_on_after(BARRIER_S):
            for stream in self._streams.values():
                await stream.aclose()
            try:
                for _ in range(2 if self._streams else 1):
                    await self._client.refresh_balance()
                heard_out = True
            except PotrioError:
                pass  # it is gone: what it does not know is said to be so
        if not heard_out:
            self._stage.recorder.count("ticks_lost", len(self._streams))

    async def _watch(self) -> None:
        """Note when the link is lost and when it is back."""
        client, player = self._client, self._player
        while True:
            await client.wait_change()
            ready, now_s = client.phase in READY, self._stage.now_s()
            if player.ready and not ready:
                player.ledger.streams = tuple(self._streams)
                player.lose(client.phase.value, "the link was lost", now_s)
            elif ready and not player.ready:
                player.regain(now_s)
            self._changed.set()

    # --- actions -----------------------------------------------------------------------------------------------------

    async def _act(self, nursery: trio.Nursery, due: Due) -> None:
        stage, action = self._stage, due.action
        started_s = stage.now_s()
        error, text = None, ""
        with trio.move_on_at(stage.at(due.intended_s + action.deadline_s)) as scope:
            try:
                await self._do(nursery, action)
            except OrderRejected as fault:
                error, text = f"rejected:{fault.code}", str(fault)
            except (PotrioError, ValueError) as fault:
                error, text = type(fault).__name__, str(fault)
        now_s = stage.now_s()
        if action.do != "idle":
            stage.recorder.action(
                "rtt",
                {"event": EVENTS[action.do], "lane": "full"},
                intended_s=due.intended_s,
                started_s=started_s,
                ended_s=now_s,
                error="timeout" if scope.cancelled_caught else error,
                text=text,
            )
        self._player.acts.ended(due.act, now_s)
        self._running -= 1
        self._changed.set()

    async def _do(self, nursery: trio.Nursery, action: PlannedAction) -> None:
        client, params = self._client, action.params
        asset = str(params.get("asset", ASSET))
        match action.do:
            case "open_order":
                await self._open_order(nursery, asset, action)
            case "candles":
                await client.candles(asset, params.get("timeframe", "1m"), int(params.get("count", 100)))
            case "subscribe" if asset not in self._streams:
                stream = self._streams[asset] = await client.ticks(asset)
                nursery.start_soon(self._read, stream)
            case "unsubscribe" if asset in self._streams:
                self._last_at.pop(asset, None)
                await self._streams.pop(asset).aclose()
            case "balance":
                await client.refresh_balance()
            case "ping":
                raise LocalProtocolError("a real client pings by itself")
            case "idle":
                await trio.sleep(parse_duration(str(params.get("for", "1s"))))
            case _:
                await trio.lowlevel.checkpoint()  # streamed already, or not at all

    async def _open_order(self, nursery: trio.Nursery, asset: str, action: PlannedAction) -> None:
        params, ledger = action.params, self._player.ledger
        handle = await self._client.place(
            asset,
            str(params.get("side", "call")),
            str(params.get("amount", AMOUNT)),
            duration=int(params.get("duration", DURATION_S)),
            valid_for=action.deadline_s,
        )
        ledger.traded = True
        self._unsettled += 1
        self._unknown += 1
        nursery.start_soon(self._settle, handle)
        await handle.opened()

    async def _settle(self, handle: OrderHandle) -> None:
        """Follow an order to its end, and count what became of it."""
        stage, ledger = self._stage, self._player.ledger
        recorder = stage.recorder
        try:
            deal = await handle.opened()
            recorder.count("orders.accepted")
            self._unknown -= 1
            closes_s = stage.now_s() + deal.close_timestamp - deal.open_timestamp
            ledger.orders[deal.id] = Order(deal.amount, closes_s)
            result = await handle.result()
            del ledger.orders[deal.id]
            ledger.earned += result.profit
            recorder.count("settled")
            recorder.count(f"settled.{type(result).__name__.lower()}")
            recorder.count("earned_cents", int(result.profit * 100))
            now_s = stage.now_s()
            due_s = min(closes_s, now_s)
            recorder.action("settle", {"lane": "full"}, intended_s=due_s, started_s=due_s, ended_s=now_s)
        except OrderRejected:
            self._unknown -= 1
            recorder.count("orders.rejected")
        except OrderDenied:
            self._unknown -= 1  # it was never sent
        except PotrioError as error:
            ledger.doubtful = True
            recorder.error(type(error).__name__, "settle", stage.now_s(), str(error))
        finally:
            self._unsettled -= 1
            self._changed.set()

    async def _read(self, stream: Stream[Any]) -> None:
        """Read ticks and gaps as they come."""
        stage = self._stage
        try:
            async for item in stream:
                if isinstance(item, Tick):
                    stage.take_ticks("full", (item,), self._last_at, stage.now_s(), utc=True)
        except trio.ClosedResourceError:
            pass  # by ourselves: it was unsubscribed
        except PotrioError as error:
            stage.recorder.error(type(error).__name__, "stream", stage.now_s(), str(error))

    def _sample(self) -> None:
        """Count what the client itself counts on the wire."""
        counters, recorder = self._client.wire_counters(), self._stage.recorder
        ticks, orders = counters.events_received[TICKS], counters.events_sent[ORDERS]
        recorder.count("ticks", ticks - self._counted[TICKS])
        recorder.count("orders", orders - self._counted[ORDERS])
        self._counted = {TICKS: ticks, ORDERS: orders}
