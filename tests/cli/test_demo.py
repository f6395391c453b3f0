"""`potrio demo` as a person runs it, on both transports; the exit code, the terminal and Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

from potrio.cli import demo as demo_command
from potrio.cli.demo import ACTORS, SSID
from potrio.cli.outline import outline_paths
from potrio.cli.story import DURATION_S, Summary
from potrio.cli.tree import client_outline
from potrio.cli.venue_process import PING_INTERVAL_MS
from potrio.errors import PotrioError

from .conftest import Command, check_silence

DEMO = [sys.executable, "-m", "potrio", "demo"]
TOKEN = SSID.split('"')[5]


def test_the_whole_demo() -> None:
    """Both at once: in plain text with crashes, and as JSON over the other transport."""
    commands = (
        ["--crash", "connection", "--crash", "order_book"],
        ["--json", "--transport", "trio-websocket"],
    )
    running = [
        subprocess.Popen([*DEMO, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for options in commands
    ]
    (plain, plain_errors), (as_json, json_errors) = [each.communicate(timeout=110) for each in running]

    assert running[0].returncode == 0, plain
    check_silence(plain, plain_errors, as_json, json_errors)
    assert TOKEN not in plain + plain_errors + as_json + json_errors
    assert "\nall facts agree (" in plain
    assert "\tNO\n" not in plain
    assert "crash of connection restarted exactly its region\tconnection, pinger, router\t" in plain
    assert "crash of order_book restarted exactly its region\thistory, order_book\t" in plain
    assert "balance 50000.00 (demo)" in plain
    assert "\x1b" not in plain

    assert running[1].returncode == 0, as_json
    assert 2 * PING_INTERVAL_MS < 1000 * DURATION_S, "each half of the story has heartbeats to compare"
    summary = json.loads(as_json)
    assert summary["ok"] is True
    assert all(fact["agree"] for fact in summary["facts"])
    counted = {fact["fact"]: fact["ours"] for fact in summary["facts"]}
    for fact in ("before: heartbeats", "before: ticks", "orders sent"):
        assert int(counted[fact]) > 0, fact
    assert json_errors == ""


def test_ctrl_c_leaves_nothing_behind() -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "potrio: interrupted"
    port = re.search(r":(\d+)/", ready)
    assert port is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port[1])), timeout=2)


# --- the verdict -----------------------------------------------------------------------------------------------------


class Venue:
    """Never asked."""

    url = "ws://127.0.0.1:9/"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Summary:
    """What the story comes to; no venue is started."""
    summary = Summary(ok=True)

    class Story:
        def __init__(self, *arguments: object) -> None:
            pass

        async def tell(self, *arguments: object) -> Summary:
            return summary

    @asynccontextmanager
    async def venue(*arguments: object) -> AsyncGenerator[Venue, None]:
        yield Venue()

    monkeypatch.setattr(demo_command, "Story", Story)
    monkeypatch.setattr(demo_command, "open_venue_process", venue)
    return summary


def test_it_succeeds_only_if_the_facts_agree(potrio: Command, told: Summary) -> None:
    assert potrio("demo").code == 0
    told.ok = False
    done = potrio("demo")
    assert done.code == 1
    assert "FACTS DISAGREE" in done.out
    done = potrio("demo", "--json")
    assert done.code == 1
    assert json.loads(done.out)["ok"] is False


def test_one_that_hangs_is_ended(potrio: Command, told: Summary, monkeypatch) -> None:
    monkeypatch.setattr(demo_command, "DEADLINE_S", 0.1)

    async def hang(*arguments: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(demo_command.Story, "tell", hang)
    done = potrio("demo", "--json")
    done.check_one_line("0.1 s", code=1)


def test_an_order_that_fails_is_one_line(potrio: Command, told: Summary, monkeypatch) -> None:
    """The orders run in a nursery, and so fail as a group."""

    async def fail(*arguments: object) -> None:
        raise ExceptionGroup("orders", [PotrioError("first"), PotrioError("second")])

    monkeypatch.setattr(demo_command.Story, "tell", fail)
    potrio("demo", "--json").check_one_line("first", code=1)


def test_an_actor_that_is_not_there(potrio: Command) -> None:
    done = potrio("demo", "--crash", "nobody")
    assert done.code == 2
    assert "nobody" in done.err


def test_every_actor_of_the_client_can_be_crashed() -> None:
    planned = client_outline()
    paths = [path for path in outline_paths(planned) if path.rpartition("/")[2] in ACTORS]
    supervisors = {"root", "root/account", "root/link", "root/users"}
    assert set(outline_paths(planned)) - supervisors == set(paths)
    assert len(paths) == len(ACTORS)
