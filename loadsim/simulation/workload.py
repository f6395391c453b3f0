"""What the users of a simulated client do: orders, questions, streams, each at moments that the seed draws."""

from __future__ import annotations

import random
from collections.abc import Callable

import trio

from loadsim.simulation.history import History
from loadsim.simulation.plan import SimPlan
from potrio.actors.evidence import OrderState
from potrio.actors.order_handle import OrderHandle
from potrio.client.client import Client
from potrio.errors import PotrioError

__all__ = ["Workload"]

DURATIONS_S = (5, 5, 10, 30, 60)
VALID_FOR_S = (1.0, 5.0, 5.0, 30.0)


class Workload:
    """The users.

    Attributes:
        settled: what each order was first settled with.
        waiting: scopes of those who wait for a result; a fault may cancel one.
        on_placed: called right after an order was taken on.
        on_rejected: called with the id of an order that has just become REJECTED.
        alive: orders that have not ended.
        quiet_until: no order is placed before, but on request.
    """

    def __init__(self, plan: SimPlan, client: Client, history: History, nursery: trio.Nursery) -> None:
        self.settled: dict[str, object] = {}
        self.waiting: dict[str, trio.CancelScope] = {}
        self.on_placed: Callable[[], None] = lambda: None
        self.on_rejected: Callable[[str], None] = lambda request_id: None
        self.alive: dict[str, OrderHandle] = {}
        self.quiet_until = 0.0
        self.placed = 0
        self.answers = 0
        self._plan = plan
        self._client = client
        self._history = history
        self._nursery = nursery
        self._orders = random.Random(f"simulation/{plan.seed}/orders")
        self._questions = random.Random(f"simulation/{plan.seed}/questions")
        self._aimed = random.Random(f"simulation/{plan.seed}/orders on request")

    async def place_orders(self, until: float) -> None:
        """Place orders until a virtual time; now and then several at once."""
        chance, plan = self._orders, self._plan
        while True:
            await trio.sleep(chance.expovariate(plan.orders_per_hour / 3600))
            if trio.current_time() >= until:
                return
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                asset, side = chance.choice(plan.assets), chance.choice(("call", "put"))
                amount = chance.randint(1, 200)
                if chance.random() < plan.refusals:
                    amount = 19_999  # more than there will be after the first of them
                duration, valid = chance.choice(DURATIONS_S), chance.choice(VALID_FOR_S)
                if trio.current_time() >= self.quiet_until:
                    self._nursery.start_soon(self._order, asset, side, amount, duration, valid)

    def place_one(self, duration: int) -> None:
        """Somebody places an order now."""
        chance = self._aimed
        asset, side = chance.choice(self._plan.assets), chance.choice(("call", "put"))
        self._nursery.start_soon(self._order, asset, side, chance.randint(1, 200), duration, VALID_FOR_S[-1])

    async def _order(self, asset: str, side: str, amount: int, duration: int, valid_for: float) -> None:
        try:
            handle = await self._client.place(asset, side, amount, duration=duration, valid_for=valid_for)
        except PotrioError as error:
            self._history.say(f"an order was not taken on: {type(error).__name__}")
            return
        self.placed += 1
        name = handle.request_id
        self.alive[name] = handle
        self._history.say(f"order {name}: {side} {amount} {asset} {duration}s", name)
        self.on_placed()
        self._nursery.start_soon(self._follow, handle)
        with trio.CancelScope() as scope:
            self.waiting[name] = scope
            try:
                result = await handle.result()
                self._history.say(f"result of {name}: {type(result).__name__} {result.profit}", name)
            except PotrioError as error:
                self._history.say(f"no result of {name}: {type(error).__name__}: {error}", name)
        del self.waiting[name]
        if scope.cancelled_caught:
            self._history.say(f"nobody waits for {name} any more", name)

    async def _follow(self, handle: OrderHandle) -> None:
        """Note every change of an order as long as the client lives."""
        name = handle.request_id
        try:
            async for change in handle.changes():
                self._history.say(f"order {name} is {change.state.value}: {change.cause}", name)
                if change.state.ended:
                    self.alive.pop(name, None)
                else:
                    self.alive[name] = handle
                if change.state is OrderState.SETTLED:
                    self.settled.setdefault(name, handle.deal)
                elif change.state is OrderState.REJECTED:
                    self.on_rejected(name)
        except PotrioError:
            pass  # the client was closed first; the checks look at what it left

    async def ask(self, until: float) -> None:
        """Ask for candles and the balance until a virtual time."""
        chance, client, plan = self._questions, self._client, self._plan
        while True:
            await trio.sleep(chance.expovariate(plan.requests_per_hour / 3600))
            if trio.current_time() >= until:
                return
            try:
                if chance.random() < 0.5:
                    rows = await client.candles(chance.choice(plan.assets), "1m", chance.randint(1, 20))
                    self._history.say(f"{len(rows)} candles")
                else:
                    balance = await client.refresh_balance()
                    self._history.say(f"balance {balance}")
                self.answers += 1
            except PotrioError as error:
                self._history.say(f"no answer: {type(error).__name__}")
