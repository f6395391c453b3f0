"""Killed at every step, a program wants its pending orders again, and takes some back: the venue has each once."""

from __future__ import annotations

import random
import sqlite3
import time
from decimal import Decimal
from pathlib import Path

import trio

from loadsim.venue import VenueConfig, open_venue
from loadsim.venue.config import TradingConfig

from .hurried import HurriedClock, HurriedSeam
from .test_journal_kill import ASSET, OTHER, TRIES, Program, started

ACCOUNTS = 6
KILLS_MIN = 50
STEPS = 60
RANDOM_KILLS = 12
OPENS_IN_S = 40
TAKEN_BACK = "taken back"
ENDS = {"triggered", "cancelled", "void", "denied"}


class PendingProgram(Program):
    """Each run wants one that opens soon and one that is taken back, and those of the account's run before."""

    def __init__(self, url: str, journal: Path, seam: HurriedSeam) -> None:
        super().__init__(url, journal, seam.start)
        self.seam = seam
        self.wanted: dict[int, list[tuple[str, str, str, int]]] = {}

    async def run_pending(self, uid: int, **job) -> dict:
        run, now = self.runs, int(self.seam.wall())
        new = []
        for n, name in enumerate((TAKEN_BACK, "opens")):
            amount = str(Decimal(100 + run) / 10 + n * 1000)
            request_id = f"run{run}-{name}"
            self.asked[request_id] = amount
            new.append((request_id, (OTHER, ASSET)[n], amount, now + (OPENS_IN_S if n else 9000)))
        pending, self.wanted[uid] = self.wanted.get(uid, []) + new, new
        return await self.run(uid, pending=pending, **job)


async def kill_and_check(tmp_path: Path) -> None:
    start = time.time()
    seam = HurriedSeam(start)
    journal = tmp_path / "orders.db"
    config = VenueConfig(seed=3, trading=TradingConfig(amount_max=Decimal(20_000)))
    async with open_venue(config, seam=seam) as venue:
        taken: list[Decimal] = []
        add = venue.exchange.pending.add

        def adding(order) -> None:
            taken.append(order.amount)
            add(order)

        venue.exchange.pending.add = adding
        program = PendingProgram(venue.url, journal, seam)
        async with started(program):
            await kill_at_every_step(program)
            check(program, journal, venue, taken)


async def kill_at_every_step(program: PendingProgram) -> None:
    for last in range(1, STEPS + 1):
        await program.run_pending(1 + last % ACCOUNTS, last=last)
    await end_all(program)
    chance = random.Random(7)
    for n in range(RANDOM_KILLS):
        await program.run_pending(1 + n % ACCOUNTS, kill_in=chance.uniform(0.0005, 0.6))
    await end_all(program)
    assert program.kills >= KILLS_MIN, (program.kills, program.runs)


async def end_all(program: PendingProgram) -> None:
    """Start the program once more for each account, only to see everything to its end."""
    over = ENDS | {"settled", "rejected"}
    for uid in range(1, ACCOUNTS + 1):
        for _ in range(TRIES):
            result = await program.run(uid, within=400.0)
            if "states" in result and set(result["states"].values()) <= over:
                break
        else:
            raise AssertionError(f"not all orders came to an end: {result}")


def check(program: PendingProgram, journal: Path, venue, taken: list[Decimal]) -> None:
    """Compare the journal with the venue's own record: each order has an amount of its own."""
    assert len(set(taken)) == len(taken), "P1: a pending order reached the venue twice"
    assert list(venue.exchange.pending) == []
    opened, closed = venue.exchange.book.deals()
    assert opened == []
    deals = {deal.amount: deal for deal in closed}
    assert len(deals) == len(closed)
    reader = sqlite3.connect(journal)
    rows = reader.execute("SELECT request_id, state, amount, deal_id, ticket FROM pending").fetchall()
    orders = {
        deal_id: (request_id, state, Decimal(profit))
        for deal_id, request_id, state, profit in reader.execute(
            "SELECT deal_id, request_id, state, profit FROM orders"
        )
    }
    reader.close()
    known = {Decimal(row[2]) for row in rows}
    assert set(taken) <= known, "I2: what reached the venue was in the journal before"
    assert {row[0] for row in rows} <= set(program.asked)
    ends = dict.fromkeys(ENDS, 0)
    for request_id, state, amount, deal_id, ticket in rows:
        ends[state] += 1
        amount = Decimal(amount)
        assert amount == Decimal(program.asked[request_id])
        if state == "triggered":
            deal = deals[amount]
            assert deal_id == deal.id
            assert orders[deal_id] == (ticket or request_id, "settled", deal.profit)
        else:
            assert amount not in deals, f"P2: {request_id} is {state}, and the venue has {deals[amount]}"
        if state == "denied":
            assert amount not in taken, f"P2: {request_id} is denied, and the venue took it on"
        if (
            state == "void"
        ):  # it is not there; that it was, until it was taken back, a death may have kept from us
            assert amount not in taken or request_id.endswith(TAKEN_BACK), request_id
        if state == "cancelled":
            assert request_id.endswith(TAKEN_BACK)
            assert amount in taken
    assert set(deals) == {Decimal(row[2]) for row in rows if row[1] == "triggered"}
    assert ends["triggered"] >= 5, ends
    assert ends["cancelled"] >= 5, ends
    assert ends["void"] >= 1, ends


def test_a_kill_at_any_step_sends_no_pending_order_twice_and_loses_none(tmp_path):
    trio.run(kill_and_check, tmp_path, clock=HurriedClock())
