"""`python -m loadsim`: the venue and the conformance servers as commands.

Exit codes: 0 after an interrupt, 1 when something failed while running, 2 for input that cannot be used. An error is
one line on standard error, never a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import trio

from loadsim.collector import unhurried_collector
from loadsim.commands.load_test import load_test
from loadsim.commands.plan import plan
from loadsim.commands.report import check, diff, is_report, merge, run_again
from loadsim.commands.run import run, run_options, shard
from loadsim.commands.workers import workers
from loadsim.conformance import Suite, serve_conformance
from loadsim.venue.config import VenueConfig, read_config
from loadsim.venue.replay import serve_replay
from loadsim.venue.server import lone, open_venue
from potrio.errors import ConfigError, PotrioError
from potrio.transport.recording import Recording, read_recording

__all__ = ["cli", "main"]


LATER: Final = {"simulate": "loadsim.commands.simulate", "soak": "loadsim.soak.command"}
"""Commands that are half of the time of a start to import, which every shard and every venue would wait for."""


class Commands(click.Group):
    """A group of commands of which some are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them all."""
        return sorted([*super().list_commands(ctx), *LATER])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None where there is no such one."""
        if cmd_name not in LATER:
            return super().get_command(ctx, cmd_name)
        found = getattr(import_module(LATER[cmd_name]), cmd_name)
        assert isinstance(found, click.Command)
        return found


@click.group(cls=Commands, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Servers and swarms for testing clients. Everything stays on this machine unless you say otherwise."""


for command in (run, shard, plan, merge, check, diff, workers, load_test):
    cli.add_command(command)


@cli.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 lets the system choose.  [default: 0]")
@click.option("--seed", type=int, help="Decides every price and payout.  [default: 1]")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="TOML file with all settings.")
@click.option(
    "--tls", nargs=2, type=click.Path(path_type=Path), metavar="CERT KEY", help="Speak TLS (PEM files)."
)
@click.option(
    "--state", type=click.Path(path_type=Path), help="File in which accounts and deals survive a kill."
)
@click.option("--offset", type=int, help="Seconds the venue's clock is ahead of Unix time.  [default: 7200]")
@click.option("--ping-interval-ms", type=int, help="Between Engine.IO pings.  [default: 25000]")
@click.option("--ping-timeout-ms", type=int, help="For the pong.  [default: 20000]")
@click.option(
    "--until-eof", is_flag=True, help="End when standard input ends: with the process that started it."
)
def venue(
    config_file: Path | None,
    tls: tuple[Path, Path] | None,
    state: Path | None,
    offset: int | None,
    until_eof: bool,
    **options: Any,
) -> None:
    """Run the simulated venue until interrupted.

    Prints one line when it serves: venue ready ws://HOST:PORT/socket.io/?EIO=4&transport=websocket
    """
    config = read_config(config_file) if config_file is not None else VenueConfig()
    changes = {name: value for name, value in options.items() if value is not None}
    if tls is not None:
        changes["tls_cert"], changes["tls_key"] = tls
    if state is not None:
        changes["state_file"] = state
    if offset is not None:
        changes["offset_s"] = offset
    with unhurried_collector():
        run_until_interrupted(partial(_serve_venue, msgspec.structs.replace(config, **changes), until_eof))


@cli.command()
@click.argument("recording", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port; 0 lets the system choose.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Times real time.")
@click.option("--until-eof", is_flag=True, help="End when standard input ends.")
@run_options
def replay(recording: Path, host: str, port: int, speed: float, until_eof: bool, **options: Any) -> None:
    """Play again what is in a file: a recording to every client that comes, or the run of a report.

    A recording (`potrio record FILE`) is served until interrupted, by --host, --port, --speed and --until-eof; one line
    is printed when it serves: venue ready ws://HOST:PORT/socket.io/?EIO=4&transport=websocket

    A report (`report.json` of `loadsim run`) is run again: the same plan and seed, by the options of `loadsim run`.
    """
    if is_report(recording):
        raise SystemExit(run_again(recording, **options))
    run_until_interrupted(partial(_serve_replay, read_recording(recording), host, port, speed, until_eof))


@cli.command()
@click.option(
    "--suite", type=click.Choice(["engine.io", "socket.io"]), required=True, help="Which suite will judge."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=3000, show_default=True, help="Port.")
def conformance(suite: Suite, host: str, port: int) -> None:
    """Serve the echo application of an official protocol suite until interrupted."""
    run_until_interrupted(partial(_serve_suite, suite, host, port))


async def _serve_venue(config: VenueConfig, until_eof: bool) -> None:
    async with open_venue(config) as running:
        _say(f"venue ready {running.url}")
        await _until_told(until_eof)


async def _serve_replay(recording: Recording, host: str, port: int, speed: float, until_eof: bool) -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(serve_replay, recording, host=host, port=port, speed=speed)
        listeners = await nursery.start(serve)
        bound = listeners[0].socket.getsockname()
        _say(f"venue ready ws://{bound[0]}:{bound[1]}/socket.io/?EIO=4&transport=websocket")
        await _until_told(until_eof)
        nursery.cancel_scope.cancel("told to end")


async def _until_told(until_eof: bool) -> None:
    if until_eof:
        # In a thread, since a pipe, a file and a terminal are waited for in different ways.
        await trio.to_thread.run_sync(read_to_the_end, abandon_on_cancel=True)
    else:
        await trio.sleep_forever()


async def _serve_suite(suite: Suite, host: str, port: int) -> None:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(serve_conformance, suite, host=host, port=port))
        bound = listeners[0].socket.getsockname()
        _say(f"conformance ready http://{bound[0]}:{bound[1]}/{suite}/")


def _say(line: str) -> None:
    click.echo(line)  # it flushes


def run_until_interrupted(serve: Callable[[], Awaitable[None]]) -> None:
    """Run a server; SIGINT and SIGTERM end it in order, which is a success.

    Raises:
        click.ClickException: it failed; the exit code is 2 where the input was at fault, 1 otherwise.
    """

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                nursery.start_soon(until_done, serve, nursery.cancel_scope)
                async for _ in signals:
                    nursery.cancel_scope.cancel()
                    return

    try:
        trio.run(run)
    except BaseExceptionGroup as group:
        error = lone(group)
        raise _told(error) from error
    except (PotrioError, OSError) as error:
        raise _told(error) from error


def read_to_the_end() -> None:
    """Wait for the end of standard input, past its buffer: a lock held there would be in the way at our own end."""
    while os.read(sys.stdin.fileno(), 4096):
        pass


async def until_done(serve: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    """Serve; a server that ends by itself ends the command."""
    await serve()
    scope.cancel()


class Failure(click.ClickException):
    """One line, and the exit code that belongs to it."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(" ".join(text.split()))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it on the class


def _told(error: BaseException) -> BaseException:
    match error:
        case ConfigError():
            return Failure(str(error), 2)
        case OSError():
            return Failure(error.strerror or str(error) or type(error).__name__, 2)
        case PotrioError():
            return Failure(str(error), 1)
        case _:
            return error


def main() -> None:
    """Run the command line and exit."""
    try:
        code: object = cli.main(prog_name="loadsim", standalone_mode=False)
    except click.exceptions.Exit as ended:
        raise SystemExit(ended.exit_code) from None
    except click.Abort:
        raise SystemExit(1) from None
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        raise SystemExit(error.exit_code) from None
    except ConfigError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    raise SystemExit(code if isinstance(code, int) else 0)
