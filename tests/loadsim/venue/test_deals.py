"""The book of deals: results by price, money conserved to the cent, one settlement each, limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import TradingConfig
from loadsim.venue.deals import Book, Command, Deal, Refusal

DEMO, LIVE = AccountKey(1, True), AccountKey(1, False)


def opened(book: Book, key: AccountKey = DEMO, **changes: Any) -> Deal:
    """Open a deal."""
    fields: dict[str, Any] = {
        "id": f"deal-{len(book.opened(key))}-{len(book.closed(key))}",
        "asset": "EURUSD_otc",
        "amount": Decimal(10),
        "command": Command.CALL,
        "percent": 92,
        "duration_s": 60,
        "price": 1.1,
        "now_ms": 1000,
    }
    return book.open(key, **(fields | changes))


@pytest.mark.parametrize(
    ("command", "price", "profit", "balance"),
    [
        (Command.CALL, 1.10001, "9.20", "50009.20"),
        (Command.CALL, 1.09999, "-10", "49990"),
        (Command.PUT, 1.09999, "9.20", "50009.20"),
        (Command.PUT, 1.10001, "-10", "49990"),
        (Command.CALL, 1.1, "0", "50000"),
        (Command.PUT, 1.1, "0", "50000"),
    ],
)
def test_win_lose_and_draw_to_the_cent(command: Command, price: float, profit: str, balance: str) -> None:
    book = Book(TradingConfig())
    opened(book, command=command)
    assert book.account(DEMO).balance == Decimal(49_990)
    (settlement,) = book.settle(61_000, lambda asset, moment: price)

    (deal,) = settlement.deals
    assert (deal.profit, deal.close_price) == (Decimal(profit), price)
    assert settlement.account.balance == Decimal(balance)
    assert settlement.profit == max(0, Decimal(profit))
    assert (settlement.account.won, settlement.account.lost, settlement.account.drawn) == (
        int(Decimal(profit) > 0),
        int(Decimal(profit) < 0),
        int(Decimal(profit) == 0),
    )


def test_a_deal_is_settled_at_its_own_moment_however_late_it_is_looked_at() -> None:
    book = Book(TradingConfig())
    opened(book, now_ms=1_250, duration_s=60)
    asked = []
    assert book.next_expiry_ms() == 61_250
    assert book.settle(61_249, lambda asset, moment: 1.2) == []
    book.settle(10**9, lambda asset, moment: asked.append((asset, moment)) or 1.2)  # type: ignore[func-returns-value]
    assert asked == [("EURUSD_otc", 61_250)]
    assert book.settle(10**9, lambda asset, moment: 1.2) == [], "exactly once"
    assert book.next_expiry_ms() is None


def test_deals_that_expire_together_are_one_settlement_for_each_account() -> None:
    book = Book(TradingConfig())
    first, second = opened(book, id="a"), opened(book, id="b", now_ms=1500)
    opened(book, LIVE, id="c")
    settlements = book.settle(61_500, lambda asset, moment: 1.2)
    assert [[deal.id for deal in s.deals] for s in settlements] == [["a", "b"], ["c"]] or [
        [deal.id for deal in s.deals] for s in settlements
    ] == [["a", "b"], ["c"]]
    assert [deal.id for deal in book.closed(DEMO)] == [second.id, first.id]


def test_limits() -> None:
    book = Book(TradingConfig(concurrent_demo_max=2, amount_max=Decimal(100), live_balance=Decimal(50)))
    assert book.refusal(DEMO, Decimal(10)) is None
    for amount in ("0", "0.99", "100.01", "1.005", "NaN", "Infinity", "-1", "1E+400"):
        assert book.refusal(DEMO, Decimal(amount)) is Refusal.AMOUNT_INVALID
    assert book.refusal(LIVE, Decimal("50.01")) is Refusal.NOT_ENOUGH_MONEY
    assert book.refusal(DEMO, Decimal(1), waiting=2) is Refusal.MAX_DEMO_TRADES
    opened(book, id="a")
    opened(book, id="b")
    assert book.refusal(DEMO, Decimal(1)) is Refusal.MAX_DEMO_TRADES
    for number in range(50):
        opened(book, LIVE, id=f"l{number}", amount=Decimal("0.5"))
    assert book.refusal(LIVE, Decimal(1)) is Refusal.MAX_TRADES
    assert book.concurrent_max(LIVE) == 50


def test_cancelling_gives_the_stake_back_within_its_window() -> None:
    book = Book(TradingConfig(cancel_window_s=5))
    opened(book, id="a")
    opened(book, id="b")
    assert book.cancel(LIVE, "a", 2000, lambda asset: 1.3) is Refusal.NOT_FOUND
    deal = book.cancel(DEMO, "a", 6000, lambda asset: 1.3)
    assert isinstance(deal, Deal)
    assert (deal.profit, deal.close_price, deal.cancelled_ms) == (0, 1.3, 6000)
    assert book.account(DEMO).balance == Decimal(49_990)
    assert book.cancel(DEMO, "a", 6000, lambda asset: 1.3) is Refusal.NOT_FOUND
    assert book.cancel(DEMO, "b", 6001, lambda asset: 1.3) is Refusal.CANCEL_TIME
    book.settle(61_000, lambda asset, moment: 1.2)
    assert [deal.id for deal in book.closed(DEMO)] == ["b", "a"]
    assert book.account(DEMO).cancelled == 1


def test_refilling_is_for_practice_accounts_below_their_start() -> None:
    book = Book(TradingConfig())
    opened(book, amount=Decimal(500))
    assert book.refill(DEMO).balance == Decimal(50_000)
    assert book.refill(DEMO).deposited == Decimal(50_500)
    assert book.refill(LIVE).balance == Decimal(1000)


def test_orders_are_counted_by_name_however_often_they_come() -> None:
    book = Book(TradingConfig())
    for name in ("a", "b", "a"):
        book.count_order(name)
    assert book.orders == {"a": 2, "b": 1}


def test_closed_deals_are_bounded() -> None:
    book = Book(TradingConfig(closed_kept=20))
    for number in range(30):
        opened(book, id=str(number), now_ms=number, amount=Decimal(1))
        book.settle(60_000 + number, lambda asset, moment: 1.0)
    assert [deal.id for deal in book.closed(DEMO)] == [str(number) for number in range(29, 9, -1)]
    assert len(book.deals()[1]) == 20


@pytest.mark.parametrize("damage", ["balance", "staked", "missing"])
def test_a_book_whose_money_does_not_add_up_is_not_restored(damage: str) -> None:
    book = Book(TradingConfig())
    deal = opened(book)
    account = book.account(DEMO)
    if damage == "balance":
        account.balance += 1
    elif damage == "staked":
        account.staked += 1
        account.deposited += 1
    accounts = [] if damage == "missing" else [account]
    with pytest.raises(ValueError, match=r"add up|unknown account"):
        Book(TradingConfig()).restore(accounts, [deal], [])


class Money(RuleBasedStateMachine):
    """Any course of deals: nothing appears, nothing is lost, every deal ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book(TradingConfig(demo_balance=Decimal("1000.00"), concurrent_demo_max=20))
        self.now_ms = 0
        self.ends: dict[str, int] = {}
        self.count = 0

    @rule(
        key=st.sampled_from([DEMO, LIVE]),
        cents=st.integers(100, 60_000),
        percent=st.integers(0, 92),
        duration=st.integers(5, 300),
        command=st.sampled_from(Command),
        price=st.sampled_from([1.0, 1.1, 1.2]),
    )
    def open(
        self, key: AccountKey, cents: int, percent: int, duration: int, command: Command, price: float
    ) -> None:
        amount = Decimal(cents) / 100
        if self.book.refusal(key, amount) is None:
            self.count += 1
            deal = opened(
                self.book,
                key,
                id=str(self.count),
                amount=amount,
                percent=percent,
                duration_s=duration,
                command=command,
                price=price,
                now_ms=self.now_ms,
            )
            self.ends[deal.id] = 0

    @rule(seconds=st.integers(0, 200), price=st.sampled_from([1.0, 1.1, 1.2]))
    def pass_time(self, seconds: int, price: float) -> None:
        self.now_ms += seconds * 1000
        for settlement in self.book.settle(self.now_ms, lambda asset, moment: price):
            for deal in settlement.deals:
                self.ends[deal.id] += 1

    @rule(key=st.sampled_from([DEMO, LIVE]))
    def cancel(self, key: AccountKey) -> None:
        for deal in self.book.opened(key)[:1]:
            if isinstance(self.book.cancel(key, deal.id, self.now_ms, lambda asset: 1.0), Deal):
                self.ends[deal.id] += 1

    @rule()
    def refill(self) -> None:
        self.book.refill(DEMO)

    @rule()
    def restart(self) -> None:
        again = Book(TradingConfig(demo_balance=Decimal("1000.00"), concurrent_demo_max=20))
        again.restore(self.book.accounts.values(), *self.book.deals())
        self.book = again

    @invariant()
    def money_is_conserved(self) -> None:
        for key, account in self.book.accounts.items():
            staked = sum((deal.amount for deal in self.book.opened(key)), Decimal(0))
            closed = sum((deal.profit for deal in self.book.closed(key, 10**6)), Decimal(0))
            assert account.balance == account.deposited + closed - staked
            assert account.balance == account.balance.quantize(Decimal("0.01"))

    @invariant()
    def every_deal_ends_once(self) -> None:
        still = {deal.id for key in self.book.accounts for deal in self.book.opened(key)}
        assert all(ends == (0 if deal in still else 1) for deal, ends in self.ends.items())


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
