"""Actors on a stage: a real supervisor, recorders in the place of the neighbours, virtual time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import trio
import trio.testing

from potrio.actors.account import AccountState
from potrio.actors.book import Book
from potrio.actors.evidence import OrderIntent
from potrio.actors.keys import CONNECTION, ORDER_BOOK
from potrio.actors.link import LinkLost, LinkPhase, LinkState, LinkUp, Resync, SubmitOrder, Transmit, Written
from potrio.actors.order_book import PlaceOrder, order_book
from potrio.protocol.messages.trading import Deal, Side
from potrio.supervision.backoff import Backoff
from potrio.supervision.child_spec import ChildSpec, Key
from potrio.supervision.context import Context
from potrio.supervision.intensity import Limit
from potrio.supervision.mailbox_spec import unbounded
from potrio.supervision.opening import open_supervisor
from potrio.supervision.spec import child, supervisor
from potrio.testing.network import MemoryNetwork

EPOCH = 1_770_000_000.0
ASSET, OTHER = "EURUSD_otc", "GBPUSD_otc"
BACKOFF = Backoff(base=0.05, cap=0.1)


async def recorder(
    ctx: Context[Any], log: list[Any], answer: Callable[[Context[Any], Any], None] | None
) -> None:
    """Keep what is told; ``answer`` may react."""
    async for message in ctx.inbox:
        log.append(message)
        if answer is not None:
            answer(ctx, message)


def recording(key: Key[Any], log: list[Any], answer=None) -> ChildSpec[Any]:
    return child(recorder, log, answer, id=key, mailbox=unbounded())


@asynccontextmanager
async def running(*children: ChildSpec[Any]):
    """Run these under one supervisor; a crash restarts the one that crashed."""
    with trio.fail_after(100_000):
        async with open_supervisor(
            supervisor(*children, id="root", backoff=BACKOFF, limit=Limit(10_000, within=1.0)),
            seam=MemoryNetwork(epoch=EPOCH),
        ) as sup:
            yield sup


async def settle() -> None:
    """Let everybody do what can be done now."""
    await trio.testing.wait_all_tasks_blocked()


async def crash(sup: Any, key: Key[Any]) -> None:
    """Let an actor crash of a message that it does not know, and wait until the next incarnation is at work."""
    sup.ref(key).tell(object())
    await trio.sleep(0.2)
    await settle()


def deal(
    id: str = "d1",
    asset: str = ASSET,
    side: Side = Side.CALL,
    opened: float = 0.0,
    for_s: int = 60,
    **more: Any,
) -> Deal:
    """A deal that the venue opened ``opened`` seconds after the start, on its clock two hours ahead."""
    at = int(EPOCH + opened) + 7200
    fields: dict[str, Any] = {
        "amount": Decimal(more.pop("amount", 10)),
        "profit": Decimal(more.pop("profit", 9)),
        "percent_profit": 92,
        "open_price": 1.1,
    }
    return Deal(
        id=id,
        open_timestamp=at,
        close_timestamp=at + for_s,
        command=side.command,
        asset=asset,
        **fields,
        **more,
    )


class Desk:
    """An order book, and a connection that does nothing by itself."""

    def __init__(self) -> None:
        self.seam = MemoryNetwork(epoch=EPOCH)
        self.book, self.account, self.link = Book(), AccountState(), LinkState()
        self.account.clock.observe(
            EPOCH + 7200, EPOCH
        )  # lists prove nothing while the venue's clock is not known
        self.told: list = []
        self.count = 0

    def children(self):
        return (
            recording(CONNECTION, self.told),
            child(
                order_book, self.book, self.account, self.link, self.seam, id=ORDER_BOOK, mailbox=unbounded()
            ),
        )

    async def tell(self, *messages) -> None:
        for message in messages:
            self.sup.ref(ORDER_BOOK).tell(message)
        await settle()

    async def up(self, *lists) -> None:
        self.link.begin("ws://venue")
        self.link.enter(LinkPhase.READY, self.seam.now())
        await self.tell(LinkUp(self.link.epoch, self.seam.now()), *lists)

    async def lost(self) -> None:
        self.link.enter(LinkPhase.RECONNECTING, self.seam.now())
        await self.tell(LinkLost(self.link.epoch, "gone", self.seam.now()))

    async def place(
        self, asset=ASSET, side=Side.CALL, duration=60, valid_for=5.0, request_id=None, amount=10
    ):
        self.count += 1
        intent = OrderIntent(
            request_id=request_id or f"r{self.count}",
            asset=asset,
            side=side,
            amount=Decimal(amount),
            duration_s=duration,
            is_demo=True,
            created_wall=self.seam.wall(),
            expires_at=self.seam.now() + valid_for,
        )
        handle = await self.sup.ref(ORDER_BOOK).ask(PlaceOrder(intent))
        await settle()
        return handle

    async def written(self, handle) -> None:
        await self.tell(Written(handle.request_id, self.link.epoch, self.seam.now(), self.seam.wall()))

    def submitted(self) -> list[str]:
        return [message.request_id for message in self.told if isinstance(message, SubmitOrder)]

    def asked(self) -> list:
        return [message for message in self.told if isinstance(message, Transmit | Resync)]


@pytest.fixture
async def desk(autojump_clock):
    desk = Desk()
    async with running(*desk.children()) as sup:
        desk.sup = sup
        await desk.up()
        yield desk
