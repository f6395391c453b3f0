"""`potrio ssid check`: says in one line what an SSID is, or what exactly is wrong with it."""

from __future__ import annotations

from pathlib import Path

import click

from potrio.cli.target import read_ssid
from potrio.protocol.ssid import explain, parse_ssid

__all__ = ["ssid"]


@click.group()
def ssid() -> None:
    """Work with SSIDs; the token itself is never shown."""


@ssid.command()
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
def check(path: Path | None) -> None:
    """Check the SSID in FILE ('-': standard input; default: the environment's)."""
    secret = read_ssid(path)
    parse_ssid(secret.reveal())
    click.echo(explain(secret.reveal()))
