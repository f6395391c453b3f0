"""The tree as a value: who is in it, what restarts together, and that each part of the state is there once."""

from __future__ import annotations

from pathlib import Path

import pytest

from potrio import Config
from potrio.actors.connection import LinkSettings
from potrio.actors.journal import JournalState
from potrio.actors.journal_file import JournalFile
from potrio.actors.keys import CONNECTION, HISTORY, JOURNAL, MONITOR, ORDER_BOOK, PINGER, ROUTER
from potrio.actors.monitor import MONITOR_MAILBOX
from potrio.client.tree import Shared, client_tree
from potrio.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    ConnectionClosed,
    ConnectRefused,
    RemoteProtocolError,
)
from potrio.supervision.mailbox_spec import Bounded, Lanes, Unbounded
from potrio.testing.network import MemoryNetwork

SSID = '42["auth",{"session":"a0test0session0of0potrio0x","isDemo":1,"uid":4711,"platform":2}]'


@pytest.fixture
def tree():
    config = Config(ssid=SSID, url="ws://127.0.0.1:1/", seam=MemoryNetwork())
    ssid = config.parsed_ssid()
    return client_tree(
        LinkSettings(ssid=ssid, candidates=config.candidates(ssid), seam=config.seam), Shared()
    )


def below(spec) -> dict:
    return {str(getattr(one.id, "name", one.id)): one for one in spec.supervisor.children}


def test_who_is_where_and_in_which_order(tree):
    root = below(tree)
    assert list(root) == ["monitor", "account", "link", "users"]
    assert list(below(root["account"])) == [ORDER_BOOK.name, HISTORY.name]
    assert list(below(root["link"])) == [CONNECTION.name, PINGER.name, ROUTER.name]
    assert root["monitor"].id == MONITOR.name or root["monitor"].id is MONITOR
    assert below(root["users"]) == {}


def test_a_journal_starts_before_the_order_book_and_stops_after_it():
    config = Config(ssid=SSID, url="ws://127.0.0.1:1/", seam=MemoryNetwork())
    ssid, shared = config.parsed_ssid(), Shared()
    file = JournalFile.open(Path("orders.db"), config.seam)
    shared.journal = JournalState(file, "me")
    settings = LinkSettings(ssid=ssid, candidates=config.candidates(ssid), seam=config.seam)
    account = below(below(client_tree(settings, shared))["account"])
    assert list(account) == [JOURNAL.name, ORDER_BOOK.name, HISTORY.name]
    assert isinstance(account["journal"].mailbox, Unbounded), "facts of orders are never dropped"
    assert shared.journal in account["order_book"].args
    file.close()


def test_what_restarts_together(tree):
    root = below(tree)
    assert tree.supervisor.strategy == "one_for_one"
    assert root["account"].supervisor.strategy == root["link"].supervisor.strategy == "rest_for_one"


def test_orders_are_never_dropped_and_all_else_is_bounded(tree):
    """P5: the mailboxes without a bound are bounded by the venue, by the order book, and by how often one connects."""
    root = below(tree)
    account, link = below(root["account"]), below(root["link"])
    assert isinstance(account["order_book"].mailbox, Unbounded)
    lanes = link["connection"].mailbox
    assert isinstance(lanes, Lanes)
    assert [type(spec) for spec in lanes.specs] == [Unbounded, Unbounded, Bounded]
    assert root["monitor"].mailbox is MONITOR_MAILBOX
    assert [type(spec) for spec in MONITOR_MAILBOX.specs] == [Unbounded, Bounded], "one message for each link"
    for spec in (account["history"], link["router"], link["pinger"]):
        assert isinstance(spec.mailbox, Bounded)
    assert link["router"].mailbox.overflow == "reject", "the connection waits: TCP holds the venue back"


def test_what_cannot_be_healed_ends_the_client(tree):
    stop_on = below(below(tree)["link"])["connection"].stop_on
    assert set(stop_on) == {AuthError, ConfigError, ConnectError, ConnectionClosed, RemoteProtocolError}
    assert issubclass(ConnectRefused, stop_on)


def test_each_client_has_its_own_state():
    one, two = Shared(), Shared()
    assert one.journal is two.journal is None
    assert one.sessions is two.sessions is None
    for name in set(vars(one)) - {"journal", "sessions"}:
        assert getattr(one, name) is not getattr(two, name)
