"""What one client of the swarm has asked for and what it was told: the books of the light and the mux lane. Sans-I/O.

Every action that leaves gets exactly one outcome: its answer, the venue's refusal, its deadline, or the loss of its
connection. Orders are followed to their settlement. Only what is under way is kept, so that an idle client costs
nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec import Struct

from loadsim.metrics.recorder import Recorder
from loadsim.plan.model import Lane
from loadsim.plan.schedule import PlannedAction
from potrio.errors import RemoteProtocolError
from potrio.protocol.messages.account import Balance, GetBalance
from potrio.protocol.messages.base import Message, Unknown
from potrio.protocol.messages.codec import decode_server_event, encode
from potrio.protocol.messages.market import (
    ChangeSymbol,
    History,
    HistoryPeriod,
    LoadHistoryPeriod,
    UnsubscribeSymbol,
)
from potrio.protocol.messages.trading import (
    ClosedDeals,
    Deal,
    DealsClosed,
    OpenedDeals,
    OpenOrder,
    OrderFailed,
    OrderOpened,
    Side,
)
from potrio.protocol.timeframes import parse_timeframe

__all__ = ["AMOUNT", "ASSET", "DURATION_S", "EVENTS", "PERIOD_S", "Ledger", "Order", "Pending", "event_of"]

ASSET = "EURUSD_otc"
"""Where a plan names none."""

PERIOD_S = 60
DURATION_S = 5
AMOUNT = "10"
EVENTS = {
    "open_order": "openOrder",
    "candles": "loadHistoryPeriod",
    "subscribe": "changeSymbol",
    "unsubscribe": "unSubscribeSymbol",
    "balance": "getBalance",
    "ping": "ps",
}
"""Action -> the event it sends, which is the tag of what is recorded."""

ALWAYS = frozenset({"successopenOrder", "failopenOrder", "successupdateBalance", "updateOpenedDeals"})
ANSWERS = frozenset(
    {"loadHistoryPeriod", "loadHistoryPeriodFast", "updateHistoryNew", "updateHistoryNewFast"}
)
RESULTS = frozenset({"successcloseOrder", "updateClosedDeals"})


class Pending(Struct):
    """An action that has left and has not ended. ``key`` is what its answer is recognised by."""

    action: PlannedAction
    key: tuple[str, Any]
    intended_s: float
    started_s: float
    done: Callable[[], None] | None

    @property
    def deadline_s(self) -> float:
        """When it has taken too long, counted from when it was wanted."""
        return self.intended_s + self.action.deadline_s


class Order(Struct):
    """An accepted order that has not been settled."""

    amount: Decimal
    closes_s: float


class Ledger:
    """The books of one client.

    Args:
        uid: whose they are.
        lane: of the client.
        recorder: where outcomes go.
        new_id: makes request ids.
        stamp: the venue's time now (seconds), for questions about history.
    """

    __slots__ = (
        "_lane",
        "_new_id",
        "_recorder",
        "_stamp",
        "balance",
        "doubtful",
        "earned",
        "orders",
        "pending",
        "start",
        "streams",
        "traded",
        "uid",
    )

    def __init__(
        self,
        uid: int,
        lane: Lane,
        recorder: Recorder,
        *,
        new_id: Callable[[], str],
        stamp: Callable[[], float],
    ) -> None:
        self.uid = uid
        self.pending: deque[Pending] = deque()
        self.orders: dict[str, Order] = {}
        self.streams: tuple[str, ...] = ()
        self.balance: Decimal | None = None
        self.start: Decimal | None = None
        """The balance it was told of first, before it traded: what its own sums begin with."""
        self.earned = Decimal(0)
        self.traded = False
        self.doubtful = False
        """An order's fate is not known, or there are deals of somebody else: the balance cannot be predicted."""
        self._lane: Lane = lane
        self._recorder = recorder
        self._new_id = new_id
        self._stamp = stamp

    # --- asking ------------------------------------------------------------------------------------------------------

    def ask(
        self,
        action: PlannedAction,
        *,
        intended_s: float,
        started_s: float,
        done: Callable[[], None] | None = None,
    ) -> Message | None:
        """Begin an action; returns what is to be sent (None: nothing, it is over).

        Args:
            action: what to do.
            intended_s: when the schedule wanted it.
            started_s: now.
            done: called when it has ended, however.
        """
        message, key = self._message_of(action)
        pending = Pending(action, key, intended_s, started_s, done)
        if action.do == "open_order":
            self.traded = True
            self._recorder.count("orders")
        if key[0] == "sent":  # nothing answers it: it is done when it is written
            self._end(pending, started_s)
        else:
            self.pending.append(pending)
        return message

    def _message_of(self, action: PlannedAction) -> tuple[Message | None, tuple[str, Any]]:
        params = action.params
        asset = str(params.get("asset", ASSET))
        match action.do:
            case "open_order":
                request_id = self._new_id()
                order = OpenOrder(
                    asset=asset,
                    amount=Decimal(str(params.get("amount", AMOUNT))),
                    action=Side(params.get("side", "call")),
                    is_demo=1,
                    request_id=request_id,
                    time=int(params.get("duration", DURATION_S)),
                )
                return order, ("order", request_id)
            case "candles":
                period_s = parse_timeframe(params.get("timeframe", "1m"))
                index = int.from_bytes(self._new_id().encode()[:6], "big")
                span_s = period_s * int(params.get("count", 100))
                return LoadHistoryPeriod(asset, index, int(self._stamp()), span_s, period_s), (
                    "candles",
                    index,
                )
            case "subscribe":
                self.streams = (*(each for each in self.streams if each != asset), asset)
                return ChangeSymbol(asset, PERIOD_S), ("subscribe", asset)
            case "unsubscribe":
                self.streams = tuple(each for each in self.streams if each != asset)
                return UnsubscribeSymbol(asset), ("sent", asset)
            case "balance":
                return GetBalance(), ("balance", None)
            case "ping":
                return Unknown("ps", b""), ("sent", None)
            case _:  # idle
                return None, ("sent", None)

    # --- being told --------------------------------------------------------------------------------------------------

    def event(self, name: str, payload: bytes, now_s: float) -> None:
        """Take an event of the venue; what it cannot be is an error of the protocol, counted by name.

        Only what somebody waits for is decoded: the asset table alone would cost more than all the rest.
        """
        if (
            name not in ALWAYS
            and not (name in ANSWERS and self.pending)
            and not (name in RESULTS and self.orders)
        ):
            return
        try:
            message = decode_server_event(name, payload)
        except RemoteProtocolError as error:
            self._recorder.error("protocol", name, now_s, str(error))
            return
        match message:
            case OrderOpened(deal=deal, request_id=request_id):
                self._accepted(deal, request_id, now_s)
            case OrderFailed():
                self._refused(message, now_s)
            case DealsClosed(deals=deals) | ClosedDeals(deals=deals):
                for deal in deals:
                    self._settled(deal, now_s)
            case OpenedDeals(deals=deals):
                self.doubtful = self.doubtful or any(deal.id not in self.orders for deal in deals)
            case HistoryPeriod(index=index):
                self._answered(("candles", index), now_s)
            case History(asset=asset):
                self._answered(("subscribe", asset), now_s)
            case Balance(balance=balance):
                self.balance = balance
                if self.start is None and not self.traded:
                    self.start = balance
                self._answered(("balance", None), now_s)
            case _:
                pass

    def _answered(self, key: tuple[str, Any], now_s: float) -> None:
        for pending in self.pending:
            if pending.key == key:
                self.pending.remove(pending)
                self._end(pending, now_s)
                return

    def _accepted(self, deal: Deal, request_id: object, now_s: float) -> None:
        known = any(pending.key == ("order", request_id) for pending in self.pending)
        if not known and deal.id in self.orders:
            return  # told twice
        self._recorder.count("orders.accepted" if known else "orders.accepted_late")
        self.orders[deal.id] = Order(deal.amount, now_s + deal.close_timestamp - deal.open_timestamp)
        self._answered(("order", request_id), now_s)

    def _refused(self, refusal: OrderFailed, now_s: float) -> None:
        """A refusal names no order: it is for the oldest that it can be meant for."""
        for pending in self.pending:
            asset = str(pending.action.params.get("asset", ASSET))
            if pending.key[0] == "order" and refusal.asset in (None, asset):
                self.pending.remove(pending)
                self._recorder.count("orders.rejected")
                self._end(pending, now_s, f"rejected:{refusal.error}")
                return

    def _settled(self, deal: Deal, now_s: float) -> None:
        order = self.orders.pop(deal.id, None)
        if order is None or deal.outcome is None:
            return
        recorder = self._recorder
        recorder.count("settled")
        recorder.count(f"settled.{deal.outcome.value}")
        recorder.count("earned_cents", int(deal.profit * 100))
        self.earned += deal.profit
        recorder.action(
            "settle",
            {"lane": self._lane},
            intended_s=min(order.closes_s, now_s),
            started_s=min(order.closes_s, now_s),
            ended_s=now_s,
        )

    # --- time and losses ---------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When `expire` has something to do; infinity for never."""
        return min((pending.deadline_s for pending in self.pending), default=float("inf"))

    def expire(self, now_s: float) -> None:
        """End what has taken too long: with its whole wait, as an outcome of its own."""
        for pending in [pending for pending in self.pending if pending.deadline_s <= now_s]:
            self.pending.remove(pending)
            if pending.key[0] == "order":
                self.doubtful = True
                self._recorder.count("orders.unknown")
            self._end(pending, now_s, "timeout")

    def lost(self, now_s: float) -> None:
        """The connection is gone: what was under way on it has no answer any more."""
        while self.pending:
            pending = self.pending.popleft()
            if pending.key[0] == "order":
                self.doubtful = True
                self._recorder.count("orders.unknown")
            self._end(pending, now_s, "lost")

    def _end(self, pending: Pending, now_s: float, error: str | None = None) -> None:
        self._recorder.action(
            "rtt",
            {"event": EVENTS.get(pending.action.do, pending.action.do), "lane": self._lane},
            intended_s=pending.intended_s,
            started_s=pending.started_s,
            ended_s=now_s,
            error=error,
        )
        if pending.done is not None:
            pending.done()

    @property
    def is_quiet(self) -> bool:
        """Nothing is under way, and every order it knows of has been settled."""
        return not self.pending and not self.orders

    @property
    def certain_cents(self) -> int | None:
        """Its balance in cents by its own sums, where it traded and knows the fate of every order."""
        if not self.traded or self.doubtful or self.pending or self.orders or self.start is None:
            return None
        return int((self.start + self.earned) * 100)


def event_of(message: Message) -> tuple[str, bytes | None]:
    """An event's name and payload; ``ps`` has none."""
    if isinstance(message, Unknown):
        return message.name, message.payload or None
    return encode(message)
