"""A world in a hurry: real processes, sockets and disks, but twenty seconds of every clock pass in one.

All processes that are given the same start have the same time, so that a day of waiting for the venue's lists fits a
test. Also a program that trades and can be killed at a step: ``python hurried.py`` imports everything once and forks
for each line of JSON on its standard input, so that fifty processes do not cost fifty starts of Python.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import trio

from potrio import Config, open_client
from potrio.errors import ClockUnknown, PotrioError
from potrio.seam import Seam

RATE = 20.0


class HurriedClock(trio.abc.Clock):
    """Trio's clock, so many times as fast."""

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return time.perf_counter() * RATE

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return (deadline - self.current_time()) / RATE


class HurriedSeam(Seam):
    """The real world, with a wall clock that is in as much of a hurry since ``start``."""

    def __init__(self, start: float) -> None:
        self.start = start

    def wall(self) -> float:
        return self.start + (time.time() - self.start) * RATE


class Steps:
    """Counts the steps of a program, and ends it at one of them."""

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.armed = False
        self.count = 0

    def step(self) -> None:
        if not self.armed:
            return
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


class SteppingDatabase(sqlite3.Connection):
    """Every statement is a step before, and one after it."""

    steps: Steps

    def execute(self, *arguments: Any) -> Any:
        self.steps.step()
        cursor = super().execute(*arguments)
        self.steps.step()
        return cursor


class SteppingStream(trio.abc.Stream):
    """Every write is a step before it, one in its middle and one after it; every read is one after it."""

    def __init__(self, stream: trio.abc.Stream, steps: Steps) -> None:
        self.stream = stream
        self.steps = steps

    async def send_all(self, data: Any) -> None:
        data, half = bytes(data), len(data) // 2
        self.steps.step()
        await self.stream.send_all(data[:half])
        self.steps.step()
        await self.stream.send_all(data[half:])
        self.steps.step()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = bytes(await self.stream.receive_some(max_bytes))
        self.steps.step()
        return data

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.stream.aclose()


class SteppingSeam(HurriedSeam):
    """Disk and network, in steps."""

    def __init__(self, start: float, steps: Steps) -> None:
        super().__init__(start)
        self.steps = steps

    async def connect_tcp(self, family: int, address: Any) -> trio.abc.Stream:
        return SteppingStream(await super().connect_tcp(family, address), self.steps)

    def open_database(self, path: Any) -> sqlite3.Connection:
        super().open_database(path).close()
        database = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=SteppingDatabase
        )
        database.steps = self.steps
        return database

    async def in_thread(self, function: Any) -> Any:
        def stepping() -> Any:
            result = function()
            self.steps.step()
            return result

        self.steps.step()
        result = await super().in_thread(stepping)
        self.steps.step()
        return result


async def trade(job: dict[str, Any]) -> dict[str, Any]:
    """Place the orders of a job, or without any wait until those of before have ended."""
    steps = Steps(job.get("last"))
    seam = SteppingSeam(job["start"], steps)
    config = Config(
        ssid=job["ssid"], url=job["url"], journal=job["journal"], seam=seam, handshake_timeout_s=200.0
    )
    errors = []
    async with open_client(config) as client:
        if job["orders"] or job.get("pending"):
            if job.get("kill_in") is not None:
                signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
                signal.setitimer(signal.ITIMER_REAL, job["kill_in"])
            steps.armed = True
            handles = []
            for request_id, asset, amount in job["orders"]:
                try:
                    handles.append(
                        await client.place(
                            asset, "call", Decimal(amount), duration=5, valid_for=20, request_id=request_id
                        )
                    )
                except PotrioError as error:
                    errors.append(f"{request_id}: {error}")
            for handle in [*handles, *await place_pending(client, job, errors)]:
                try:
                    await handle.result()
                except PotrioError as error:
                    errors.append(f"{handle.request_id}: {error}")
            steps.armed = False
        else:
            with trio.move_on_after(job["within"]):
                for handle in list(client.pending.values()):
                    if handle.request_id.endswith("taken back"):
                        await handle.cancel()
                while client.pending or not all(handle.state.ended for handle in client.orders.values()):  # noqa: ASYNC110  # of many handles
                    await trio.sleep(0.2)
        states = {request_id: handle.state.value for request_id, handle in client.orders.items()}
        states |= {request_id: handle.state.value for request_id, handle in client.pending.items()}
    return {"states": states, "steps": steps.count, "errors": errors}


async def place_pending(client: Any, job: dict[str, Any], errors: list[str]) -> list[Any]:
    """Place the pending orders of a job; those that are to be taken back are, as soon as the venue has them."""
    handles = []
    for request_id, asset, amount, at in job.get("pending", ()):
        with trio.move_on_after(100):  # until the venue's clock is known
            while not clock_is_known(client):  # noqa: ASYNC110  # nobody is told
                await trio.sleep(0.5)
        try:
            handle = await client.place_pending(
                asset,
                "put",
                Decimal(amount),
                at_time=datetime.fromtimestamp(at, UTC),
                duration=5,
                valid_for=20,
                request_id=request_id,
            )
            if request_id.endswith("taken back"):
                await handle.working()
                await handle.cancel()
            else:
                handles.append(handle)
        except PotrioError as error:
            errors.append(f"{request_id}: {error}")
    return handles


def clock_is_known(client: Any) -> bool:
    try:
        client.venue_time()
    except ClockUnknown:
        return False
    return True


def serve() -> None:
    """Run one job for each line, in a process of its own; answer with its result, or with the signal that ended it."""
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                result = trio.run(trade, json.loads(line), clock=HurriedClock())
            except (
                PotrioError
            ) as error:  # a busy machine: a second of it is twenty of ours, and a link may not open
                result = {"failed": f"{type(error).__name__}: {error}"}
            os.write(writer, json.dumps(result).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, **(json.loads(said) if said else {})}), flush=True)


if __name__ == "__main__":
    serve()
