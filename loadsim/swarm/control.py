"""The venue's own pages, from outside: its counters, and what is made to go wrong in it."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import trio

from potrio.errors import PotrioError
from potrio.transport.target import parse_target

__all__ = ["VenueControl"]

TIMEOUT_S: Final = 10.0


class VenueControl:
    """Talks to ``/stats`` and ``/faults`` of a venue.

    Args:
        url: for clients (``ws://host:port/...``).
    """

    def __init__(self, url: str) -> None:
        target = parse_target(url)
        host = f"[{target.host}]" if ":" in target.host else target.host
        self._base = f"http{'s' if target.tls else ''}://{host}:{target.port}"
        self._rules: list[dict[str, Any]] = []

    async def stats(self) -> dict[str, Any]:
        """Its counters. Waits for its answer; cancelling abandons the question.

        Raises:
            PotrioError: it does not answer, or not with counters.
        """
        return await self._ask("GET", "/stats")

    async def add_faults(self, rules: Sequence[dict[str, Any]]) -> None:
        """Put faults into force; raises, waits and cancels as `stats`."""
        await self._ask("POST", "/faults", msgspec.json.encode(list(rules)))
        self._rules += rules

    async def remove_faults(self, rules: Sequence[dict[str, Any]]) -> None:
        """End these; others stay in force. Raises, waits and cancels as `stats`."""
        self._rules = [rule for rule in self._rules if rule not in rules]
        await self._ask("DELETE", "/faults")
        if self._rules:
            await self._ask("POST", "/faults", msgspec.json.encode(self._rules))

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        address = self._base + path

        def fetch() -> bytes:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            request = urllib.request.Request(address, body, method=method)  # http or https, made above
            try:
                with opener.open(request, timeout=TIMEOUT_S) as response:
                    found: bytes = response.read()
                    return found
            except urllib.error.HTTPError as error:
                error.close()  # it is the answer, too, with the socket in it
                raise

        try:
            answer = await trio.to_thread.run_sync(fetch, abandon_on_cancel=True)
            return msgspec.json.decode(answer, type=dict[str, Any])
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            raise PotrioError(f"the venue does not answer {method} {path}: {error}") from error
