"""The mux lane: thousands of clients on one poller, and one task that looks at who has something to do."""

from __future__ import annotations

import heapq
import math
from typing import Final

import trio

from loadsim.plan.schedule import Arrival
from loadsim.swarm.mux import MuxClient, MuxClients, MuxOwner, MuxPhase, spread_sources
from loadsim.swarm.player import EventOut, Player
from loadsim.swarm.stage import Stage
from potrio.errors import ConnectionBroken, PotrioError
from potrio.protocol.messages.market import Tick

__all__ = ["Crowd"]

CONNECTS_PER_S_MAX: Final = 2000.0
BATCH: Final = 100
"""So many clients are looked at before the poller gets its turn."""


class Crowd(MuxOwner):
    """All mux clients of a shard.

    Args:
        stage: of the shard.
        expected: how many clients there will be at most.
    """

    def __init__(self, stage: Stage, expected: int) -> None:
        pace = stage.plan.limits.connects_per_s / stage.spec.shards
        self.swarm = MuxClients(
            stage.spec.url,
            self,
            seam=stage.seam,
            connects_per_second=max(1.0, min(CONNECTS_PER_S_MAX, pace)),
            handshakes_max=max(1, stage.plan.limits.handshakes_max // stage.spec.shards),
            sources=spread_sources(expected * stage.spec.shards),
            ssl_context=stage.ssl_context,
            allowed_hosts=(stage.host,),  # the controller has asked the allow-list
        )
        self._stage = stage
        self._heap: list[tuple[float, int, float]] = []
        """(when, number of the client, when that was known): what is late because it was known late is not our lag."""
        self._changed = trio.Event()
        self._left = 0
        self._gone = trio.Event()
        self._bytes = (0, 0)

    # --- for the shard -----------------------------------------------------------------------------------------------

    def arrive(self, arrival: Arrival) -> None:
        """A client comes; it connects when its turn comes."""
        player = Player(self._stage, arrival, "mux")
        self._stage.enter()
        client = self.swarm.start(player.ssid, player)
        if self._stage.has_link_faults:
            self._stage.links[arrival.index] = MuxLink(client)
        self._plan(client, player)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve all clients until cancelled; what is open then ends."""
        self._stage.samplers.add(self._sample)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.swarm.run)
                task_status.started()
                await self._schedule()
        finally:
            self._sample()
            self._stage.samplers.discard(self._sample)
            for client in self.swarm.clients:
                if client.tag is not None:
                    self._depart(client)

    async def wait_gone(self) -> None:
        """Wait until all that have come have gone. Cancelling only stops the waiting."""
        while self._left < len(self.swarm.clients):
            self._gone = trio.Event()
            await self._gone.wait()

    # --- told by the swarm -------------------------------------------------------------------------------------------

    def ready(self, client: MuxClient) -> None:
        """It has logged in."""
        player, began_s = client.tag, client.began - self._stage.began
        self._send(client, player.entered(began_s, self._stage.now_s()))
        self._plan(client, player)

    def ticks(self, client: MuxClient, ticks: list[Tick], now: float) -> None:
        """Ticks have come."""
        client.tag.ticks(ticks, now - self._stage.began)

    def event(self, client: MuxClient, name: str, payload: bytes, now: float) -> None:
        """Something else has come."""
        player = client.tag
        if player is not None:
            player.event(name, payload, now - self._stage.began)
            self._plan(client, player)

    def closed(self, client: MuxClient, error: Exception | None) -> float | None:
        """It has ended."""
        player = client.tag
        if player is None:
            return None
        delay_s: float | None = player.ended(error, client.began - self._stage.began, self._stage.now_s())
        if delay_s is None:
            self._depart(client)
        else:
            self._plan(client, player)
        return delay_s

    # --- the scheduler -----------------------------------------------------------------------------------------------

    def _plan(self, client: MuxClient, player: Player) -> None:
        """Look at a client when it has something to do."""
        due_s = player.next_due()
        if due_s < player.scheduled_s:
            player.scheduled_s = due_s
            heapq.heappush(self._heap, (due_s, client.number, self._stage.now_s()))
            if self._heap[0][1] == client.number:
                self._changed.set()

    async def _schedule(self) -> None:
        stage, heap = self._stage, self._heap
        while True:
            if not heap or stage.at(heap[0][0]) > stage.seam.now():
                self._changed = trio.Event()
                with trio.move_on_at(stage.at(heap[0][0]) if heap else math.inf):
                    await self._changed.wait()
            else:
                await trio.lowlevel.checkpoint()
            for _ in range(BATCH):
                now_s = stage.now_s()
                if not heap or heap[0][0] > now_s:
                    break
                due_s, number, known_s = heapq.heappop(heap)
                client = self.swarm.clients[number]
                if client.tag is not None and client.tag.scheduled_s == due_s:
                    if 0 < due_s < client.tag.leaves_s:
                        stage.lag(max(due_s, known_s), now_s)
                    self._step(client, client.tag, now_s)

    def _step(self, client: MuxClient, player: Player, now_s: float) -> None:
        player.scheduled_s = math.inf
        self._send(client, player.step(now_s))
        if client.tag is None:
            return  # it could not be sent, and that was the end
        if player.finished:
            client.close()
            self._depart(client)
        else:
            self._plan(client, player)

    def _send(self, client: MuxClient, events: list[EventOut]) -> None:
        try:
            for name, payload in events:
                client.send_event(name, payload)
        except PotrioError as error:
            if client.phase is MuxPhase.READY:
                client.fail(error)

    def _depart(self, client: MuxClient) -> None:
        player, client.tag = client.tag, None
        self._stage.links.pop(player.arrival.index, None)
        player.depart(self._stage.now_s())
        self._left += 1
        self._gone.set()

    def _sample(self) -> None:
        found, recorder = self.swarm.statistics(), self._stage.recorder
        recorder.count("bytes_in", found.bytes_received - self._bytes[0])
        recorder.count("bytes_out", found.bytes_sent - self._bytes[1])
        self._bytes = (found.bytes_received, found.bytes_sent)


class MuxLink:
    """The link of a mux client, for faults to be played on."""

    def __init__(self, client: MuxClient) -> None:
        self._client = client

    async def drop(self) -> None:
        """Cut it. A checkpoint."""
        if self._client.phase not in (MuxPhase.CLOSED, MuxPhase.WAITING):
            self._client.fail(ConnectionBroken("the link was cut"))
        await trio.lowlevel.checkpoint()

    def stall(self) -> None:
        """Stop reading."""
        self._client.pause(True)

    def resume(self) -> None:
        """Go on reading."""
        self._client.pause(False)
