"""The clock probe: asked for where no stream that is read can show the venue's clock, and never in a reader's place."""

from __future__ import annotations

import msgspec
import pytest

from potrio.actors.account import AccountState
from potrio.actors.clock_probe import ClockProbe
from potrio.actors.feeds import Feeds
from potrio.actors.stream import Gap, Stream
from potrio.protocol.messages.market import ChangeSymbol, UnsubscribeSymbol

from .test_asset_changes import asset, table

WALL = 1_770_000_000.0


class World:
    def __init__(self) -> None:
        self.account, self.feeds, self.probe = AccountState(), Feeds(), ClockProbe()
        self.sent: list[tuple[str, str]] = []
        plain = msgspec.structs.replace(asset("PLAIN"), is_otc=0)
        closed = asset("SHUT_otc", active=False)
        self.account.set_assets(table(plain, closed, asset("A_otc"), *map(asset, "bcde")))

    def transmit(self, message) -> None:
        match message:
            case ChangeSymbol(asset=symbol):
                self.sent.append(("+", symbol))
            case UnsubscribeSymbol(asset=symbol):
                self.sent.append(("-", symbol))

    def read(self, *assets: str) -> None:
        self.feeds.add(Stream(gap=lambda n: Gap("overflow", dropped=n)), assets)

    def begin(self) -> list[tuple[str, str]]:
        self.probe.begin(self.account, self.feeds, self.transmit)
        return self.sent

    def measure(self) -> None:
        self.account.clock.observe(WALL + 7200, WALL)
        self.probe.settle(self.account, self.feeds, self.transmit)


@pytest.fixture
def world() -> World:
    return World()


def test_the_first_asset_that_is_open_day_and_night_is_asked_for_once(world) -> None:
    assert world.begin() == [("+", "A_otc")]
    assert world.begin() == [("+", "A_otc")]
    world.measure()
    assert world.sent == [("+", "A_otc"), ("-", "A_otc")]
    assert world.probe.asset is None
    assert world.begin() == [("+", "A_otc"), ("-", "A_otc")], "what is known is not asked for"


def test_a_doubt_has_it_asked_for_again(world) -> None:
    world.measure()
    world.account.clock.doubt(3600.0, WALL + 1)
    assert world.begin() == [("+", "A_otc")]


def test_not_where_a_stream_is_read_that_will_show_it(world) -> None:
    world.read("SHUT_otc", "b")
    assert world.begin() == []


def test_nor_where_nobody_knows_whether_it_will(world) -> None:
    world.read("UNHEARD_OF")
    assert world.begin() == []


def test_closed_assets_show_nothing(world) -> None:
    world.read("SHUT_otc")
    assert world.begin() == [("+", "A_otc")]


def test_no_room_for_one_more(world) -> None:
    world.account.set_assets(table(*(asset(name, active=False) for name in "bcde"), asset("A_otc")))
    world.read(*"bcde")
    assert world.begin() == []


def test_nothing_to_ask_for_and_the_doubt_stays(world) -> None:
    world.account.set_assets(table(asset("SHUT_otc", active=False)))
    world.account.clock.doubt(3600.0, WALL)
    assert world.begin() == []
    assert world.account.clock.is_doubted


def test_it_gives_way_to_readers(world) -> None:
    world.begin()
    world.probe.give_way(world.feeds, ("b", "c", "d"), world.transmit)
    assert world.sent == [("+", "A_otc")], "there is room"
    world.probe.give_way(world.feeds, ("b", "c", "d", "e"), world.transmit)
    assert world.sent == [("+", "A_otc"), ("-", "A_otc")]


def test_a_stream_that_is_read_by_now_is_not_ended(world) -> None:
    world.begin()
    world.read("A_otc")
    world.measure()
    assert world.sent == [("+", "A_otc")]
    assert world.probe.asset is None
