"""One connection on the wire: what it leads to, how it ends, and that it ends once and for the first reason given."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio

from potrio.actors.keys import ORDER_BOOK
from potrio.actors.link import Batch, LinkLost, LinkState, LinkUp, NotSent, Transmit
from potrio.actors.link_settings import LinkSettings
from potrio.actors.outbox import Outbox
from potrio.actors.phases import LinkPhase
from potrio.actors.wire import Wire
from potrio.errors import AuthError, ConnectionBroken, ConnectTimeout
from potrio.limits import CLOSE_TIMEOUT
from potrio.protocol.messages.auth import Ps
from potrio.protocol.regions import Region
from potrio.protocol.ssid import parse_ssid
from potrio.secrets import Secret
from potrio.testing.network import MemoryNetwork

from .conftest import EPOCH, recording, running, settle
from .scripted_venue import ScriptedVenue, hang_up, never_authenticate, reject, say_nothing, serve

SSID = '42["auth",{"session":"a0test0session0of0potrio0x","isDemo":1,"uid":4711,"platform":2}]'
REGION = Region(name="here", url="ws://127.0.0.1:8080/socket.io/", is_demo=True)


class Bench:
    """A wire between a scripted venue and lists."""

    def __init__(self, network: MemoryNetwork, orders) -> None:
        self.link = LinkState()
        self.reports: list = []
        self.settings = LinkSettings(ssid=parse_ssid(Secret(SSID)), candidates=(REGION,), seam=network)
        self.outbox = Outbox(orders, network)
        self.wire = self.another()
        self.lost = None

    def another(self) -> Wire:
        return Wire(self.settings, REGION, self.link, self.outbox, self.report, None)

    async def report(self, message) -> None:
        await trio.lowlevel.checkpoint()
        self.reports.append(message)

    async def run(self, budget: float = 10.0, task_status=trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        self.lost = await self.wire.run(budget)

    def story(self) -> list[str]:
        return [type(message).__name__ for message in self.reports if not isinstance(message, Batch)]


@asynccontextmanager
async def bench(*scripts):
    network = MemoryNetwork(epoch=EPOCH)
    venue = ScriptedVenue(network, 8080, *scripts)
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        async with running(recording(ORDER_BOOK, [])) as sup:
            made = Bench(network, sup.ref(ORDER_BOOK))
            made.venue = venue
            made.nursery = nursery
            yield made
        nursery.cancel_scope.cancel()


async def test_from_dialling_to_the_venues_end(autojump_clock):
    async with bench(hang_up) as made:
        await made.run()
        assert made.story() == ["LinkUp", "LinkLost"]
        assert isinstance(made.lost, ConnectionBroken)
        assert made.wire.ready_at is not None
        assert made.link.phase is LinkPhase.RECONNECTING
        assert made.settings.health.of(REGION).connects == 1
        assert [phase.value for _, phase in made.link.transitions] == [
            "connecting", "authenticating", "ready", "reconnecting", "reconnecting",
        ]  # fmt: skip


@pytest.mark.parametrize(("script", "stage"), [(say_nothing, "engine.io"), (never_authenticate, "auth")])
async def test_its_budget_is_over_all_stages_and_names_the_one_that_used_it_up(autojump_clock, script, stage):
    async with bench(script) as made:
        await made.run(3.0)
        assert isinstance(made.lost, ConnectTimeout)
        assert (made.lost.stage, made.lost.seconds) == (stage, 3.0)
        assert made.link.phase is LinkPhase.CONNECTING, "it has never been up"
        assert made.story() == ["LinkLost"]


async def test_a_rejection_is_an_auth_error(autojump_clock):
    async with bench(reject) as made:
        await made.run()
        assert isinstance(made.lost, AuthError)
        assert made.settings.health.of(REGION).connects == 0


async def test_the_first_reason_counts(autojump_clock):
    async with bench(serve) as made:
        await made.nursery.start(made.run)
        await made.link.wait_ready()
        made.wire.drop(ConnectionBroken("first"))
        made.wire.drop(ConnectionBroken("second"))
        await settle()
        assert str(made.lost) == "first"
        assert [m.reason for m in made.reports if isinstance(m, LinkLost)] == ["first"]


async def test_leaving_says_goodbye_and_ends_it(autojump_clock):
    async with bench(serve) as made:
        await made.nursery.start(made.run)
        await made.link.wait_ready()
        said = made.wire.leave(ConnectionBroken("paused"))
        assert not made.link.ready, "from this moment nothing is taken for it"
        await said.wait()
        await trio.sleep(2)
        assert made.venue.visits[0].raw[-1] == "41"
        assert str(made.lost) == "paused"
        assert made.story() == ["LinkUp", "LinkLost"]


async def test_leaving_before_there_is_a_link_is_at_once(autojump_clock):
    async with bench(say_nothing) as made:
        await made.nursery.start(made.run)
        await trio.sleep(1)
        assert made.wire.leave(ConnectionBroken("paused")) is None
        await trio.sleep(2 * CLOSE_TIMEOUT)
        assert str(made.lost) == "paused"


async def test_what_waits_is_given_back_with_the_loss(autojump_clock):
    async with bench(serve) as made:
        await made.nursery.start(made.run)
        await made.link.wait_ready()
        made.outbox.add_request(Transmit(Ps()))
        made.wire.drop(ConnectionBroken("gone"))
        assert made.wire.counters.dropped == 1
        await settle()
        assert made.venue.visits[0].events == []


async def test_nothing_of_one_connection_is_in_the_next(autojump_clock):
    async with bench(hang_up, serve) as made:
        await made.run()
        made.wire = made.another()
        assert (made.wire.loss, made.wire.ready_at, made.wire.counters.messages_sent) == (None, None, 0)
        await made.nursery.start(made.run)
        await made.link.wait_ready()
        await settle()
        assert [m.epoch for m in made.reports if isinstance(m, LinkUp)] == [1, 2]
        assert not any(isinstance(m, NotSent) for m in made.reports)
        made.wire.drop(ConnectionBroken("enough"))


# --- who reads along -------------------------------------------------------------------------------------------------


async def test_what_cannot_be_written_is_not_shown_as_sent(autojump_clock, monkeypatch):
    """Nor counted; and until somebody reads along nobody is called for a frame."""
    shown, broken = [], []

    def reader(sent, link, messages, at):
        shown.extend((sent, link.epoch, message) for message in messages)

    class Failing:
        async def send(self, messages):
            await trio.lowlevel.checkpoint()
            broken.append(messages)
            raise ConnectionBroken("reset")

    async with bench(serve) as made:
        await made.nursery.start(made.run)
        await made.link.wait_ready()
        await settle()
        monkeypatch.setattr(made.wire, "show", lambda *_: pytest.fail("nobody reads along"))
        made.outbox.add_request(Transmit(Ps()))
        made.wire.wake()
        await settle()
        monkeypatch.undo()
        made.link.frame_readers.append(reader)
        made.outbox.add_request(Transmit(Ps()))
        made.wire.wake()
        await settle()
        assert [frame for frame in shown if frame[0]] == [(True, 1, '42["ps"]')]
        sent = made.wire.counters.messages_sent
        with pytest.raises(ConnectionBroken):
            await made.wire.put(Failing(), ['42["lost"]'])
        assert broken == [['42["lost"]']]
        assert "lost" not in repr(shown)
        assert made.wire.counters.messages_sent == sent
