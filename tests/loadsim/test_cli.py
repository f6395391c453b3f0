"""The commands as processes: one line when ready, a clean end, one line for an error, and deals that survive a kill."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from loadsim.cli import main
from loadsim.venue.market import Market
from potrio.errors import ConnectionBroken
from potrio.transport.base import Transport
from potrio.transport.dial import dial

READY = re.compile(r"venue ready (wss?://127\.0\.0\.1:(\d+)/socket\.io/\?EIO=4&transport=websocket)\n")

Start = Callable[..., "Running"]
Failed = Callable[..., tuple[int, str, str]]


class Running:
    """A venue in its own process."""

    def __init__(self, process: subprocess.Popen[str], url: str, port: int) -> None:
        self.process = process
        self.url = url
        self.port = port

    def stats(self) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=60) as answer:
            return json.load(answer)

    def end(self, how: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(how)
        rest, errors = self.process.communicate(timeout=60)
        return self.process.returncode, rest, errors


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a venue; what still runs at the end of the test is killed."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadsim", "venue", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        match = READY.fullmatch(line)
        assert match is not None, (line, process.communicate(timeout=60)[1])
        return Running(process, match[1], int(match[2]))

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def read_to_the_end(transport: Transport) -> None:
    """Read until that raises."""
    while True:
        await transport.receive()


def finished(*arguments: str) -> tuple[int, str, str]:
    """Run a command that ends by itself, as a process."""
    done = subprocess.run(
        [sys.executable, "-m", "loadsim", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Failed:
    """Run a command that ends by itself, in this process: a dozen starts of Python take longer than all the rest."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["loadsim", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capfd.readouterr()

    return run


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_one_line_when_ready_and_an_interrupt_is_a_clean_end(start: Start, how: signal.Signals) -> None:
    venue = start("--seed", "7")
    assert venue.stats()["connections"]["now"] == 0
    assert venue.end(how) == (0, "", "")


def test_an_interrupt_closes_the_connections_of_clients(start: Start) -> None:
    venue = start("--port", "0")

    async def client() -> None:
        async with dial(venue.url) as transport:
            await transport.receive()
            venue.process.send_signal(signal.SIGINT)
            with trio.fail_after(60), pytest.raises(ConnectionBroken, match="1001"):
                await read_to_the_end(transport)

    trio.run(client)
    assert venue.process.wait(60) == 0


def test_bad_input_is_one_line_and_exit_code_2(failed: Failed, tmp_path: Path) -> None:
    config = tmp_path / "venue.toml"
    config.write_text("[market]\nvolatilty = 1\n")
    state = tmp_path / "state.json"
    state.write_text("nonsense")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, text in (
            (["--port", "99999"], "port: must be from 0 to 65535"),
            (["--port", "x"], "'x' is not a valid integer"),
            (["--port", port], "already in use"),
            (["--config", str(config)], "unknown field `volatilty`"),
            (["--config", str(tmp_path / "none")], "No such file"),
            (["--tls", "none", "none"], "tls_cert: No such file"),
            (["--state", str(state)], "is not the state of a venue"),
            (["--seed", "-1"], "seed: must be from 0"),
            (["--nope"], "No such option"),
        ):
            code, out, errors = failed("venue", *arguments)
            assert (code, out) == (2, ""), arguments
            assert text in errors
            assert errors.startswith("error: ")
            assert errors.count("\n") == 1
    for words in ([], ["nope"], ["conformance"], ["conformance", "--suite", "x"]):
        code, out, errors = failed(*words)
        assert (code, out) == (2, "")
        assert errors.startswith("error: ")
        assert "Traceback" not in errors


def test_bad_input_of_a_process() -> None:
    assert finished("venue", "--seed", "-1") == (
        2,
        "",
        "error: seed: must be from 0 to 2**64 - 1\n",
    )


def test_help_names_the_commands() -> None:
    code, out, _ = finished("--help")
    assert code == 0
    for name in ("venue", "conformance", "simulate", "soak", "run"):
        assert re.search(rf"^  {name} +[A-Z]", out, re.MULTILINE), name


@pytest.mark.parametrize("name", ["simulate", "soak"])
def test_commands_that_are_imported_when_they_are_asked_for(failed: Failed, name: str) -> None:
    code, out, _ = failed(name, "--help")
    assert code == 0
    assert out.startswith(f"Usage: loadsim {name} ")


def test_a_venue_does_not_wait_for_the_import_of_a_simulation() -> None:
    program = (
        "import sys, loadsim.cli; print([name for name in sys.modules if name.startswith('loadsim.simul')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_options_overrule_the_file(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "venue.toml"
    config.write_text("seed = 3\noffset_s = 0\nping_interval_ms = 500\n")
    venue = start("--config", str(config), "--offset", "3600", "--ping-interval-ms", "700")

    async def client() -> Any:
        async with dial(venue.url) as transport:
            return json.loads(str((await transport.receive())[0])[1:])

    assert trio.run(client)["pingInterval"] == 700
    before = time.time()
    stamp = venue.stats()["stamp"]
    assert before + 3599 < stamp < time.time() + 3601


def test_conformance_says_where_it_is(start: Start) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "loadsim", "conformance", "--suite", "engine.io", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert re.fullmatch(r"conformance ready http://127\.0\.0\.1:\d+/engine\.io/\n", process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


# --- a kill ----------------------------------------------------------------------------------------------------------


class Events:
    """What a transport brings, event by event."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.waiting: list[str | bytes] = []

    async def until(self, wanted: str) -> Any:
        """Skip to an event; return its value."""
        header = ""
        with trio.fail_after(60):
            while True:
                while self.waiting:
                    message = self.waiting.pop(0)
                    if isinstance(message, str):
                        header = message
                    elif f'"{wanted}"' in header:
                        return json.loads(message)
                self.waiting += await self.transport.receive()


async def log_in(transport: Transport) -> None:
    """The handshake."""
    await transport.send(["40"])
    await transport.send(['42["auth",{"session":"s","isDemo":1,"uid":9}]'])


def test_what_was_open_when_the_venue_was_killed_is_settled_at_its_expiry_price(
    start: Start, tmp_path: Path
) -> None:
    state = str(tmp_path / "state.json")
    venue = start("--seed", "7", "--state", state)

    async def trade() -> tuple[Any, Any]:
        async with dial(venue.url) as transport:
            await log_in(transport)
            events = Events(transport)
            await events.until("successupdatePending")
            order = (
                '42["openOrder",{"asset":"EURUSD_otc","amount":10,"action":"%s","time":%d,"requestId":"%s"}]'
            )
            await transport.send([order % ("call", 5, "short")])
            short = await events.until("successopenOrder")
            await transport.send([order % ("put", 9, "long")])
            return short, await events.until("successopenOrder")

    short, long = trio.run(trade)
    code, _, errors = venue.end(signal.SIGKILL)
    assert (code, errors) == (-signal.SIGKILL, "")
    time.sleep(max(0.0, short["closeTimestamp"] + 1.1 - 7200 - time.time()))
    again = start("--seed", "7", "--state", state, "--port", str(venue.port))
    assert again.port == venue.port

    async def look() -> tuple[Any, Any, Any]:
        async with dial(again.url) as transport:
            await log_in(transport)
            events = Events(transport)
            opened = await events.until("updateOpenedDeals")
            closed = await events.until("updateClosedDeals")
            later = (await events.until("successcloseOrder"))["deals"] if opened else []
            return opened, closed, later

    opened, closed, later = trio.run(look)
    # On a machine that took seconds to start the venue again the long one has ended, too.
    assert sorted(deal["id"] for deal in closed + later) == sorted([short["id"], long["id"]])
    assert [deal["id"] for deal in opened] == [deal["id"] for deal in later]
    assert short["id"] in [deal["id"] for deal in closed]
    market = Market(7)
    for deal in closed + later:
        assert deal["closePrice"] == market.price(
            "EURUSD_otc", deal["closeTimestamp"] + deal["closeMs"] / 1000
        )
        assert "requestId" not in deal
    stats = again.stats()
    profit = sum(deal["profit"] for deal in closed + later)
    assert stats["accounts"][0]["balance"] == pytest.approx(50_000 + profit)
    assert stats["orders"] == {"short": 1, "long": 1}, "the count survives too"
    assert again.end(signal.SIGINT)[0] == 0
