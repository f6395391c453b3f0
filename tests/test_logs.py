"""Loggers that say nothing by themselves, touch nobody else's, and never let a token through."""

from __future__ import annotations

import json
import logging
from decimal import Decimal

import pytest
import trio

from loadsim.venue import VenueConfig, open_venue
from potrio import open_client
from potrio.logs import FIELDS, LEVELS, ROOT, RedactingFilter, potrio_logger, redacting, shown, talking
from potrio.secrets import Secret
from potrio.testing.network import MemoryNetwork

TOKEN = "a0test0session0of0potrio0x"
SSID = f'42["auth",{{"session":"{TOKEN}","isDemo":1,"uid":4711,"platform":2}}]'


class Sink(logging.Handler):
    """Keeps records, and what a formatter makes of them."""

    def __init__(self):
        super().__init__()
        self.records = []
        self.lines = []

    def emit(self, record):
        self.records.append(record)
        self.lines.append(self.format(record))


@pytest.fixture
def sink():
    handler = Sink()
    ROOT.addHandler(handler)
    with talking("DEBUG"):
        yield handler
    ROOT.removeHandler(handler)


def test_nothing_is_said_where_nobody_listens(capfd):
    potrio_logger("test").error("to nobody")
    assert any(isinstance(handler, logging.NullHandler) for handler in ROOT.handlers)
    assert capfd.readouterr() == ("", "")


def test_one_filter_however_often_a_logger_is_taken():
    logger = potrio_logger("test")
    assert potrio_logger("test") is logger
    assert sum(isinstance(each, RedactingFilter) for each in logger.filters) == 1


@pytest.mark.parametrize("logger", ["client", "supervision", "callbacks"])
def test_every_logger_of_ours_has_the_filter(logger):
    assert any(isinstance(each, RedactingFilter) for each in potrio_logger(logger).filters)


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (f"sent {SSID}", ()),
        ("sent %s", (SSID,)),
        ("%s: %r", ("x", {"session": TOKEN})),
        (json.dumps(SSID), ()),
        ('a "session": "%s" in other words', (TOKEN,)),
    ],
)
def test_what_looks_like_an_auth_frame_is_masked_even_where_no_client_is_open(sink, message, args):
    potrio_logger("test").info(message, *args)
    assert TOKEN not in sink.lines[0]
    assert "***" in sink.lines[0]


def test_the_token_of_an_open_client_is_masked_by_its_value_everywhere(sink):
    logger = potrio_logger("test")
    with redacting(Secret(TOKEN)):
        logger.info("half of it: %s", TOKEN[:20])
        logger.info("a field", extra={"kind": TOKEN})
        try:
            raise ValueError(f"bad {TOKEN}")
        except ValueError:
            logger.exception("a traceback")
    assert not any(TOKEN[:20] in line for line in sink.lines)
    assert TOKEN not in repr([vars(record) for record in sink.records])
    assert "ValueError: bad ***" in sink.lines[2]
    assert shown(TOKEN) == TOKEN, "nothing is left behind of a client that is closed"


def test_two_clients_of_one_account_are_counted():
    secret = Secret(TOKEN)
    with redacting(secret):
        with redacting(secret):
            pass
        assert shown(TOKEN) == "***"
    assert shown(TOKEN) == TOKEN


def test_other_records_pass_as_they_are(sink):
    amount = Decimal("1.50")
    potrio_logger("test").info("deal of %s %s", amount, "USD", extra={"kind": "deal"})
    (record,) = sink.records
    assert (record.args, record.msg, record.kind) == ((amount, "USD"), "deal of %s %s", "deal")


def test_levels_are_given_back():
    before = ROOT.level
    with talking("DEBUG"):
        assert potrio_logger("test").isEnabledFor(logging.DEBUG)
    with talking(None):
        assert ROOT.level == before
    assert ROOT.level == before
    assert all(isinstance(logging.getLevelName(name), int) for name in LEVELS)


def state_of(logger):
    return logger.level, list(logger.handlers), list(logger.filters), logger.disabled, logger.propagate


@pytest.mark.parametrize("options", [{}, {"debug": True}, {"log_level": "info"}], ids=str)
async def test_the_hosts_handlers_and_levels_are_untouched(autojump_clock, options):
    network = MemoryNetwork(seed=5)
    theirs = logging.getLogger("host.application")
    before = [state_of(logging.getLogger()), state_of(theirs), state_of(logging.getLogger("trio-websocket"))]
    ours = ROOT.level
    async with open_venue(VenueConfig(seed=3, port=8080), seam=network) as venue:
        with trio.fail_after(60):
            async with open_client(SSID, url=venue.url, seam=network, **options):
                assert ROOT.level == (
                    getattr(logging, {"debug": "DEBUG"}.get(*options, "INFO")) if options else ours
                )
                during = [state_of(logging.getLogger()), state_of(theirs)]
    assert during == before[:2]
    assert before == [
        state_of(logging.getLogger()),
        state_of(theirs),
        state_of(logging.getLogger("trio-websocket")),
    ]
    assert ROOT.level == ours


async def test_records_of_a_client_have_fields(autojump_clock, sink):
    network = MemoryNetwork(seed=5)
    async with (
        open_venue(VenueConfig(seed=3, port=8080), seam=network) as venue,
        open_client(SSID, url=venue.url, seam=network),
    ):
        await trio.sleep(1)
    (up,) = [record for record in sink.records if getattr(record, "kind", "") == "up"]
    assert (up.epoch, up.name) == (1, "potrio.client")
    assert set(FIELDS) >= {"kind", "epoch"}
    assert not any(TOKEN in line for line in sink.lines)
