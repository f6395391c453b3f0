"""A stock python-socketio server that speaks the venue's events: what our client must cope with besides our own venue.

Run with the Python of `.venv-peers`. It prints `ready PORT`, serves until its standard input ends, then prints one
JSON line with what it saw. The framing, heartbeats and acknowledgements are python-socketio's, not ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from typing import Any

import socketio
from aiohttp import web

ZONE_S = 7200
ASSET = "EURUSD_otc"
DURATIONS = [{"time": each} for each in (5, 15, 30, 60, 300)]
ROWS = [
    [5, "#AAPL", "Apple", "stock", 2, 50, 60, 30, 3, 0, 170, 0, [], 0, True, DURATIONS, 0, 60, -1],
    [66, ASSET, "EUR/USD OTC", "currency", 5, 82, 60, 5, 3, 1, 0, 1, [], 0, True, DURATIONS, 0, 5, -1],
]
PAYOUT = 82

seen: dict[str, Any] = {"events": {}, "orders": [], "connections": 0, "disconnections": 0, "early": []}
server = socketio.AsyncServer(
    async_mode="aiohttp", always_connect=True, ping_interval=1, ping_timeout=30, cors_allowed_origins="*"
)
accounts: dict[str, dict[str, Any]] = {}
tasks: set[asyncio.Task[None]] = set()


def stamp() -> float:
    """The venue's clock: two hours ahead of UTC."""
    return round(time.time() + ZONE_S, 3)


def price(at: float) -> float:
    """A price that differs from second to second and is the same for everybody."""
    return round(1.1 + (int(at * 2) % 97) / 100_000, 5)


async def push(sid: str, name: str, payload: Any) -> None:
    """One event with one binary attachment, as the venue sends them."""
    await server.emit(name, json.dumps(payload, separators=(",", ":")).encode(), to=sid)


def start(coroutine: Any) -> None:
    """Run in the background, and keep a reference until it is done."""
    task = asyncio.create_task(coroutine)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


@server.event
async def connect(sid: str, environ: dict[str, Any]) -> None:
    seen["connections"] += 1
    await push(sid, "updateAssets", ROWS)


@server.event
async def disconnect(sid: str, *reason: Any) -> None:
    seen["disconnections"] += 1
    accounts.pop(sid, None)


@server.on("*")
async def any_event(name: str, sid: str, *arguments: Any) -> None:
    seen["events"][name] = seen["events"].get(name, 0) + 1
    argument = arguments[0] if arguments else None
    if name == "auth":
        await authenticate(sid, argument)
        return
    if sid not in accounts:
        seen["early"].append(name)
        return
    match name:
        case "getBalance" | "updateBalance":
            await balance(sid)
        case "changeSymbol":
            await history(sid, argument)
        case "loadHistoryPeriod":
            await period(sid, argument)
        case "openOrder":
            await order(sid, argument)
        case "updateOpenedDeals":
            await push(sid, "updateOpenedDeals", list(accounts[sid]["open"].values()))
        case "indicator/load" | "price-alert/load":
            await push(sid, f"success{name}", [])


async def authenticate(sid: str, argument: dict[str, Any]) -> None:
    if argument.get("session") == "refusedsession00":
        await server.emit("NotAuthorized", to=sid)
        await server.disconnect(sid)
        return
    accounts[sid] = {
        "balance": 1000.0,
        "open": {},
        "closed": [],
        "isDemo": argument["isDemo"],
        "uid": argument["uid"],
    }
    await push(sid, "successauth", {"id": uuid.uuid4().hex, "serverName": "stock python-socketio"})
    await balance(sid)
    await push(sid, "updateOpenedDeals", [])
    await push(sid, "updateClosedDeals", [])


async def balance(sid: str) -> None:
    account = accounts[sid]
    await push(sid, "successupdateBalance", {"isDemo": account["isDemo"], "balance": account["balance"]})


async def history(sid: str, argument: dict[str, Any]) -> None:
    asset, seconds = argument["asset"], argument["period"]
    now = stamp()
    ticks = [[now - 60 + n / 2, price(now - 60 + n / 2)] for n in range(120)]
    newest = int(now // seconds) * seconds
    candles = [[newest - n * seconds, *candle(newest - n * seconds, seconds)] for n in range(100)]
    payload = {"asset": asset, "period": seconds, "history": ticks, "candles": candles}
    await push(sid, "updateHistoryNewFast", payload)
    if asset not in accounts[sid].setdefault("streams", set()):
        accounts[sid]["streams"].add(asset)
        start(stream(sid, asset))


def candle(start_s: int, seconds: int) -> list[float]:
    """Open, close, high and low, in the wire's order."""
    prices = [price(start_s + seconds * n / 120) for n in range(120)]
    return [prices[0], prices[-1], max(prices), min(prices)]


async def period(sid: str, argument: dict[str, Any]) -> None:
    seconds, end = argument["period"], int(argument["time"])
    first = (end - int(argument["offset"])) // seconds * seconds
    rows = []
    for at in range(first, end, seconds):
        opened, closed, high, low = candle(at, seconds)
        row = {"symbol_id": 66, "time": at, "open": opened, "close": closed, "high": high, "low": low}
        rows.append({**row, "asset": argument["asset"], "volume": 1})
    answer = {"asset": argument["asset"], "index": argument["index"], "period": seconds, "data": rows}
    await push(sid, "loadHistoryPeriodFast", answer)


async def stream(sid: str, asset: str) -> None:
    while sid in accounts:
        at = stamp()
        await push(sid, "updateStream", [[asset, at, price(at)]])
        await asyncio.sleep(0.1)


def text_of(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


async def order(sid: str, argument: dict[str, Any]) -> None:
    seen["orders"].append(argument["requestId"])
    account = accounts[sid]
    amount, at = argument["amount"], stamp()
    deal = {
        "id": str(uuid.uuid4()),
        "openTime": text_of(at),
        "closeTime": text_of(at + argument["time"]),
        "openTimestamp": int(at),
        "closeTimestamp": int(at) + argument["time"],
        "uid": account["uid"],
        "isDemo": account["isDemo"],
        "amount": amount,
        "profit": round(float(amount) * PAYOUT / 100, 2),
        "percentProfit": PAYOUT,
        "percentLoss": 100,
        "openPrice": price(at),
        "copyTicket": "",
        "closePrice": 0,
        "command": 0 if argument["action"] == "call" else 1,
        "asset": argument["asset"],
        "openMs": int(at * 1000) % 1000,
        "optionType": 100,
        "isCopySignal": False,
        "currency": "USD",
    }
    account["open"][deal["id"]] = deal
    account["balance"] = round(account["balance"] - float(amount), 2)
    await push(sid, "successopenOrder", {**deal, "requestId": argument["requestId"]})
    await balance(sid)
    start(settle(sid, deal))


async def settle(sid: str, deal: dict[str, Any]) -> None:
    await asyncio.sleep(deal["closeTimestamp"] - deal["openTimestamp"])
    account = accounts.get(sid)
    if account is None:
        return
    closed = {**deal, "closePrice": round(deal["openPrice"] + 0.0001, 5), "closeMs": 0}
    won = deal["command"] == 0
    closed["profit"] = deal["profit"] if won else -float(deal["amount"])
    if won:
        account["balance"] = round(account["balance"] + float(deal["amount"]) + deal["profit"], 2)
    del account["open"][deal["id"]]
    account["closed"].insert(0, closed)
    await balance(sid)
    await push(sid, "successcloseOrder", {"profit": max(closed["profit"], 0), "deals": [closed]})
    await push(sid, "updateClosedDeals", account["closed"])


async def main() -> None:
    application = web.Application()
    server.attach(application)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.2)
    await site.start()
    print("ready", runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps(seen), flush=True)
    await runner.cleanup()


asyncio.run(main())
