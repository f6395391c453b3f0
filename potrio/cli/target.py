"""Options that say which account at which venue, shared by every command that connects."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from potrio.client.config import Config
from potrio.errors import ConfigError
from potrio.limits import HANDSHAKE_TIMEOUT
from potrio.seam import REAL
from potrio.secrets import Secret
from potrio.transport.base import TransportKind

__all__ = ["Target", "read_ssid", "target_options"]

SSID_VARIABLE = "POCKETOPTION_SSID"


class Target(msgspec.Struct, frozen=True):
    """The options as given. Nothing is read before `config` is called."""

    url: str | None
    region: str | None
    ssid_file: Path | None
    transport: TransportKind
    handshake_timeout: float

    def config(self) -> Config:
        """Read the SSID and check everything.

        Raises:
            ConfigError: an option, or the SSID, cannot be used.
        """
        config = Config(
            ssid=read_ssid(self.ssid_file),
            url=self.url,
            region=self.region,
            transport=self.transport,
            handshake_timeout_s=self.handshake_timeout,
        ).checked()
        config.parsed_ssid()
        return config


def read_ssid(path: Path | None) -> Secret:
    """Take the SSID from a file, from standard input (``-``) or from the environment; never from the arguments,
    which every process of the machine can read.

    Raises:
        ConfigError: there is none.
    """
    # No local ever holds the plain text: tracebacks can capture locals (P8).
    if path is None:
        secret = Secret(REAL.environment().get(SSID_VARIABLE, "").strip())
        if not secret:
            raise ConfigError(
                "ssid", f"set {SSID_VARIABLE}, or give --ssid-file FILE ('-' reads standard input)"
            )
        return secret
    try:
        if str(path) == "-":
            return Secret(sys.stdin.read().strip())
        return Secret(REAL.read_file(path).decode().strip())
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "not text in UTF-8"
    # Outside of the handlers: a decoding error holds what it could not decode.
    raise ConfigError("ssid", f"{'standard input' if str(path) == '-' else path}: {reason}")


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, and hand the command a `Target` named ``target``."""

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
    @click.option(
        "--handshake-timeout",
        type=float,
        default=HANDSHAKE_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="Budget of one attempt to connect, from DNS to authentication.",
    )
    @functools.wraps(command)
    def wrapped(
        *,
        url: str | None,
        region: str | None,
        ssid_file: Path | None,
        transport: TransportKind,
        handshake_timeout: float,
        **options: Any,
    ) -> Any:
        return command(target=Target(url, region, ssid_file, transport, handshake_timeout), **options)

    return wrapped
