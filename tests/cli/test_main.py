"""The command line as a whole: help, exit codes, Ctrl-C, a reader that goes away, an SSID that is never repeated."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

from potrio.cli import main
from potrio.errors import AuthError, ConfigError, ConnectTimeout, PotrioError

from .conftest import ASSET, REFUSED_SSID, SSID, TOKEN, Command, check_silence

COMMANDS = (
    ["demo"],
    ["balance"],
    ["assets"],
    ["candles"],
    ["ticks"],
    ["ssid"],
    ["ssid", "check"],
    ["ssid", "import"],
    ["config"],
    ["config", "show"],
    ["deals"],
    ["decode"],
    ["record"],
    ["replay"],
    ["report"],
    ["trade"],
    ["tree"],
)


def spawn(*arguments: str) -> subprocess.Popen[str]:
    """Start the command as a process, with an SSID in its environment."""
    environment = {**os.environ, "POCKETOPTION_SSID": SSID}
    return subprocess.Popen(
        [sys.executable, "-m", "potrio", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(potrio: Command, command: list[str]) -> None:
    for option in ("--help", "-h"):
        done = potrio(*command, option, ssid=None)
        assert (done.code, done.err) == (0, "")
        assert f"Usage: potrio {' '.join(command)}" in done.out


def test_no_command_is_missing_above() -> None:
    found = [[name] for name in main.cli.commands if name != "bench"]  # whose help is that of the benchmarks
    for name, command in main.cli.commands.items():
        if isinstance(command, click.Group):
            found += [[name, below] for below in command.commands]
    assert sorted(found) == sorted(COMMANDS)


@pytest.mark.parametrize(
    "name", ["balance", "assets", "candles", "ticks", "deals", "tree", "config show", "decode"]
)
def test_every_command_that_reads_has_an_example_that_parses(potrio: Command, name: str) -> None:
    words = name.split()
    said = potrio(*words, "--help").out
    example = " ".join(said.split("Example:")[1].split("Options:")[0].split()).split("| ")[-1]
    assert example.startswith(f"potrio {name}")
    assert potrio(*example.split()[1:], "--help").code == 0, example


def test_the_exit_codes_are_in_the_help(potrio: Command) -> None:
    done = potrio("--help")
    for code in ("0", "1", "2", "3", "4", "130"):
        assert f"{code} " in done.out.split("Exit codes:")[1]


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--nonsense"], ["candles"], ["candles", "X", "-n", "0"]]
)
def test_a_command_line_that_is_wrong(potrio: Command, arguments: list[str]) -> None:
    done = potrio(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Error: " in done.err


# --- exit codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PotrioError("x"), 1),
        (ConfigError("url", "x"), 2),
        (ConnectTimeout("x", "tcp", 1), 3),
        (AuthError("x"), 4),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (ExceptionGroup("x", [AuthError("x"), PotrioError("y")]), 4),
        (BaseExceptionGroup("x", [AuthError("x"), KeyboardInterrupt()]), 130),
        (ExceptionGroup("x", [ExceptionGroup("y", [ConfigError("url", "x")])]), 2),
    ],
    ids=repr,
)
def test_errors_become_one_line_and_a_code(potrio: Command, monkeypatch, error, code) -> None:
    def raising(**options: object) -> None:
        raise error

    monkeypatch.setattr(main.cli.commands["tree"], "callback", raising)
    done = potrio("tree")
    done._replace(err=done.err.lstrip("\n")).check_one_line(code=code)


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), ExceptionGroup("x", [PotrioError("y"), RuntimeError()])]
)
def test_a_bug_is_not_hidden(potrio: Command, monkeypatch, error) -> None:
    def raising(**options: object) -> None:
        raise error

    monkeypatch.setattr(main.cli.commands["tree"], "callback", raising)
    with pytest.raises(type(error)):
        potrio("tree")


def test_a_rejected_ssid(potrio: Command, venue_url: str) -> None:
    potrio("balance", "--url", venue_url, ssid=REFUSED_SSID).check_one_line("rejected", code=4)


def test_a_silent_server(potrio: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        done = potrio("balance", "--url", url, "--handshake-timeout", "0.3")
    done.check_one_line("http", "0.3 s", code=3)


# --- the SSID stays inside -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["ssid", "check", SSID], ["balance", "--ssid-file", SSID], ["balance", "--url", SSID], [SSID]],
)
def test_an_ssid_on_the_command_line_is_refused_and_not_repeated(
    potrio: Command, arguments: list[str]
) -> None:
    potrio(*arguments, ssid=None).check_one_line("ssid", code=2)


def test_in_a_process_of_its_own_the_ssid_is_in_no_output_and_no_argument(
    venue_url: str, tmp_path: Path
) -> None:
    """Read from a file; while it runs, the arguments are what any process of the machine could read."""
    file = tmp_path / "ssid"
    file.write_text(SSID)
    command = [sys.executable, "-m", "potrio", "ticks", ASSET, "--ssid-file", str(file), "--url", venue_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        shown = Path(f"/proc/{process.pid}/cmdline")
        arguments = shown.read_text() if shown.exists() else str(process.args)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert ASSET in line
    assert ASSET in arguments
    assert TOKEN not in arguments
    check_silence(line, rest, errors)


# --- interrupted -----------------------------------------------------------------------------------------------------


def test_ctrl_c_while_ticks_come(venue_url: str) -> None:
    with spawn("ticks", ASSET, "--url", venue_url) as process:
        assert process.stdout is not None
        assert ASSET in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "potrio: interrupted"  # after an empty line: a terminal has just shown ^C


def test_ctrl_c_while_connecting() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        spawn("balance", "--url", f"ws://127.0.0.1:{listener.getsockname()[1]}/") as process,
    ):
        connection, _ = listener.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors.strip()) == (130, "", "potrio: interrupted")


@pytest.mark.parametrize(
    "arguments",
    [["ticks", ASSET], ["candles", ASSET, "-n", "3000"], ["candles", ASSET, "-n", "3000", "--json"]],
)
def test_a_reader_that_goes_away(venue_url: str, arguments: list[str]) -> None:
    """Each of these prints more than a pipe holds."""
    with spawn(*arguments, "--url", venue_url) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        code = process.wait(60)
    assert (code, errors) == (1, "")


def test_a_reader_that_goes_away_from_several_tasks() -> None:
    """What comes out of a nursery is a group."""
    program = (
        "import click, sys, trio\n"
        "from potrio.cli import main\n"
        "async def chatter():\n"
        "    while True:\n"
        "        click.echo('x' * 1000)\n"
        "        await trio.sleep(0)\n"
        "async def both():\n"
        "    async with trio.open_nursery() as nursery:\n"
        "        nursery.start_soon(chatter)\n"
        "        nursery.start_soon(chatter)\n"
        "main.cli.commands['tree'].callback = lambda **options: trio.run(both)\n"
        "sys.exit(main.run(['tree']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        code = process.wait(60)
    assert (code, errors) == (1, "")
