"""Options that say which account at which venue, shared by every command that connects."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from potrio.client.config import Config
from potrio.errors import ConfigError
from potrio.seam import REAL
from potrio.secrets import Secret

__all__ = ["read_ssid", "target_options"]

SSID_VARIABLE = "POCKETOPTION_SSID"


def read_ssid(path: Path | None) -> Secret:
    """Take the SSID from a file, from standard input (``-``) or from the environment; never from the arguments,
    which every process of the machine can read.

    Raises:
        ConfigError: there is none.
    """
    if path is None:
        text = REAL.environment().get(SSID_VARIABLE, "")
        if not text:
            raise ConfigError(
                "ssid", f"set {SSID_VARIABLE}, or give --ssid-file FILE ('-' reads standard input)"
            )
        return Secret(text)
    try:
        text = sys.stdin.read() if str(path) == "-" else REAL.read_file(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("ssid", f"{path}: {error}") from None
    return Secret(text.strip())


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, and hand the command a `Config` named ``config``."""

    @click.option("--url", help="The venue's address (default: the public ones).")
    @click.option("--region", help="The public region to try first.")
    @click.option(
        "--ssid-file",
        type=click.Path(path_type=Path),
        help=f"File with the SSID; '-' is standard input; default: ${SSID_VARIABLE}.",
    )
    @click.option(
        "--transport",
        type=click.Choice(["framed", "trio-websocket"]),
        default="framed",
        show_default=True,
        help="Who speaks WebSocket.",
    )
    @functools.wraps(command)
    def wrapped(
        *, url: str | None, region: str | None, ssid_file: Path | None, transport: Any, **options: Any
    ) -> Any:
        config = Config(ssid=read_ssid(ssid_file), url=url, region=region, transport=transport).checked()
        config.parsed_ssid()
        return command(config=config, **options)

    return wrapped
