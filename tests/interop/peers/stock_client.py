"""A stock python-socketio client that logs in, streams, reads history and trades: it follows the specification.

Arguments: the venue's WebSocket URL, the SSID, and `trade` or `reject`. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections import defaultdict
from typing import Any

import socketio

URL, SSID, TASK = sys.argv[1:4]
BASE = URL.partition("/socket.io")[0]
ASSET = "EURUSD_otc"


class Peer:
    """The client and everything it has heard, by event name."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self.kinds: dict[str, set[str]] = defaultdict(set)
        self.closed = asyncio.Event()
        self.news = asyncio.Condition()
        self.client.on("*", self.on_event)
        self.client.on("disconnect", self.on_disconnect)

    async def on_event(self, name: str, *arguments: Any) -> None:
        argument = arguments[0] if arguments else None
        self.kinds[name].add("binary" if isinstance(argument, bytes) else "text")
        self.heard[name].append(json.loads(argument) if isinstance(argument, bytes) else argument)
        async with self.news:
            self.news.notify_all()

    async def on_disconnect(self, *reason: Any) -> None:
        self.closed.set()

    async def wait(self, name: str, count: int = 1, seconds: float = 10.0) -> Any:
        """The last payload of an event, once it has come `count` times."""
        async with self.news:
            enough = self.news.wait_for(lambda: len(self.heard[name]) >= count)
            try:
                await asyncio.wait_for(enough, seconds)
            except TimeoutError:
                raise SystemExit(
                    f"{name} came {len(self.heard[name])} of {count} times in {seconds} s"
                ) from None
        return self.heard[name][-1]

    async def connect(self) -> None:
        await self.client.connect(BASE, transports=["websocket"], socketio_path="socket.io")
        await self.client.emit("auth", json.loads(SSID[2:])[1])


async def trade() -> dict[str, Any]:
    peer = Peer()
    await peer.connect()
    assets = await peer.wait("updateAssets")
    success = await peer.wait("successauth")
    before = await peer.wait("successupdateBalance")

    await peer.client.emit("changeSymbol", {"asset": ASSET, "period": 60})
    names = ("updateHistoryNewFast", "updateHistoryNew")
    await asyncio.wait(
        [asyncio.ensure_future(peer.wait(name)) for name in names], return_when=asyncio.FIRST_COMPLETED
    )
    history = next(peer.heard[name][0] for name in names if peer.heard[name])
    query = {"asset": ASSET, "index": 7, "time": int(time.time()) + 7200, "offset": 600, "period": 60}
    await peer.client.emit("loadHistoryPeriod", query)
    page = await peer.wait("loadHistoryPeriodFast")
    await peer.wait("updateStream", 5)

    request_id = str(uuid.uuid4())
    order = {
        "asset": ASSET,
        "amount": 10,
        "action": "call",
        "isDemo": 1,
        "requestId": request_id,
        "optionType": 100,
    }
    balances = len(peer.heard["successupdateBalance"])
    await peer.client.emit("openOrder", {**order, "time": 5})
    opened = await peer.wait("successopenOrder")
    debited = await peer.wait("successupdateBalance", balances + 1)
    closed = await peer.wait("successcloseOrder", seconds=15)
    settled = peer.heard["successupdateBalance"][-1]
    closed_list = await peer.wait("updateClosedDeals", 2)
    await peer.client.disconnect()
    return {
        "assets": len(assets),
        "columns": sorted({len(row) for row in assets}),
        "success": sorted(success),
        "before": before["balance"],
        "debited": debited["balance"],
        "settled": settled["balance"],
        "history": len(history["history"]),
        "candles": history["candles"],
        "page": page,
        "ticks": [rows for rows in peer.heard["updateStream"]],
        "echoed": opened["requestId"] == request_id,
        "opened": opened,
        "closed": closed,
        "closed_first": closed_list[0]["id"],
        "request_id": request_id,
        "text_events": sorted(name for name, kinds in peer.kinds.items() if "text" in kinds),
    }


async def reject() -> dict[str, Any]:
    peer = Peer()
    await peer.connect()
    started = time.monotonic()
    await asyncio.wait_for(peer.closed.wait(), 30)
    return {
        "events": sorted(peer.heard),
        "kinds": {name: sorted(kinds) for name, kinds in peer.kinds.items()},
        "seconds": time.monotonic() - started,
    }


print(json.dumps(asyncio.run({"trade": trade, "reject": reject}[TASK]())))
