"""The `potrio` command: its group, and the one place where errors become one line and an exit code."""

from __future__ import annotations

import io
import sys

import click

from potrio.cli.bench import bench
from potrio.cli.config import config
from potrio.cli.deals import deals
from potrio.cli.decode import decode
from potrio.cli.demo import demo
from potrio.cli.log_output import saying_warnings
from potrio.cli.market import assets, balance, candles, ticks
from potrio.cli.record import record, replay
from potrio.cli.report import report
from potrio.cli.ssid import ssid
from potrio.cli.trade import trade
from potrio.cli.tree import tree
from potrio.errors import AuthError, ConfigError, ConnectError, PotrioError
from potrio.logs import potrio_logger

__all__ = ["run"]

EXIT_CODES: tuple[tuple[type[PotrioError], int], ...] = ((ConfigError, 2), (ConnectError, 3), (AuthError, 4))
"""2: what you gave cannot be used; 3: the venue cannot be reached; 4: it rejects the SSID; 1: anything else."""

EXPECTED = (PotrioError, click.ClickException, click.Abort, KeyboardInterrupt, BrokenPipeError)
"""What becomes one line. Everything else is a fault in potrio, and shows where."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="potrio")
def cli() -> None:
    """Supervised actors on trio, and on them a PocketOption client.

    Exit codes: 0 done, 1 failed, 2 wrong input, 3 the venue cannot be reached, 4 it rejects the SSID, 130 interrupted.
    """


for command in (
    demo,
    balance,
    assets,
    candles,
    ticks,
    ssid,
    tree,
    bench,
    config,
    deals,
    decode,
    record,
    replay,
    report,
    trade,
):
    cli.add_command(command)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line; every expected error is one line on stderr. Returns the exit code."""
    try:
        refuse_ssid(sys.argv[1:] if arguments is None else arguments)
        with saying_warnings(potrio_logger("settings")):
            result = cli.main(args=arguments, prog_name="potrio", standalone_mode=False)
    except EXPECTED as error:
        return told(error)
    except BaseExceptionGroup as group:  # from a nursery of the command itself
        first = first_of(group)
        if not isinstance(first, EXPECTED):
            raise
        return told(first)
    return result if isinstance(result, int) else 0


def refuse_ssid(arguments: list[str]) -> None:
    """Take no SSID as an argument, and do not repeat it in an error about an unknown file or command.

    Raises:
        ConfigError: one of them looks like one.
    """
    if any('"session"' in argument or '["auth"' in argument for argument in arguments):
        raise ConfigError(
            "ssid",
            "never give it as an argument, which every process can read: put it into a file or a variable",
        )


def told(error: BaseException) -> int:
    """Say in one line what went wrong, and return the exit code for it."""
    match error:
        case PotrioError():
            click.echo(f"potrio: {error}", err=True)
            return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
        case click.ClickException():
            error.show()
            return error.exit_code
        case BrokenPipeError():
            sys.stdout = io.StringIO()  # its reader has gone: nothing to say, and nothing to flush at exit
            return 1
        case _:
            click.echo("potrio: interrupted", err=True)
            return 130


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception in a group that decides: an interrupt, else something unexpected, else the first."""
    leaves: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        each = pending.pop(0)
        if isinstance(each, BaseExceptionGroup):
            pending[:0] = each.exceptions
        else:
            leaves.append(each)
    return min(leaves, key=lambda leaf: (not isinstance(leaf, KeyboardInterrupt), isinstance(leaf, EXPECTED)))
