"""Options that say which account at which venue, shared by every command that connects."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from potrio.cli.log_output import logging_to
from potrio.client.config import Config
from potrio.client.settings import Settings, read_settings, warn_if_shared
from potrio.errors import ConfigError
from potrio.logs import LEVELS
from potrio.seam import REAL
from potrio.secrets import Secret
from potrio.transport.base import TransportKind

__all__ = ["Target", "read_ssid", "target_options"]

SSID_VARIABLE = "POCKETOPTION_SSID"


class Target(msgspec.Struct, frozen=True):
    """The options as given. Nothing is read before `config` is called."""

    url: str | None = None
    region: str | None = None
    ssid_file: Path | None = None
    transport: TransportKind | None = None
    handshake_timeout: float | None = None
    config_file: Path | None = None

    def config(self, **more: Any) -> Config:
        """Read the SSID and check everything: options beat the environment, which beats ``potrio.toml``.

        Args:
            more: fields of `Config` that a command has options of its own for.

        Raises:
            ConfigError: an option, a variable, a line of the file, or the SSID, cannot be used.
        """
        return self.settings(**more).config()

    def settings(self, **more: Any) -> Settings:
        """The same with the sources, and an SSID may be missing."""
        secret = None if self.ssid_file is None else read_ssid(self.ssid_file)
        if self.ssid_file is not None and str(self.ssid_file) != "-":
            warn_if_shared(self.ssid_file, REAL)
        return read_settings(
            self.config_file,
            ssid=secret,
            url=self.url,
            region=self.region,
            transport=self.transport,
            handshake_timeout_s=self.handshake_timeout,
            **more,
        )


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
        help="Who speaks WebSocket (default: framed).",
    )
    @click.option(
        "--handshake-timeout",
        type=float,
        metavar="SECONDS",
        help="Budget of one attempt to connect, from DNS to authentication.",
    )
    @click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        help="TOML file with a table [client] (default: $POCKETOPTION_CONFIG, else potrio.toml if there is one).",
    )
    @click.option(
        "--log-level",
        type=click.Choice(LEVELS, case_sensitive=False),
        help="Show potrio's own log from this level on, on standard error.",
    )
    @click.option(
        "--log-file",
        type=click.Path(path_type=Path),
        help="Append the log to this file, as JSON, one object per line (level INFO unless said otherwise).",
    )
    @functools.wraps(command)
    def wrapped(
        *,
        url: str | None,
        region: str | None,
        ssid_file: Path | None,
        transport: TransportKind | None,
        handshake_timeout: float | None,
        config_file: Path | None,
        log_level: str | None,
        log_file: Path | None,
        **options: Any,
    ) -> Any:
        with logging_to(log_level, log_file):
            target = Target(url, region, ssid_file, transport, handshake_timeout, config_file)
            return command(target=target, **options)

    return wrapped
