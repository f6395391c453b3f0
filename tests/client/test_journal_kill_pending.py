"""A program that places pending orders is killed at every step around the send; the venue opens each once at most."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import trio

from loadsim.venue import VenueConfig, open_venue

from .hurried import HurriedClock, HurriedSeam
from .test_journal_kill import ASSET, TRIES, ssid

ACCOUNTS = 4
STEPS = 24
KILLS_MIN = 20
OPENS_IN_S = 25
"""Some seconds of the hurried clock: more than a start takes, also of a busy machine."""


class Killer:
    """The program, killed again and again, and what it was asked for."""

    def __init__(self, url: str, journal: Path, seam: HurriedSeam, process: trio.Process) -> None:
        self.common = {"url": url, "journal": str(journal), "start": seam.start}
        self.seam = seam
        self.process = process
        self.amounts: dict[str, Decimal] = {}  # request id -> amount; no two are equal
        self.kills = 0

    async def run(self, uid: int, *, places: bool, **job) -> dict:
        pending = []
        if places:
            request_id, amount = f"p{len(self.amounts)}", Decimal(100 + len(self.amounts)) / 10
            self.amounts[request_id] = amount
            pending.append((request_id, ASSET, str(amount), int(self.seam.wall()) + OPENS_IN_S))
        job = {**self.common, "ssid": ssid(uid), "orders": [], "pending": pending, **job}
        await self.process.stdin.send_all(json.dumps(job).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            more = await self.process.stdout.receive_some()
            assert more, "the program's parent has ended"
            answer += more
        result = json.loads(answer)
        assert result["code"] in (0, -signal.SIGKILL), result
        self.kills += result["code"] == -signal.SIGKILL
        return result


async def kill_and_check(tmp_path: Path) -> None:
    seam, journal = HurriedSeam(time.time()), tmp_path / "orders.db"
    async with open_venue(VenueConfig(seed=3), seam=seam) as venue:
        process = await trio.lowlevel.open_process(
            [sys.executable, str(Path(__file__).with_name("hurried.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        async with process.stdin, process.stdout:
            try:
                killer = Killer(venue.url, journal, seam, process)
                await kill_at_every_step(killer)
                check(killer, journal, venue)
            except BaseException:
                process.kill()
                raise
            finally:
                await process.stdin.aclose()
                with trio.CancelScope(shield=True):
                    await process.wait()


async def kill_at_every_step(killer: Killer) -> None:
    for _ in range(TRIES):  # unharmed: how many steps there are
        whole = await killer.run(1, places=True)
        if whole.get("steps", 0) >= STEPS:
            break
    assert whole["steps"] >= STEPS, whole
    for last in range(1, STEPS + 1):
        await killer.run(1 + last % ACCOUNTS, places=True, last=last)
    assert killer.kills >= KILLS_MIN, killer.kills
    for uid in range(1, ACCOUNTS + 1):
        for _ in range(TRIES):
            result = await killer.run(uid, places=False, within=400.0)
            if set(result.get("states", {"": ""}).values()) <= {"settled", "void", "rejected", "denied"}:
                break
        else:
            raise AssertionError(f"not all orders came to an end: {result}")


def check(killer: Killer, journal: Path, venue) -> None:
    """Compare the journal with the venue's own record."""
    opened, closed = venue.exchange.book.deals()
    assert (opened, list(venue.exchange.pending)) == ([], [])
    deals = {Decimal(str(deal.amount)): deal.id for deal in closed}
    assert set(Counter(Decimal(str(deal.amount)) for deal in closed).values()) == {1}, (
        "P1: one was sent twice"
    )
    reader = sqlite3.connect(journal)
    rows = reader.execute("SELECT request_id, state, amount, deal_id FROM pending").fetchall()
    orders = dict(reader.execute("SELECT deal_id, state FROM orders").fetchall())
    reader.close()
    ends: Counter[str] = Counter()
    for request_id, state, amount, deal_id in rows:
        ends[state] += 1
        assert Decimal(amount) == killer.amounts[request_id]
        if state == "triggered":
            assert deal_id == deals[Decimal(amount)], request_id
            assert orders[deal_id] == "settled", request_id
        else:
            assert state in ("void", "denied"), (request_id, state)
            assert Decimal(amount) not in deals, f"P2: {request_id} is {state}, and the venue has its deal"
    journaled = {Decimal(row[2]) for row in rows}
    assert set(deals) <= journaled, "I2: what reached the venue was in the journal before"
    assert ends["triggered"] > 1, ends
    assert ends["void"], ends


def test_a_kill_at_any_step_opens_nothing_twice_and_loses_nothing(tmp_path):
    trio.run(kill_and_check, tmp_path, clock=HurriedClock())
