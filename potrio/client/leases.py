"""Leases: a session of the account that is one holder's alone, for raw events that would be in the way elsewhere.

The pool has it beside the sessions that stream, under the same bound (``sessions_max``), with the same limits of the
account and the same choice of an address. It is a fresh one, and closed at the end: what was asked for on it is gone
with it, and nobody finds it changed.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import trio

from potrio.actor_errors import ChildNotFound
from potrio.actors.keys import CONNECTION
from potrio.actors.link import LinkCounters, Transmit
from potrio.actors.phases import LinkPhase
from potrio.actors.stream_router import SessionState
from potrio.client.core import ClientCore
from potrio.client.raw import CALLS, SHARED, RawAccess, RawPlace
from potrio.client.sessions import ref
from potrio.errors import ClientClosed, ConfigError, NotConnected, RequestError, RequestTimeout

__all__ = ["LeaseCalls", "LeasedSession"]

REFUSED: Final = {name: why for name, why in CALLS.items() if name not in SHARED}


class LeasedSession(RawAccess):
    """A session that nobody else uses, as long as its lease lasts: `raw`, `send_raw`, `request_raw` and the others.

    They are those of the client, but for this session alone. It may be asked for streams and history as well, as no
    reader is disturbed by it; what is answered is found with a tap only. Orders stay the client's.

    What the venue says by itself after a login may still be on the way when the block is entered.

    When its link is lost it connects again by itself, with nothing but the `keep_alive` events sent anew: who waits
    for an answer gets `NotConnected`, and `epoch` counts on. When it is over for good, every call and every open tap
    raises what ended it: AuthError, the last ConnectError, RequestError where it broke down, ClientClosed.
    """

    _refused = REFUSED

    def __init__(self, client: ClientCore, session: SessionState) -> None:
        self._client = client
        self._session = session
        self._given_back = False

    def __repr__(self) -> str:
        return f"<LeasedSession {self._session.number} at {self._session.link.url}: {self.phase.value}>"

    @property
    def phase(self) -> LinkPhase:
        """Where its link is in its life."""
        return LinkPhase.CLOSED if self._given_back else self._session.link.phase

    @property
    def epoch(self) -> int:
        """The number of its present connection, attempts included; the first is 1."""
        return self._session.link.epoch

    def wire_counters(self) -> LinkCounters:
        """What was on the wire of this session; in the client's statistics as well."""
        return self._session.link.total()

    async def wait_ready(self) -> None:
        """Wait until its link is up. Cancelling only stops the waiting.

        Raises:
            RequestError: the lease has ended.
            PotrioError: what ended the session for good; ClientClosed: the client has been closed.
        """
        self._check()
        try:
            await self._session.link.wait_ready()
        except ClientClosed:
            self._check()
            raise

    def _check(self) -> None:
        """Can it be used?"""
        if self._given_back:
            raise RequestError("the lease has ended")
        self._client._check_open()
        if self._session.link.fatal is not None:
            raise self._session.link.fatal
        if self._session.ended:
            raise ClientClosed("the client has been closed")

    def _place(self) -> RawPlace:
        self._check()
        session, client = self._session, self._client
        return RawPlace(
            session.router.raw, session.link, self._tell, client._ssid.session, client._config.seam
        )

    def _tell(self, message: Transmit) -> bool:
        try:
            connection = ref(self._client.supervisor, self._session, CONNECTION.name)
        except ChildNotFound as error:
            raise NotConnected("the session is just being ended; nothing was sent") from error
        return connection.tell(message)


class LeaseCalls(ClientCore):
    """Sessions of one's own; a part of `Client`."""

    @asynccontextmanager
    async def lease(self, *, timeout: float = math.inf) -> AsyncGenerator[LeasedSession, None]:
        """Have an additional session alone: ``async with client.lease() as session: await session.send_raw(...)``.

        Waits for a free place among the ``sessions_max``, those who came first going first, and until the session is
        up. Streams do not wait: they may take a place that gets free. When the block is left, however that is, the
        session is closed, which takes up to three seconds. `pause` and `resume` are for it too, `reconnect` is not.

        Args:
            timeout: seconds for both, more than 0. Without it, a cancel scope bounds the wait as well.

        Cancelled while it waits, it leaves no session behind.

        Raises:
            ConfigError: a timeout that is none.
            RequestError: ``sessions_max`` is 1, or the venue gives no further session; ``__cause__`` says why.
            RequestTimeout: there was no free place, or the session was not up, in time.
            ClientClosed: the client has been closed, or was while this waited.
        """
        self._check_open()
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise ConfigError("timeout", f"must be more than 0 seconds, not {timeout!r}")
        pool = self._shared.sessions
        assert pool is not None, "made before the client"
        with trio.move_on_after(timeout) as waiting:
            session = await pool.lend(self.supervisor)
        if waiting.cancelled_caught:
            raise RequestTimeout(f"all {pool.sessions_max} sessions were in use for {timeout:g} s")
        leased = LeasedSession(self, session)
        try:
            with trio.move_on_at(waiting.deadline) as coming:
                await pool.wait_up(session)
            if coming.cancelled_caught:
                raise RequestTimeout(f"the leased session was not up within {timeout:g} s")
            yield leased
        finally:
            leased._given_back = True
            await pool.take_back(self.supervisor, session)
