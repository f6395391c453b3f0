"""The light lane: one task for each client: our transport, a session without I/O, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import trio

from loadsim.plan.schedule import Arrival
from loadsim.swarm.link_seam import LinkSeam
from loadsim.swarm.player import EventOut, Player
from loadsim.swarm.stage import Stage
from potrio.errors import ConnectTimeout, PotrioError, RemoteProtocolError
from potrio.limits import HANDSHAKE_TIMEOUT, PS_INTERVAL
from potrio.protocol.client_session import ClientSession
from potrio.protocol.events import Authenticated, Closed, Connected, EventReceived, EventRun, SessionEvent
from potrio.protocol.frames import Message
from potrio.protocol.messages.codec import decode_server_event
from potrio.protocol.messages.market import UpdateStream
from potrio.seam import Seam
from potrio.transport.base import Transport
from potrio.transport.dial import dial

__all__ = ["play_light"]

TICKS: Final = "updateStream"


async def play_light(stage: Stage, arrival: Arrival) -> None:
    """Play one client from its arrival to its end. Cancelling ends its connection at once.

    Waits for the network and for the client's own instants.
    """
    player = Player(stage, arrival, "light")
    index = arrival.index
    stage.enter()
    link = LinkSeam(stage.seam) if stage.has_link_faults else None
    if link is not None:
        stage.links[index] = link
    try:
        while not player.finished:
            await stage.wait_for_turn()
            began_s = stage.now_s()
            life = Life(stage, player, link or stage.seam, began_s)
            error = await life.live()
            delay_s = player.ended(error, began_s, stage.now_s()) if not player.finished else None
            if delay_s is not None:
                await trio.sleep(delay_s)
                if stage.now_s() >= player.leaves_s:
                    player.step(stage.now_s())
    finally:
        stage.links.pop(index, None)
        player.depart(stage.now_s())


class Life:
    """One connection of a client."""

    def __init__(self, stage: Stage, player: Player, seam: Seam, began_s: float) -> None:
        self._stage = stage
        self._player = player
        self._seam = seam
        self._began_s = began_s
        self._ps_at = math.inf
        self._counted = (0, 0)

    async def live(self) -> Exception | None:
        """Connect and play until it ends; returns what of, None where the client left by itself."""
        stage = self._stage
        try:
            with trio.move_on_after(HANDSHAKE_TIMEOUT) as opening:
                async with dial(stage.spec.url, seam=self._seam, ssl_context=stage.ssl_context) as transport:
                    sample = self._sampler(transport)
                    stage.samplers.add(sample)
                    try:
                        await self._play(transport, opening)
                    finally:
                        stage.samplers.discard(sample)
                        sample()
                    return None
        except PotrioError as error:
            return error
        return ConnectTimeout(stage.host, "handshake", HANDSHAKE_TIMEOUT)

    def _sampler(self, transport: Transport) -> Callable[[], None]:
        def sample() -> None:
            found, recorder = transport.statistics(), self._stage.recorder
            recorder.count("bytes_in", found.bytes_received - self._counted[0])
            recorder.count("bytes_out", found.bytes_sent - self._counted[1])
            self._counted = (found.bytes_received, found.bytes_sent)

        return sample

    async def _play(self, transport: Transport, opening: trio.CancelScope) -> None:
        stage, player = self._stage, self._player
        session = ClientSession(now=stage.seam.now(), target=stage.host)
        while not player.finished:
            due_s = player.next_due() if player.ready else math.inf
            known_s = stage.now_s()
            wake = min(stage.at(due_s), session.next_deadline() or math.inf, self._ps_at)
            messages: Sequence[Message] = ()
            with trio.move_on_at(wake):
                messages = await transport.receive()
            now = stage.seam.now()
            if messages:
                if self._take(session, session.receive_messages(messages, now), now):
                    opening.deadline = math.inf
            elif player.ready and self._began_s < due_s < player.leaves_s and stage.at(due_s) == wake:
                stage.lag(max(due_s, known_s), now - stage.began)
            self._take(session, session.handle_deadline(now), now)
            if player.ready:
                self._send(session, player.step(now - stage.began))
                if self._ps_at <= now:
                    self._ps_at += PS_INTERVAL
                    session.send_event("ps")
            if session.has_output:
                await transport.send(session.messages_to_send())

    def _take(self, session: ClientSession, events: Sequence[SessionEvent], now: float) -> bool:
        """Take events; True where one of them was the login."""
        player, now_s = self._player, now - self._stage.began
        entered = False
        for event in events:
            match event:
                case EventReceived(name=name, payload=payload) if name != TICKS:
                    player.event(name, payload, now_s)
                case EventReceived(payload=payload):
                    self._take_ticks(payload, now_s)
                case EventRun(name=name, payloads=payloads):
                    for payload in payloads:
                        if name == TICKS:
                            self._take_ticks(payload, now_s)
                        else:
                            player.event(name, payload, now_s)
                case Connected():
                    session.authenticate(player.ssid.auth_payload().reveal())
                case Authenticated():
                    entered = True
                    self._ps_at = now + PS_INTERVAL
                    self._send(session, player.entered(self._began_s, now_s))
                case Closed(error=error):
                    raise error if error is not None else RemoteProtocolError("the session has ended")
                case _:
                    pass
        return entered

    def _take_ticks(self, payload: bytes, now_s: float) -> None:
        update = decode_server_event(TICKS, payload)
        if not isinstance(update, UpdateStream):
            raise RemoteProtocolError("updateStream is not what it should be")
        self._player.ticks(update.ticks, now_s)

    def _send(self, session: ClientSession, events: Sequence[EventOut]) -> None:
        for name, payload in events:
            session.send_event(name, payload)
