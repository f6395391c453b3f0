"""The connection against a scripted venue: typed failures, retries, what leaves when, an end that leaves nothing."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager, nullcontext
from decimal import Decimal

import msgspec
import pytest
import trio

from potrio.actor_errors import SupervisorFailed
from potrio.actors.connection import connection, lane
from potrio.actors.keys import CONNECTION, ORDER_BOOK, ROUTER
from potrio.actors.limiter import Rate, RateLimits, Rates
from potrio.actors.link import (
    Batch,
    CheckDeadline,
    LinkLost,
    LinkState,
    LinkUp,
    NotSent,
    Pause,
    Resync,
    StreamsStale,
    SubmitOrder,
    Transmit,
    Unpause,
    Written,
)
from potrio.actors.link_settings import LinkSettings
from potrio.actors.phases import LinkPhase
from potrio.errors import AuthError, ConfigError, ConnectError, ConnectRefused, ConnectTimeout
from potrio.limits import CLOSE_TIMEOUT, CONNECT_DEADLINE, HANDSHAKE_TIMEOUT
from potrio.protocol.messages.auth import Ps
from potrio.protocol.messages.trading import OpenOrder, RequestOpenedDeals, Side
from potrio.protocol.regions import Region
from potrio.protocol.ssid import parse_ssid
from potrio.secrets import Secret
from potrio.supervision.backoff import Backoff
from potrio.supervision.mailbox_spec import bounded, lanes, unbounded
from potrio.supervision.spec import child
from potrio.testing.network import MemoryNetwork

from .conftest import EPOCH, crash, recording, running, settle
from .scripted_venue import ScriptedVenue, hang_up, never_authenticate, reject, say_nothing, serve

SSID = '42["auth",{"session":"a0test0session0of0potrio0x","isDemo":1,"uid":4711,"platform":2}]'
PORT = 8080


class Network(MemoryNetwork):
    """A network that remembers the client's streams."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.streams: list = []

    async def connect_tcp(self, family, address):
        stream = await super().connect_tcp(family, address)
        self.streams.append(stream)
        return stream


class Desk:
    """A connection between a scripted venue and recorders."""

    def __init__(self, *scripts, ports=(PORT,), listening=None, timeout=HANDSHAKE_TIMEOUT, **more) -> None:
        self.network = Network(epoch=EPOCH)
        self.link = LinkState()
        self.routed: list = []
        self.booked: list = []
        self.venue = ScriptedVenue(self.network, listening or ports[0], *scripts)
        regions = tuple(
            Region(name=f"r{port}", url=f"ws://127.0.0.1:{port}/socket.io/", is_demo=True) for port in ports
        )
        self.settings = LinkSettings(
            ssid=parse_ssid(Secret(SSID)),
            candidates=regions,
            seam=self.network,
            handshake_timeout=timeout,
            **more,
        )

    def children(self):
        return (
            recording(ORDER_BOOK, self.booked),
            recording(ROUTER, self.routed),
            child(
                connection,
                self.settings,
                self.link,
                id=CONNECTION,
                mailbox=lanes(unbounded(), unbounded(), bounded(1024), lane=lane),
                stop_on=(AuthError, ConfigError, ConnectError),
                shutdown=2 * CLOSE_TIMEOUT,
            ),
        )

    async def tell(self, *messages) -> None:
        for message in messages:
            self.sup.ref(CONNECTION).tell(message)
        await settle()

    def links(self) -> list:
        return [(type(m).__name__, m.epoch) for m in self.routed if isinstance(m, LinkUp | LinkLost)]


@asynccontextmanager
async def at_work(desk: Desk, *, ready: bool = True):
    async with trio.open_nursery() as nursery:
        await nursery.start(desk.venue.run)
        async with running(*desk.children()) as desk.sup:
            if ready:
                await desk.link.wait_ready()
                await settle()
            yield desk
        nursery.cancel_scope.cancel()


def order(request_id="r1", expires_at=1e9) -> SubmitOrder:
    message = OpenOrder(
        asset="EURUSD_otc", amount=Decimal(1), action=Side.CALL, is_demo=1, request_id=request_id, time=60
    )
    return SubmitOrder(request_id, message, expires_at)


async def failure_of(desk: Desk) -> BaseException | None:
    with pytest.raises(ExceptionGroup) as caught:  # of the nursery of the venue
        async with at_work(desk, ready=False):
            await trio.sleep_forever()
    assert isinstance(caught.value.exceptions[0], SupervisorFailed)
    return desk.link.fatal


# --- getting connected -----------------------------------------------------------------------------------------------


async def test_ready_after_the_handshake_and_nothing_else_was_sent(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        (visit,) = desk.venue.visits
        assert [message[:2] for message in visit.raw] == ["40", "42"]
        assert visit.events == []
        assert desk.links() == [("LinkUp", 1)]
        assert (desk.link.phase, desk.link.ups, desk.link.epoch) == (LinkPhase.READY, 1, 1)
        assert desk.link.total().events_sent == {"auth": 1}
        up = next(i for i, m in enumerate(desk.routed) if isinstance(m, LinkUp))
        assert all(isinstance(m, Batch) for i, m in enumerate(desk.routed) if i != up)


async def test_nothing_is_sent_before_authentication(autojump_clock):
    """P3, whatever the others ask for."""
    async with at_work(Desk(never_authenticate), ready=False) as desk:
        await trio.sleep(1)
        await desk.tell(Transmit(Ps()), Transmit(Ps(), epoch=1), order())
        await trio.sleep(1)
        assert [message[:2] for message in desk.venue.visits[0].raw] == ["40", "42"]
        assert desk.link.total().dropped == 2
        assert desk.booked == [NotSent("r1", "not connected")]


@pytest.mark.parametrize(("script", "stage"), [(say_nothing, "engine.io"), (never_authenticate, "auth")])
async def test_one_deadline_over_all_stages_and_it_says_which(autojump_clock, script, stage):
    desk = Desk(script, timeout=5.0)
    error = await failure_of(desk)
    assert isinstance(error, ConnectTimeout)
    assert (error.stage, error.seconds) == (stage, 5.0)
    assert trio.current_time() <= 5 + 2 * CLOSE_TIMEOUT


async def test_nobody_there_is_a_typed_error(autojump_clock):
    error = await failure_of(Desk(serve, ports=(1,), listening=PORT))
    assert isinstance(error, ConnectRefused)


async def test_the_next_candidate_is_tried_at_once(autojump_clock):
    desk = Desk(serve, ports=(1, PORT), listening=PORT)
    async with at_work(desk):
        assert desk.link.url.startswith(f"ws://127.0.0.1:{PORT}")
        assert trio.current_time() < 1
        assert desk.links() == [("LinkLost", 1), ("LinkUp", 2)]


async def test_when_all_candidates_fail_the_first_ones_error_is_told(autojump_clock):
    desk = Desk(serve, ports=(1, 2, 3), listening=PORT)
    error = await failure_of(desk)
    assert isinstance(error, ConnectRefused)
    assert str(error).startswith("cannot connect to ws://127.0.0.1:1:")
    assert len(error.__notes__) == 2
    assert desk.link.epoch == 3


async def test_a_rejected_ssid_ends_it_after_exactly_one_connection(autojump_clock):
    desk = Desk(reject, ports=(PORT, PORT, PORT))
    assert isinstance(await failure_of(desk), AuthError)
    assert len(desk.venue.attempts) == 1
    assert desk.link.phase is LinkPhase.CLOSED


# --- staying connected -----------------------------------------------------------------------------------------------


async def test_the_first_try_after_a_stable_link_is_at_once(autojump_clock):
    async def stable(visit):
        await visit.log_in()
        with trio.move_on_after(60):
            await visit.serve()

    async with at_work(Desk(stable, serve)) as desk:
        await trio.sleep(70)
        assert desk.links() == [("LinkUp", 1), ("LinkLost", 1), ("LinkUp", 2)]
        assert desk.venue.attempts[1] - 60 < 2 * CLOSE_TIMEOUT
        assert desk.link.reconnects == 1


async def test_after_having_been_ready_it_tries_for_ever_with_backoff(autojump_clock):
    async with at_work(Desk(hang_up, say_nothing, timeout=1.0)) as desk:
        await trio.sleep(4000)
        assert len(desk.venue.attempts) > 500
        pauses = [b - a for a, b in zip(desk.venue.attempts[10:], desk.venue.attempts[11:], strict=False)]
        assert max(pauses) < 1 + 5 + 2 * CLOSE_TIMEOUT
        assert sum(pauses) / len(pauses) > 2, "it does not hammer the venue"
        assert desk.link.fatal is None
        lost = [epoch for kind, epoch in desk.links() if kind == "LinkLost"]
        assert lost == sorted(set(lost)), "once per connection, in order"
        assert len(desk.link.counters) <= desk.link.EPOCHS_KEPT


@pytest.mark.parametrize("most", [0.0, 0.2, 60.0])
async def test_the_longest_pause_is_the_users_to_choose(most, autojump_clock):
    async with at_work(Desk(hang_up, say_nothing, timeout=1.0, reconnect_pause_max=most)) as desk:
        await trio.sleep(6000)
        attempts = desk.venue.attempts[20:]
        pauses = [b - a - 1 for a, b in itertools.pairwise(attempts)]  # each attempt takes a second
        assert most * 0.8 - 0.1 <= max(pauses) <= most + 2 * CLOSE_TIMEOUT


async def test_an_ssid_that_is_rejected_later_ends_it(autojump_clock):
    assert isinstance(await failure_of(Desk(hang_up, reject)), AuthError)


async def test_a_silent_venue_is_dropped_when_it_is_looked_at(autojump_clock):
    async def fall_silent(visit):
        await visit.log_in()
        await trio.sleep_forever()

    async with at_work(Desk(fall_silent, serve)) as desk:
        await trio.sleep(45)
        await desk.tell(CheckDeadline())
        assert desk.link.epoch == 1, "not yet due"
        await trio.sleep(2)
        await desk.tell(CheckDeadline())
        assert not desk.link.ready
        await desk.link.wait_ready()
        assert desk.link.epoch == 2


async def test_resync_is_for_the_link_it_was_meant_for(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        await desk.tell(Resync("old news", epoch=0))
        assert desk.link.ready
        await desk.tell(Resync("new lists, please", epoch=1))
        await desk.link.wait_ready()
        assert desk.link.epoch == 2
        lost = next(m for m in desk.routed if isinstance(m, LinkLost))
        assert "new lists" in lost.reason


async def test_a_crash_is_taken_over_with_one_word_about_the_old_link(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        await crash(desk.sup, CONNECTION)
        await desk.link.wait_ready()
        await settle()
        assert desk.links() == [("LinkUp", 1), ("LinkLost", 1), ("LinkUp", 2)]
        assert desk.link.reconnects == 1


async def test_no_link_is_believed_in_while_its_actor_is_gone(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        desk.sup.ref(CONNECTION).tell(object())
        await settle()
        assert not desk.link.ready


async def test_silent_streams_degrade_the_link_which_still_sends(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        await desk.tell(StreamsStale(("EURUSD_otc",), epoch=0))
        assert desk.link.phase is LinkPhase.READY, "news of another link"
        await desk.tell(StreamsStale(("EURUSD_otc",), epoch=1))
        assert desk.link.phase is LinkPhase.DEGRADED
        await desk.tell(order(), Transmit(Ps()))
        await trio.sleep(0.1)
        assert desk.venue.visits[0].events == ["openOrder", "ps"]
        await desk.tell(StreamsStale((), epoch=1))
        assert desk.link.phase is LinkPhase.READY


async def test_paused_it_stays_disconnected_and_gives_orders_back_with_the_reason(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        await desk.tell(Pause(), Pause())
        await trio.sleep(100)
        assert (desk.link.phase, len(desk.venue.attempts)) == (LinkPhase.DISCONNECTED, 1)
        assert desk.venue.visits[0].raw[-1] == "41"
        await desk.tell(order())
        assert desk.booked == [NotSent("r1", "paused")]
        await crash(desk.sup, CONNECTION)
        assert desk.link.phase is LinkPhase.DISCONNECTED
        await desk.tell(Unpause())
        await desk.link.wait_ready()
        assert desk.links()[:2] == [("LinkUp", 1), ("LinkLost", 1)]


async def test_a_pause_before_the_first_link_takes_nothing_of_the_time_to_get_one(autojump_clock):
    desk = Desk(serve)
    desk.link.paused = True
    async with at_work(desk, ready=False):
        await trio.sleep(2 * CONNECT_DEADLINE)
        assert (desk.link.phase, desk.venue.attempts) == (LinkPhase.DISCONNECTED, [])
        await desk.tell(Unpause())
        with trio.fail_after(1):
            await desk.link.wait_ready()


async def refuse(visit):
    """An attempt in vain."""


@pytest.mark.parametrize("ended", [[Resync("anew", wished=True)], [Pause(), Unpause()], [Pause()]])
async def test_a_link_that_the_program_ends_leaves_no_attempts_in_vain_behind(
    ended, autojump_clock, monkeypatch
):
    tries, delay = [], Backoff.delay
    monkeypatch.setattr(Backoff, "delay", lambda self, k, by: tries.append(k) or delay(self, k, by))
    desk = Desk(hang_up, refuse, refuse, serve, refuse, refuse, serve, max_retries=3)
    async with at_work(desk):
        await trio.sleep(60)
        await desk.tell(*ended)
        await desk.tell(Unpause())
        await trio.sleep(60)
        assert (desk.link.ready, desk.link.epoch) == (True, 7)
        assert tries == [1, 2, 3, 1, 2], "stable in between: as with a link that was lost"


@pytest.mark.parametrize("paused_for", [0, 5])
@pytest.mark.parametrize(("most", "lives"), [(2, False), (3, True)])
async def test_an_attempt_that_is_paused_counts_neither_way(most, lives, paused_for, autojump_clock):
    desk = Desk(hang_up, refuse, never_authenticate, refuse, serve, max_retries=most)
    with nullcontext() if lives else pytest.raises(ExceptionGroup):
        async with at_work(desk):
            while desk.link.phase is not LinkPhase.AUTHENTICATING:
                await desk.link.wait_change()
            desk.sup.ref(CONNECTION).tell(Pause())
            await trio.sleep(paused_for)
            desk.sup.ref(CONNECTION).tell(Unpause())
            await trio.sleep(60)
            assert lives
            assert desk.link.ready
    assert len(desk.venue.attempts) == 4 + lives


# --- what leaves -----------------------------------------------------------------------------------------------------


async def test_orders_overtake_requests_and_written_comes_before_the_bytes(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        connection_ref = desk.sup.ref(CONNECTION)
        for message in (Transmit(RequestOpenedDeals()), Transmit(Ps()), order()):
            connection_ref.tell(message)
        await settle()
        await trio.sleep(0.01)
        assert desk.venue.visits[0].events == ["openOrder", "ps", "updateOpenedDeals"]
        (written,) = desk.booked
        assert (type(written), written.request_id, written.epoch) == (Written, "r1", 1)
        assert written.wall == pytest.approx(EPOCH + written.at)
        assert desk.link.total().events_sent == {"auth": 1, "ps": 1, "openOrder": 1, "updateOpenedDeals": 1}
        assert desk.link.total().messages_sent == len(desk.venue.visits[0].raw)


async def test_an_order_that_has_expired_is_never_sent(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        await trio.sleep(5)
        await desk.tell(order(expires_at=4.9))
        assert desk.booked == [NotSent("r1", "expired before it could be sent", final=True)]
        await trio.sleep(1)
        assert desk.venue.visits[0].events == []


async def test_an_order_behind_a_write_that_is_stuck_expires_or_is_given_back_but_is_not_sent_late(
    autojump_clock,
):
    """`valid_for` is a time on the wire: a venue that does not read must not get the order half a minute later."""
    stuck = trio.Event()
    async with at_work(Desk(serve)) as desk:
        await block_writes(desk, stuck)
        await desk.tell(Transmit(Ps()))  # is being written now, and does not get through
        await desk.tell(order("late", expires_at=trio.current_time() + 2), order("early"))
        assert desk.booked == []
        await trio.sleep(10)
        stuck.set()
        await trio.sleep(1)
        assert desk.venue.visits[0].events == ["ps", "openOrder"]
        assert [(type(m), m.request_id) for m in desk.booked] == [(NotSent, "late"), (Written, "early")]


async def test_what_waits_is_given_back_when_the_link_is_lost(autojump_clock):
    stuck = trio.Event()
    async with at_work(Desk(serve)) as desk:
        await block_writes(desk, stuck)
        await desk.tell(Transmit(Ps()))
        await desk.tell(order(), Transmit(Ps()))
        await desk.tell(Resync("anew"))
        assert [(type(m), m.final) for m in desk.booked] == [(NotSent, False)]
        assert desk.link.total().dropped == 1


async def test_what_was_held_up_on_a_lost_link_keeps_nobody_busy_while_the_next_one_logs_in(autojump_clock):
    """A moment that has passed must not be waited for again and again: the clock here moves only where all rest."""

    async def log_in_slowly(visit):
        await trio.sleep(3)
        await visit.log_in()
        await visit.serve()

    desk = Desk(serve, log_in_slowly)
    one_a_second = Rates(requests=Rate(1.0, 1))
    desk.settings = msgspec.structs.replace(desk.settings, limits=RateLimits(account=one_a_second))
    async with at_work(desk):
        await desk.tell(Transmit(RequestOpenedDeals()), Transmit(RequestOpenedDeals()))
        await desk.tell(Resync("anew"))
        await desk.link.wait_ready()
        await settle()
        assert desk.links() == [("LinkUp", 1), ("LinkLost", 1), ("LinkUp", 2)]
        assert desk.link.total().dropped == 1


async def block_writes(desk: Desk, until: trio.Event) -> None:
    """Let the client's stream take nothing until then, as a full socket buffer would."""
    stream = desk.network.streams[-1].send_stream
    hook = stream.send_all_hook

    async def wait_first() -> None:
        await until.wait()
        if hook is not None:
            await hook()

    stream.send_all_hook = wait_first
    await settle()


async def test_requests_for_another_link_are_dropped_and_counted(autojump_clock):
    async with at_work(Desk(serve)) as desk:
        await desk.tell(Transmit(Ps(), epoch=2), Transmit(Ps(), epoch=1))
        await trio.sleep(1)
        assert desk.venue.visits[0].events == ["ps"]
        assert desk.link.total().dropped == 1


async def test_what_is_asked_while_the_venue_says_goodbye_neither_crashes_nor_counts_as_written(
    autojump_clock,
):
    """The session is over from the moment the venue ends it, long before the socket has been closed."""

    async def leave_slowly(visit):
        await visit.log_in()
        await trio.sleep(1)
        visit.session.send_disconnect()
        await visit.flush()
        await trio.sleep(3)

    async with at_work(Desk(leave_slowly, serve)) as desk:
        await trio.sleep(0.99)
        for number in range(200):
            await desk.tell(order(f"r{number}"), Transmit(Ps()))
            await trio.sleep(0.005)
        written = [m for m in desk.booked if isinstance(m, Written)]
        sent = sum(visit.events.count("openOrder") for visit in desk.venue.visits)
        assert len(desk.booked) == 200
        assert 0 < len(written) <= sent + 3
        assert desk.sup.ref(CONNECTION).alive
        assert desk.link.reconnects == 1, "it has not crashed"


async def test_a_router_that_is_busy_is_waited_for_and_misses_nothing(autojump_clock):
    """`LinkUp` and `LinkLost` are never the thing that is dropped, however full the router's mailbox is."""
    desk = Desk(hang_up, hang_up, serve)
    desk.children = lambda: (
        recording(ORDER_BOOK, desk.booked),
        child(slow, desk.routed, id=ROUTER, mailbox=bounded(1)),
        *Desk.children(desk)[2:],
    )
    async with at_work(desk, ready=False):
        await trio.sleep(120)
        assert [epoch for kind, epoch in desk.links() if kind == "LinkUp"] == [1, 2, 3]
        assert [epoch for kind, epoch in desk.links() if kind == "LinkLost"] == [1, 2]


async def slow(ctx, log) -> None:
    async for message in ctx.inbox:
        await trio.sleep(2)
        log.append(message)


async def test_the_link_is_not_ready_from_the_moment_the_venue_ends_it(autojump_clock):
    async def leave_slowly(visit):
        await visit.log_in()
        await trio.sleep(1)
        visit.session.send_disconnect()
        await visit.flush()
        await trio.sleep(3)

    async with at_work(Desk(leave_slowly, serve)) as desk:
        await trio.sleep(1.01)
        assert not desk.link.ready, (
            "closing the socket takes a while, and nothing may be taken for it meanwhile"
        )
        await desk.tell(order())
        assert [type(message) for message in desk.booked] == [NotSent]


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_leaving_says_goodbye_and_takes_no_longer_than_it_may(autojump_clock):
    desk = Desk(serve)
    async with at_work(desk):
        leaving = trio.current_time()
    assert trio.current_time() - leaving <= 2 * CLOSE_TIMEOUT
    assert desk.venue.visits[0].raw[-1] == "41"
    assert not desk.link.ready


async def test_the_goodbye_waits_for_the_write_before_it(autojump_clock):
    stuck = trio.Event()
    desk = Desk(serve)
    async with at_work(desk):
        await block_writes(desk, stuck)
        await desk.tell(Transmit(Ps()))
        async with trio.open_nursery() as nursery:

            async def free() -> None:
                await trio.sleep(CLOSE_TIMEOUT / 4)
                stuck.set()

            nursery.start_soon(free)
            nursery.start_soon(desk.sup.stop_child, CONNECTION)
    assert desk.venue.visits[0].raw[-2:] == ['42["ps"]', "41"]


async def test_leaving_while_ticks_pour_in_is_a_clean_end(autojump_clock):
    """The router is stopped before the connection: what then still comes is nobody's business any more."""

    async def pour(visit):
        await visit.log_in()
        while True:
            await visit.send("updateStream", b'[["EURUSD_otc",1770007200.5,1.1]]')
            await trio.sleep(0.001)

    crashes = []
    desk = Desk(pour)
    async with trio.open_nursery() as nursery:
        await nursery.start(desk.venue.run)
        specs = desk.children()
        async with running(specs[0], specs[2], specs[1]) as desk.sup:
            desk.sup.observe(lambda event: crashes.append(event) if "Crash" in type(event).__name__ else None)
            await desk.link.wait_ready()
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert crashes == []
    assert any(isinstance(m, Batch) for m in desk.routed)


async def test_cancelling_at_any_moment_leaves_no_task_and_no_socket(autojump_clock):
    """P6, at every point of the handshake and after."""
    for moment in range(40):
        desk = Desk(serve)
        async with trio.open_nursery() as nursery:
            await nursery.start(desk.venue.run)
            tasks = trio.lowlevel.current_statistics().tasks_living
            with trio.CancelScope() as scope:
                async with running(*desk.children()) as desk.sup:
                    for _ in range(moment * 2):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()
                    await trio.sleep_forever()
            await trio.sleep(5)
            await settle()
            assert trio.lowlevel.current_statistics().tasks_living <= tasks, f"after {moment * 2} checkpoints"
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("message", "expected"), [(CheckDeadline(), 0), (Resync("x"), 0), (order(), 1), (Transmit(Ps()), 2)]
)
def test_lanes(message, expected):
    assert lane(message) == expected
