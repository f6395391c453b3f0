"""`python -m potrio.testing`: the WebSocket echo in both roles, to be judged by the Autobahn suite.

Exit codes: 0 done or interrupted, 1 when something failed while running, 2 for input that cannot be used. An error is
one line on standard error.
"""

from __future__ import annotations

import signal
import sys
from functools import partial

import click
import trio

from potrio.errors import ConfigError, PotrioError
from potrio.testing.ws_echo import run_cases, serve_echo

__all__ = ["main"]


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Peers for conformance suites. Everything stays on this machine."""


@cli.command("ws-echo")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, show_default=True, help="0: any free port."
)
def ws_echo(host: str, port: int) -> None:
    """Serve a WebSocket that sends every message back, until interrupted.

    Prints one line when it serves: ws-echo ready ws://HOST:PORT
    """
    trio.run(_serve_until_interrupted, port, host)


async def _serve_until_interrupted(port: int, host: str) -> None:
    # Signals are awaited, since a KeyboardInterrupt may strike in the middle of the closing of a connection.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(_serve, port, host))
            async for _ in signals:
                nursery.cancel_scope.cancel()


async def _serve(port: int, host: str, *, task_status: trio.TaskStatus[None]) -> None:
    ready = _Ready(task_status)
    await serve_echo(port, host, task_status=ready)


class _Ready(trio.TaskStatus[list[trio.SocketListener]]):
    """Prints where the server listens, and passes on that it does."""

    def __init__(self, outer: trio.TaskStatus[None]) -> None:
        self._outer = outer

    def started(self, value: list[trio.SocketListener] | None = None) -> None:
        assert value, "a server listens somewhere"
        host, port = value[0].socket.getsockname()[:2]
        click.echo(f"ws-echo ready ws://{f'[{host}]' if ':' in host else host}:{port}")
        self._outer.started()


@cli.command("ws-echo-client")
@click.argument("url")
@click.argument("agent")
def ws_echo_client(url: str, agent: str) -> None:
    """Run all cases of the Autobahn fuzzing server at URL; its report calls us AGENT."""
    count = trio.run(partial(run_cases, url, agent, told=_tell if sys.stderr.isatty() else None))
    click.echo(f"ws-echo-client ran {count} cases")


def _tell(number: int, count: int) -> None:
    click.echo(f"\rcase {number} of {count}", nl=number == count, err=True)


def main(arguments: list[str] | None = None) -> int:
    """Run one command line; return the exit code."""
    try:
        cli.main(args=arguments, prog_name="python -m potrio.testing", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    except click.Abort:
        return 0  # click's word for an interrupt
    except BaseExceptionGroup as group:
        interrupt, rest = group.split(KeyboardInterrupt)
        failed = None if rest is None else rest.exceptions[0]
        if interrupt is not None and rest is None:
            return 0
        if not isinstance(failed, PotrioError | OSError):
            raise
        return _fail(failed)
    except (PotrioError, OSError) as error:
        return _fail(error)
    return 0


def _fail(error: PotrioError | OSError) -> int:
    click.echo(f"error: {' '.join(str(error).split())}", err=True)
    return 2 if isinstance(error, ConfigError | OSError) else 1


if __name__ == "__main__":
    sys.exit(main())
