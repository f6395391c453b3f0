"""A trading program is killed at every step around the send; the venue's own record says that P1 and P2 hold."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import trio

from loadsim.venue import VenueConfig, open_venue
from loadsim.venue.config import TradingConfig

from .hurried import RATE, HurriedClock, HurriedSeam

ASSET, OTHER = "#AAPL_otc", "EURUSD_otc"
ACCOUNTS = 6
KILLS_MIN = 50
TRIES = 5
STEPS = 64
RANDOM_KILLS = 12
SESSION = "a0test0session0of0potrio0x"


def ssid(uid: int) -> str:
    return f'42["auth",{{"session":"{SESSION}","isDemo":1,"uid":{uid},"platform":2}}]'


class Program:
    """The program that is killed, again and again, and its account of what it was told."""

    def __init__(self, url: str, journal: Path, start: float) -> None:
        self.common = {"url": url, "journal": str(journal), "start": start}
        self.process: trio.Process | None = None
        self.asked: dict[str, str] = {}  # every request id that was ever handed to `place`, and its amount
        self.last: dict[int, list[tuple[str, str, str]]] = {}  # account -> the orders of its last run
        self.runs = 0
        self.kills = 0

    async def run(self, uid: int, orders: int = 0, **job) -> dict:
        self.runs += 1
        wanted = []
        for n in range(orders):
            request_id, amount = f"run{self.runs}-{n}", str(Decimal(100 + self.runs) / 10 + n * 1000)
            if n == 2:
                amount = "9000000"  # more than there is: the venue refuses it
            self.asked[request_id] = amount
            wanted.append((request_id, (ASSET, OTHER, ASSET)[n], amount))
        if orders:  # a program that was killed wants its orders again, under the same ids
            wanted, self.last[uid] = self.last.get(uid, []) + wanted, wanted
        line = json.dumps({**self.common, "ssid": ssid(uid), "orders": wanted, **job}) + "\n"
        assert self.process is not None
        await self.process.stdin.send_all(line.encode())
        answer = b""
        while not answer.endswith(b"\n"):
            more = await self.process.stdout.receive_some()
            assert more, "the program's parent has ended"
            answer += more
        result = json.loads(answer)
        self.kills += result["code"] == -signal.SIGKILL
        assert result["code"] in (0, -signal.SIGKILL), result
        return result


@asynccontextmanager
async def started(program: Program) -> AsyncIterator[None]:
    """The parent of the programs runs for as long as this block."""
    process = program.process = await trio.lowlevel.open_process(
        [sys.executable, str(Path(__file__).with_name("hurried.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    async with process.stdin, process.stdout:
        try:
            yield
        except BaseException:
            process.kill()
            raise
        finally:
            await process.stdin.aclose()
            with trio.CancelScope(shield=True):
                await process.wait()


async def kill_and_check(tmp_path: Path) -> None:
    start = time.time()
    config = VenueConfig(seed=3, trading=TradingConfig(amount_max=Decimal(20_000)))
    journal = tmp_path / "orders.db"
    seam = HurriedSeam(start)
    async with open_venue(config, seam=seam) as venue:
        program = Program(venue.url, journal, start)
        async with started(program):
            await kill_at_every_step(program)
            check(program, journal, venue)


async def kill_at_every_step(program: Program) -> None:
    """Kill it at each of its first steps and at some moments; then let every order come to its end."""
    whole: dict = {}
    for _ in range(TRIES):  # unharmed: how many steps there are
        whole = await program.run(1, orders=3)
        if whole.get("steps", 0) >= STEPS:  # less where a stalled machine made an order too old to be sent
            break
    assert whole["steps"] >= STEPS, whole
    for last in range(1, STEPS + 1):
        await program.run(1 + last % ACCOUNTS, orders=3, last=last)
    await end_all(program)
    chance = random.Random(7)
    for n in range(RANDOM_KILLS):
        await program.run(1 + n % ACCOUNTS, orders=3, kill_in=chance.uniform(0.0005, 0.1))
    await end_all(program)
    assert program.kills >= KILLS_MIN, (program.kills, program.runs, whole)


async def end_all(program: Program) -> None:
    """Start the program once more for each account, only to see every order to its end."""
    for uid in range(1, ACCOUNTS + 1):
        for _ in range(TRIES):
            result = await program.run(uid, within=400.0)
            if set(result.get("states", {"": ""}).values()) <= {"settled", "void", "rejected", "denied"}:
                break
        else:
            raise AssertionError(f"not all orders came to an end: {result}")


def check(program: Program, journal: Path, venue) -> None:
    """Compare the journal with the venue's own record."""
    sent = {str(request_id): count for request_id, count in venue.stats()["orders"].items()}
    assert set(sent.values()) == {1}, "P1: an order reached the venue twice"
    opened, closed = venue.exchange.book.deals()
    assert opened == []
    deals = {msgspec.json.decode(deal.request_id): deal for deal in closed}
    reader = sqlite3.connect(journal)
    rows = {
        request_id: (state, amount, deal_id, profit)
        for request_id, state, amount, deal_id, profit in reader.execute(
            "SELECT request_id, state, amount, deal_id, profit FROM orders"
        )
    }
    reader.close()
    assert set(sent) <= set(rows) <= set(program.asked), (
        "I2: what reached the venue was in the journal before"
    )
    ends = {"settled": 0, "void": 0, "rejected": 0, "denied": 0}
    for request_id, (state, amount, deal_id, profit) in rows.items():
        ends[state] += 1
        assert Decimal(amount) == Decimal(program.asked[request_id])
        if state == "settled":
            assert (deal_id, Decimal(profit)) == (deals[request_id].id, deals[request_id].profit), request_id
        else:
            assert request_id not in deals, (
                f"P2: {request_id} is {state}, and the venue has {deals[request_id]}"
            )
        if state == "denied":
            assert request_id not in sent, request_id
    assert set(deals) == {request_id for request_id, row in rows.items() if row[0] == "settled"}
    assert all(ends[state] for state in ("settled", "void", "rejected")), ends  # each end was met


def test_a_kill_at_any_step_sends_nothing_twice_and_loses_nothing(tmp_path):
    trio.run(kill_and_check, tmp_path, clock=HurriedClock())
    assert RATE > 1
