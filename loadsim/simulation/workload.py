"""What the users of a simulated client do: orders, questions, streams, each at moments that the seed draws."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from loadsim.simulation.history import History
from loadsim.simulation.plan import SimPlan
from potrio.actors.evidence import OrderState
from potrio.actors.order_handle import OrderHandle
from potrio.client.client import Client
from potrio.errors import PotrioError

__all__ = ["CALLS", "CHECKPOINTS_MAX", "Workload"]

DURATIONS_S = (5, 5, 10, 30, 60)
VALID_FOR_S = (1.0, 5.0, 5.0, 30.0)

CALLS: Final = ("order", "order", "candles", "balance", "history", "ticks")
"""What is called to be cancelled."""

HISTORY_LENGTH: Final = 1500
"""Candles of so many minutes come in several answers."""

TICKS_READ: Final = 3

CHECKPOINTS: Final = 3
"""A call is cancelled at any checkpoint that one of its kind has been seen to pass, or at the one behind them; as long
as none has been seen, at one of so many."""

CHECKPOINTS_MAX: Final = 50


class CancelAt(trio.abc.Instrument):
    """Counts the checkpoints of the current task, and cancels a scope at the so many-th (0: at none)."""

    def __init__(self, checkpoint: int, scope: trio.CancelScope) -> None:
        self.passed = 0
        self._task = trio.lowlevel.current_task()
        self._checkpoint = checkpoint
        self._scope = scope

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio's own call."""
        if task is self._task:
            self.passed += 1
            if self.passed == self._checkpoint:
                self._scope.cancel()


class Workload:
    """The users.

    Attributes:
        settled: what each order was first settled with.
        waiting: scopes of those who wait for a result; a fault may cancel one.
        on_placed: called right after an order was taken on.
        on_rejected: called with the id of an order that has just become REJECTED.
        withdrawn: ids of orders whose placing was cancelled before there was a handle.
        alive: orders that have not ended.
        quiet_until: no order is placed before, but on request.
        passed: how many checkpoints a call of each kind passes that is not cancelled.
    """

    def __init__(self, plan: SimPlan, client: Client, history: History, nursery: trio.Nursery) -> None:
        self.settled: dict[str, object] = {}
        self.waiting: dict[str, trio.CancelScope] = {}
        self.on_placed: Callable[[], None] = lambda: None
        self.on_rejected: Callable[[str], None] = lambda request_id: None
        self.withdrawn: set[str] = set()
        self.alive: dict[str, OrderHandle] = {}
        self.quiet_until = 0.0
        self.passed: dict[str, int] = {}
        self.placed = 0
        self.answers = 0
        self._calls = 0
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

    def call_and_cancel(self, share: float) -> None:
        """Somebody places an order or asks for something now, and is cancelled at one of the call's checkpoints."""
        chance = self._aimed
        kind = CALLS[int(share * len(CALLS))]
        count = self.passed[kind] + 1 if kind in self.passed else CHECKPOINTS
        checkpoint = 1 + int(share * len(CALLS) % 1 * count)
        if kind == "order":
            self._calls += 1
            name = f"cancelled-{self._calls}"
            asset, side = chance.choice(self._plan.assets), chance.choice(("call", "put"))
            amount, duration = chance.randint(1, 200), DURATIONS_S[0]
            self._nursery.start_soon(
                self._order, asset, side, amount, duration, VALID_FOR_S[-1], name, checkpoint
            )
        else:
            self._nursery.start_soon(self._question, kind, chance, checkpoint)

    @contextmanager
    def _cancelled_at(self, kind: str, checkpoint: int) -> Iterator[trio.CancelScope]:
        """Cancel the block at its so many-th checkpoint (0: at none); see how many it passes where it is not."""
        with trio.CancelScope() as scope:
            if not checkpoint and kind in self.passed:
                yield scope
                return
            instrument = CancelAt(checkpoint, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                yield scope
            finally:
                trio.lowlevel.remove_instrument(instrument)
        if not scope.cancelled_caught:
            self.passed[kind] = min(CHECKPOINTS_MAX, max(instrument.passed, self.passed.get(kind, 0)))

    async def _order(
        self,
        asset: str,
        side: str,
        amount: int,
        duration: int,
        valid_for: float,
        own_id: str | None = None,
        cancel_at: int = 0,
    ) -> None:
        handle = None
        try:
            with self._cancelled_at("order", cancel_at):
                handle = await self._client.place(
                    asset, side, amount, duration=duration, valid_for=valid_for, request_id=own_id
                )
        except PotrioError as error:
            self._history.say(f"an order was not taken on: {type(error).__name__}")
            return
        if handle is None:
            assert own_id is not None
            self.withdrawn.add(own_id)
            self._history.say(f"the placing of {own_id} was cancelled at its checkpoint {cancel_at}", own_id)
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
        chance = self._questions
        while True:
            await trio.sleep(chance.expovariate(self._plan.requests_per_hour / 3600))
            if trio.current_time() >= until:
                return
            await self._question("candles" if chance.random() < 0.5 else "balance", chance)

    async def _question(self, kind: str, chance: random.Random, cancel_at: int = 0) -> None:
        try:
            with self._cancelled_at(kind, cancel_at) as scope:
                self._history.say(await self._answer(kind, chance))
                self.answers += 1
        except PotrioError as error:
            self._history.say(f"no answer: {type(error).__name__}")
        if scope.cancelled_caught:
            self._history.say(f"a question ({kind}) was cancelled at its checkpoint {cancel_at}")

    async def _answer(self, kind: str, chance: random.Random) -> str:
        client = self._client
        if kind == "balance":
            return f"balance {await client.refresh_balance()}"
        asset = chance.choice(self._plan.assets)
        if kind == "ticks":
            async with client.ticks(asset) as stream:
                for _ in range(TICKS_READ):
                    await stream.receive()
            return f"{TICKS_READ} ticks"
        length = HISTORY_LENGTH if kind == "history" else chance.randint(1, 20)
        return f"{len(await client.candles(asset, '1m', length))} candles"
