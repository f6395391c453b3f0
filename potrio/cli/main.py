"""The `potrio` command: its group, and the one place where errors become one line and an exit code."""

from __future__ import annotations

import sys

import click

from potrio.cli.demo import demo
from potrio.cli.market import assets, balance, candles, ticks
from potrio.cli.ssid import ssid
from potrio.errors import AuthError, ConfigError, ConnectError, PotrioError

__all__ = ["run"]

EXIT_CODES: tuple[tuple[type[PotrioError], int], ...] = ((ConfigError, 2), (ConnectError, 3), (AuthError, 4))
"""2: what you gave cannot be used; 3: the venue cannot be reached; 4: it rejects the SSID; 1: anything else."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="potrio")
def cli() -> None:
    """Supervised actors on trio, and on them a PocketOption client.

    Exit codes: 0 done, 1 failed, 2 wrong input, 3 the venue cannot be reached, 4 it rejects the SSID, 130 interrupted.
    """


for command in (demo, balance, assets, candles, ticks, ssid):
    cli.add_command(command)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line; every expected error is one line on stderr. Returns the exit code."""
    try:
        result = cli.main(args=arguments, prog_name="potrio", standalone_mode=False)
    except PotrioError as error:
        click.echo(f"potrio: {error}", err=True)
        return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("potrio: interrupted", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; there is nobody to tell
        return 1
    return result if isinstance(result, int) else 0
