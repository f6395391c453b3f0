"""`python -m potrio.testing`: the WebSocket echo in both roles, to be judged by the Autobahn suite.

Exit codes: 0 done or interrupted, 1 when something failed while running, 2 for input that cannot be used. An error is
one line on standard error.
"""

from __future__ import annotations

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
    trio.run(partial(serve_echo, port, host, task_status=_Ready()))


class _Ready(trio.TaskStatus[list[trio.SocketListener]]):
    """Prints where the server listens."""

    def started(self, value: list[trio.SocketListener] | None = None) -> None:
        assert value, "a server listens somewhere"
        host, port = value[0].socket.getsockname()[:2]
        click.echo(f"ws-echo ready ws://{f'[{host}]' if ':' in host else host}:{port}")


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
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        return 0
    except (PotrioError, OSError) as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        return 2 if isinstance(error, ConfigError | OSError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
