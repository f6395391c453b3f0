"""The venue's own pages, for this machine only: ``GET /stats``, and ``/faults`` to make things go wrong.

``POST /faults`` takes one fault (`faults.py`) or a list of them as JSON; ``GET`` shows those in force, ``DELETE``
forgets them. A request with an ``Origin`` comes from a web page, and one with a foreign ``Host`` from a name that was
made to point here: both are refused, on both pages. What is counted names accounts and their money.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from loadsim.venue.admission import Peer, is_loopback
from loadsim.venue.config import convert
from loadsim.venue.exchange import Exchange
from loadsim.venue.faults import Fault
from loadsim.venue.front import JSON
from loadsim.venue.wire import to_json
from potrio.errors import ConfigError, LimitExceeded
from potrio.protocol.json_guard import JSON_ERRORS, check_depth
from potrio.transport.accept import HttpRequest

__all__ = ["Control"]

LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


class Control:
    """Answers the pages.

    Args:
        exchange: whose faults and counters they are.
        snapshot: gives the statistics.
    """

    def __init__(self, exchange: Exchange, snapshot: Callable[[], dict[str, Any]]) -> None:
        self._exchange = exchange
        self._snapshot = snapshot

    async def answer(self, request: HttpRequest, peer: Peer) -> bool:
        """Answer a request; False if it is for no page of ours.

        Waits while the client does not read, a bounded time. Cancelling closes the connection.
        """
        if request.path not in ("/stats", "/faults"):
            return False
        refusal = _refusal(request, peer)
        if refusal:
            await request.respond(403, to_json({"error": refusal}), JSON)
        elif request.path == "/faults":
            status, value = self._faults(request)
            await request.respond(status, to_json(value), JSON)
        elif request.method != "GET":
            await request.respond(405, b"only GET\n", headers=[("Allow", "GET")])
        else:
            await request.respond(200, to_json(self._snapshot()), JSON)
        return True

    def _faults(self, request: HttpRequest) -> tuple[int, dict[str, Any]]:
        plan = self._exchange.plan
        match request.method:
            case "GET":
                return 200, {"faults": plan.rules()}
            case "DELETE":
                plan.clear()
                return 200, {"faults": []}
            case "POST":
                return self._add(request.body)
            case _:
                return 405, {"error": "only GET, POST and DELETE"}

    def _add(self, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            check_depth(body)
            value = msgspec.json.decode(body)
        except (*JSON_ERRORS, LimitExceeded) as error:
            return 400, {"error": f"not JSON: {error}"}
        try:
            faults = convert(value if isinstance(value, list) else [value], tuple[Fault, ...], "faults")
            self._exchange.plan.add(tuple(fault for fault in faults if not fault.is_immediate))
        except ConfigError as error:
            return 400, {"error": str(error)}
        self._exchange.hurt_at_once(fault for fault in faults if fault.is_immediate)
        return 200, {"added": len(faults), "faults": self._exchange.plan.rules()}


def _refusal(request: HttpRequest, peer: Peer) -> str:
    """Say why a request is not answered; "" where it is."""
    if not is_loopback(peer):
        return "this page is for this machine only"
    if request.header("origin") is not None:
        return "this page is not for the scripts of web pages"
    host = (request.header("host") or "").lower()
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name = host
    if name not in LOCAL_NAMES:
        return "this page is asked for by a loopback address"
    return ""
