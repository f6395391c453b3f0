"""The options of `loadsim run` that only `--engine dask` has: where the workers are, and who may be believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from loadsim.engines.dask_cluster import Tls, check_address
from potrio.errors import ConfigError

__all__ = ["dask_options", "engine_options", "tls_of"]

F = TypeVar("F", bound=Callable[..., Any])


def dask_options(command: F) -> F:
    """Add them to a command; it hands them to `engine_options`."""
    for option in reversed(
        [
            click.option("--scheduler", help="Of dask: tls://HOST:8786.  [default: a cluster here]"),
            click.option("--tls-ca", help="PEM file of the authority that all parties of dask believe."),
            click.option("--tls-cert", help="PEM file of our certificate for dask."),
            click.option("--tls-key", help="PEM file of its key."),
            click.option("--insecure-engine", is_flag=True, help="Allow tcp:// beyond this machine."),
            click.option(
                "--on-shard-loss",
                type=click.Choice(["invalidate", "abort"]),
                help="Play on, or end the run, when dask loses a shard; not valid either way.",
            ),
        ]
    ):
        command = option(command)
    return command


def tls_of(ca: str | None, cert: str | None, key: str | None) -> Tls | None:
    """All three files or none; ConfigError otherwise."""
    if not (ca or cert or key):
        return None
    if not (ca and cert and key):
        raise ConfigError("tls", "needs all of --tls-ca, --tls-cert and --tls-key")
    return Tls(ca, cert, key)


def engine_options(
    engine: str,
    shards: int,
    *,
    scheduler: str | None = None,
    tls_ca: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    insecure_engine: bool = False,
    on_shard_loss: str | None = None,
) -> dict[str, Any]:
    """What `open_dask_engine` is to be told; nothing for other engines.

    Raises:
        ConfigError: they do not fit together, or the engine is another.
    """
    given = (scheduler, tls_ca, tls_cert, tls_key, insecure_engine, on_shard_loss)
    if engine != "dask":
        if any(given):
            raise ConfigError(
                "--engine", "must be dask for a scheduler, its certificates, or --on-shard-loss"
            )
        return {}
    tls = tls_of(tls_ca, tls_cert, tls_key)
    if scheduler is not None:
        scheduler = check_address(scheduler, tls, insecure_engine)
    return {
        "scheduler": scheduler,
        "workers": shards,
        "tls": tls,
        "insecure_engine": insecure_engine,
        "on_shard_loss": on_shard_loss or "invalidate",
    }
