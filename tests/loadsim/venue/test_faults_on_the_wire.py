"""Each fault as a client meets it, by configuration and by `POST /faults`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from loadsim.venue.config import VenueConfig
from loadsim.venue.faults import Fault, FaultKind
from potrio.errors import ConnectionBroken, ConnectionClosed, PotrioError, UpgradeRejected

HEADER = '451-["successopenOrder",{"_placeholder":true,"num":0}]'


def with_fault(**fields: Any) -> VenueConfig:
    """A venue with one fault."""
    return VenueConfig(faults=(Fault(**fields),))


async def test_drop_closes_tcp_without_a_word(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.DROP, event="successopenOrder")
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        await client.emit("openOrder", world.order())
        error = await client.until_closed()
        assert isinstance(error, ConnectionBroken)
        assert HEADER not in client.frames
        stats = venue.stats()
        assert stats["deals"]["opened"] == 1, "accepted, and the answer lost"
        assert stats["faults"] == {"drop": 1}
        assert stats["connections"]["closes"] == {"fault": 1}


async def test_drop_at_a_request_leaves_it_unheard(autojump_clock: Any, world: Any) -> None:
    async with world.venue(with_fault(kind=FaultKind.DROP, event="openOrder")) as venue:
        async with world.client(venue) as client:
            await client.login()
            await client.emit("openOrder", world.order())
            await client.until_closed()
        assert venue.stats()["deals"]["opened"] == 0


async def test_half_open_says_and_hears_nothing_but_stays(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.HALF_OPEN, event="openOrder")
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
        await client.idle(1)
        await client.emit("openOrder", world.order())
        before = len(client.frames)
        await client.idle(100)
        assert client.closed is None
        assert len(client.frames) <= before + 2
        assert client.pings == 0
        await client.until_closed()
        assert venue.stats()["faults"] == {"half_open": 1}


async def test_delay_lets_others_overtake(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.DELAY, event="successopenOrder", delay_ms=3000)
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        await client.emit("openOrder", world.order())
        start = trio.current_time()
        assert (await client.event())[0] == "successupdateBalance"
        assert (await client.event())[0] == "successopenOrder"
        assert trio.current_time() - start == pytest.approx(3)


async def test_refuse_says_what_it_is_told_to(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.REFUSE, error="NO_WAY", count=2)
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        for _ in range(2):
            await client.emit("openOrder", world.order())
            assert await client.event() == (
                "failopenOrder",
                {"error": "NO_WAY", "amount": 10, "asset": "EURUSD_otc"},
            )
        await client.order()
        assert venue.stats()["faults"] == {"refuse": 2}


async def test_duplicate_sends_twice(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.DUPLICATE, event="successcloseOrder")
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        await client.order(time=5)
        first, second = await client.until("successcloseOrder"), await client.until("successcloseOrder")
        assert first == second
        assert venue.stats()["deals"]["settled"] == 1
        assert venue.stats()["events_sent"]["successcloseOrder"] == 2


async def test_reorder_puts_a_ping_between_header_and_attachment(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.REORDER, event="successopenOrder")
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        await client.emit("openOrder", world.order())
        await client.idle(1)
        place = client.frames.index(HEADER)
        assert client.frames[place + 1] == "2"
        assert b"requestId" in client.frames[place + 2]
        await client.order()


async def test_truncate_ends_in_the_middle_of_a_frame(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.TRUNCATE, event="successopenOrder")
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        received = client.transport.statistics().bytes_received
        await client.emit("openOrder", world.order())
        await client.until_closed()
        assert client.transport.statistics().bytes_received > received + 100, "half of it came"
        assert not any(isinstance(frame, bytes) and b"requestId" in frame for frame in client.frames)


async def test_garbage_is_sent_at_once_to_everybody(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client:
        await client.login()
        status, _ = await world.http(venue, "POST /faults", json.dumps({"kind": "garbage"}).encode())
        assert status == 200
        await client.idle(1)
        text, binary = client.frames[-2:]
        with pytest.raises(ValueError, match="Unterminated"):
            json.loads(text[4:])
        with pytest.raises(ValueError, match=r"Expecting|codec"):
            json.loads(binary)


async def test_slow_drain_makes_every_write_wait(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.SLOW_DRAIN, event="auth", delay_ms=2000)
    async with world.venue(config) as venue, world.client(venue) as client:
        await client.login()
        start = trio.current_time()
        await client.order()
        assert trio.current_time() - start == pytest.approx(2)
        start = trio.current_time()
        await client.emit("getBalance")
        await client.until("successupdateBalance")
        assert trio.current_time() - start <= 2


async def test_reject_auth_of_one_user(autojump_clock: Any, world: Any) -> None:
    config = with_fault(kind=FaultKind.REJECT_AUTH, uid=2)
    async with world.venue(config) as venue, world.client(venue) as one, world.client(venue) as two:
        await one.login(uid=1)
        await two.connect()
        await two.emit("auth", world.auth(uid=2))
        await two.until_closed()
        assert two.frames[-2:] == ['42["NotAuthorized"]', "41"]
    async with world.venue() as venue, world.client(venue) as again:
        await again.login(uid=2)


async def test_bare_41_in_the_middle_of_everything(autojump_clock: Any, world: Any) -> None:
    async with world.venue() as venue, world.client(venue) as client, world.client(venue) as other:
        await client.login(uid=1)
        await other.login(uid=2)
        await world.http(venue, "POST /faults", b'{"kind":"bare_41","uid":1}')
        assert await client.frame() == "41"
        await client.idle(5)
        assert client.closed is None, "nothing else is said"
        await client.until_closed()
        await other.order()


async def test_lose_and_lose_request(autojump_clock: Any, world: Any) -> None:
    faults = (
        Fault(kind=FaultKind.LOSE, event="successopenOrder"),
        Fault(kind=FaultKind.LOSE_REQUEST, event="getBalance"),
    )
    async with world.venue(VenueConfig(faults=faults)) as venue, world.client(venue) as client:
        await client.login()
        await client.emit("openOrder", world.order())
        assert [name for name, _ in await client.events(1)] == ["successupdateBalance"]
        await client.emit("getBalance")
        assert await client.events(1) == []
        assert venue.stats()["deals"]["opened"] == 1
        await client.emit("getBalance")
        await client.until("successupdateBalance")


async def test_restart_drops_all_refuses_for_a_while_and_keeps_accounts(
    autojump_clock: Any, world: Any
) -> None:
    async with world.venue() as venue:
        async with world.client(venue) as client:
            await client.login()
            deal = await client.order(time=5)
            await world.http(venue, "POST /faults", b'{"kind":"restart","delay_ms":2000}')
            assert isinstance(await client.until_closed(), ConnectionBroken)
        with pytest.raises(PotrioError):
            async with world.client(venue):
                pass
        await trio.sleep(2.1)
        async with world.client(venue) as client:
            await client.connect()
            await client.emit("auth", world.auth())
            assert [d["id"] for d in await client.until("updateOpenedDeals")] == [deal["id"]]
            await client.until("successcloseOrder")


async def test_refused_connections_get_a_503(autojump_clock: Any, world: Any) -> None:
    async with world.venue(with_fault(kind=FaultKind.REFUSE_CONNECTION)) as venue:
        with pytest.raises(UpgradeRejected) as caught:
            async with world.client(venue):
                pass
        assert caught.value.status == 503
        async with world.client(venue) as client:
            await client.login()
        assert venue.stats()["connections"]["refused"] == 1


async def test_every_kind_has_its_test() -> None:
    source = globals()
    text = " ".join(name for name in source if name.startswith("test_"))
    for kind in FaultKind:
        word = kind.value.removesuffix("_connection").removesuffix("_request")
        assert word in text, kind
    assert issubclass(ConnectionBroken, ConnectionClosed)
