"""The desk: reads what an authenticated client asks, and says what is to be answered, and to whom.

Pure: no connection, no clock, no task. It knows accounts, market and orders; connections only know it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final

from loadsim.venue import reply as replies
from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import VenueConfig
from loadsim.venue.deals import Book, Refusal
from loadsim.venue.history import (
    change_symbol,
    history_name,
    load_history_period,
    prepare_change_symbol,
    prepare_load_history_period,
)
from loadsim.venue.market import Market
from loadsim.venue.orders import OrderDesk
from loadsim.venue.pending import PendingBook
from loadsim.venue.pending_desk import PendingDesk
from loadsim.venue.reply import Reply, Scope, reply
from loadsim.venue.requests import AuthFrame, ChangeSymbol, LoadHistoryPeriod, read, read_symbol
from loadsim.venue.stats import Stats
from loadsim.venue.visitor import Visitor
from loadsim.venue.wire import to_json

__all__ = ["Desk", "Rejection"]

UID_MAX: Final = 2**63 - 1
DAY_S: Final = 86_400

EMPTY_LOADS: Final[dict[str, Any]] = {
    "indicator/load": [],
    "favorite/load": {"list": [], "favorites": []},
    "price-alert/load": [],
}
"""What a fresh account has of the web client's own things."""

UNSUPPORTED: Final = frozenset(
    {
        "copyOrder",
        "copySignalOrder",
        "deals/double-up",
        "deals/rollover",
        "deals/ai",
        "openExpress",
        "openFreeTrade",
    }
)
"""Ways to trade that this venue does not have: refused, since silence would look like a lost order."""

CHARTS: Final = [
    {
        "chart_id": "chart-1",
        "settings": '{"chartId":"chart-1","chartType":1,"chartPeriod":4,"symbol":"EURUSD_otc"}',
    }
]


class Rejection(Enum):
    """How a login is refused (`protocol.md` 2.5)."""

    NOT_AUTHORIZED = "NotAuthorized"
    BARE_41 = "bare 41"
    """What the real service answers to a session that was escaped twice on its way."""


class Desk:
    """Answers events.

    Args:
        config: the venue's.
        market: prices and history.
        book: accounts and deals.
        pending: waiting orders.
        stats: counters.
        new_id: gives a uuid.
        save: makes accounts and orders durable.
    """

    def __init__(
        self,
        config: VenueConfig,
        market: Market,
        book: Book,
        pending: PendingBook,
        stats: Stats,
        *,
        new_id: Callable[[], str],
        save: Callable[[], None],
    ) -> None:
        self.orders = OrderDesk(config.trading, market, book, pending, stats, new_id=new_id, save=save)
        self.pending = PendingDesk(
            config.trading, market, book, pending, self.orders, new_id=new_id, save=save
        )
        self._config = config
        self._market = market
        self._book = book
        self._new_id = new_id
        self._save = save
        self._stats = stats

    # --- logging in ---

    def authenticate(self, payload: bytes) -> Visitor | Rejection:
        """Decide about an ``auth`` event. The session is compared and forgotten."""
        frame = read(AuthFrame, payload)
        credential = frame.credential if frame is not None else None
        if frame is None or credential is None or frame.is_demo not in (0, 1):
            return Rejection.NOT_AUTHORIZED
        access = self._config.access
        if "\\" in credential.reveal():
            return Rejection.BARE_41
        if credential in access.rejected_sessions or (access.sessions and credential not in access.sessions):
            return Rejection.NOT_AUTHORIZED
        if frame.is_guest:
            digest = hashlib.blake2b(credential.reveal().encode(), digest_size=6).digest()
            key = AccountKey(int.from_bytes(digest, "big"), True)
            if key not in self._book.accounts:
                self._book.account(key, is_guest=True)
                self._save()
        else:
            uid = _uid(frame.uid)
            if uid is None:
                return Rejection.NOT_AUTHORIZED
            key = AccountKey(uid, bool(frame.is_demo))
            if key not in self._book.accounts:
                self._book.account(key)
                self._save()
        return Visitor(
            key,
            fast=frame.is_fast_history,
            is_guest=frame.is_guest,
            streams_max=self._config.streams_max,
        )

    def uid_of(self, payload: bytes) -> int | None:
        """Return the user an ``auth`` event speaks of, without deciding about it: for the faults of one user."""
        frame = read(AuthFrame, payload)
        return None if frame is None else _uid(frame.uid)

    def welcome(self, visitor: Visitor) -> tuple[bytes, list[Reply]]:
        """Return the payload of ``successauth``, and what follows it unasked (rules 6 and 7)."""
        accepted = to_json({"id": self._new_id(), "serverName": self._config.server_name})
        key = visitor.key
        currency = self._config.trading.currency
        said = [
            replies.opened_deals(key, self._book.opened(key), currency),
            replies.closed_deals(key, self._book.closed(key), currency),
            reply(key, "updateCharts", CHARTS),
            self.pending.list_all(key),
        ]
        if not visitor.is_guest:  # guests never get one on connect (`protocol.md` 3.3)
            said.insert(0, replies.balance(self._book.account(key), Scope.HERE))
        return accepted, said

    # --- events ---

    def handle(
        self, visitor: Visitor, event: str, payload: bytes, now_ms: int, unix_now: float, refuse: str = ""
    ) -> list[Reply]:
        """Answer one event.

        Args:
            visitor: who asks; its streams may change.
            event: its name; an unknown one is ignored.
            payload: its JSON.
            now_ms: the venue's clock.
            unix_now: Unix time, for requests of clients that know no other.
            refuse: a fault's word: orders fail with it.
        """
        key = visitor.key
        match event:
            case "ps" | "ping-server":
                return []
            case "openOrder":
                return self.orders.open_order(key, payload, now_ms, refuse)
            case "openPendingOrder":
                return self.pending.open_order(key, payload, now_ms, refuse)
            case "cancelOrder":
                return self.orders.cancel_order(key, payload, now_ms)
            case "cancelPendingOrder":
                return self.pending.cancel_order(key, payload)
            case "cancelPendingOrders":
                return self.pending.cancel_orders(key, payload)
            case "changeSymbol" | "loadHistoryPeriod":
                return self._history(visitor, event, payload, now_ms / 1000, unix_now)
            case "subfor" | "subscribeSymbol" | "unsubfor" | "unSubscribeSymbol":
                return self._subscribe(visitor, event, payload)
            case "getBalance" | "updateBalance":
                return [replies.balance(self._book.account(key), Scope.HERE)]
            case "td/refill":
                self._book.refill(key)
                self._save()
                return [replies.balance(self._book.account(key))]
            case "updateOpenedDeals":
                return [replies.opened_deals(key, self._book.opened(key), self._config.trading.currency)]
            case "assets/load":
                return [Reply("updateAssets", to_json(self._market.table(now_ms / 1000)), Scope.HERE, key)]
            case _ if event in EMPTY_LOADS:
                return [reply(key, "success" + event, EMPTY_LOADS[event])]
            case _ if event in UNSUPPORTED:
                return [reply(key, "fail" + event, {"error": Refusal.UNSUPPORTED.value})]
            case _:
                return []

    def _subscribe(self, visitor: Visitor, event: str, payload: bytes) -> list[Reply]:
        symbol = read_symbol(payload)
        if symbol is None or symbol not in self._market.assets:
            return []
        if event in ("subfor", "subscribeSymbol"):
            visitor.watch(symbol)
        else:
            visitor.unwatch(symbol)
        return []

    def prepare(
        self, visitor: Visitor, event: str, payload: bytes, now: float, unix_now: float
    ) -> Iterator[None]:
        """Do what is long in the answer to an event beforehand, in short steps: `handle` is quick then.

        The arguments are those of `handle`, ``now`` in seconds.
        """
        match event:
            case "changeSymbol":
                change = read(ChangeSymbol, payload)
                if change is not None:
                    yield from prepare_change_symbol(self._market, change, now, self._config.market)
            case "loadHistoryPeriod":
                load = read(LoadHistoryPeriod, payload)
                if load is not None:
                    yield from prepare_load_history_period(
                        self._market,
                        load,
                        now,
                        fast=visitor.fast,
                        unix_now=self._lenient(unix_now),
                        lag_s=self._config.market.history_lag_s,
                    )
            case _:
                pass

    def _history(
        self, visitor: Visitor, event: str, payload: bytes, now: float, unix_now: float
    ) -> list[Reply]:
        answer: dict[str, Any] | None
        if event == "changeSymbol":
            change = read(ChangeSymbol, payload)
            if change is None:
                return []
            answer = change_symbol(self._market, change, now, self._config.market)
            event = "updateHistoryNew"
            if answer is not None:
                visitor.watch(change.asset)
        else:
            load = read(LoadHistoryPeriod, payload)
            if load is None:
                return []
            answer = load_history_period(
                self._market,
                load,
                now,
                fast=visitor.fast,
                unix_now=self._lenient(unix_now),
                lag_s=self._config.market.history_lag_s,
            )
        if answer is None:
            return []
        return [reply(visitor.key, history_name(event, fast=visitor.fast), answer)]

    def _lenient(self, unix_now: float) -> float | None:
        return unix_now if self._config.lenient_time else None


def _uid(uid: int | str | None) -> int | None:
    """Return a user id; some clients send it as a string."""
    if isinstance(uid, str):
        uid = int(uid) if uid.isascii() and uid.isdigit() and len(uid) <= 19 else None
    return uid if uid is not None and 0 <= uid <= UID_MAX else None
