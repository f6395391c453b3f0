"""`python -m loadsim workers`: prints how workers for `--engine dask` are started; starts none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from loadsim.commands.dask_options import tls_of
from loadsim.engines.dask_cluster import check_address
from loadsim.engines.dask_commands import (
    Workers,
    kubernetes_manifest,
    scheduler_command,
    slurm_script,
    ssh_lines,
)

__all__ = ["workers"]

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def workers() -> None:
    """Print the commands that start workers for `run --engine dask`."""


def common(command: F) -> F:
    """The options that all have."""
    for option in reversed(
        [
            click.option("--scheduler", required=True, help="Its address: tls://HOST:8786."),
            click.option("--tls-ca", help="PEM file of the authority, as the workers see it."),
            click.option("--tls-cert", help="PEM file of the certificate."),
            click.option("--tls-key", help="PEM file of its key."),
            click.option(
                "--per-host",
                type=click.IntRange(1, 1024),
                default=1,
                show_default=True,
                help="Processes per host, pod or node: one for each core that is to make load.",
            ),
            click.option("--python", default="python", show_default=True, help="The interpreter there."),
            click.option("--insecure-engine", is_flag=True, help="Allow tcp:// beyond this machine."),
        ]
    ):
        command = option(command)
    return command


def described(
    scheduler: str,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    per_host: int,
    python: str,
    insecure_engine: bool,
) -> Workers:
    """The options as one value; ConfigError where they do not fit together."""
    tls = tls_of(tls_ca, tls_cert, tls_key)
    address = check_address(scheduler, tls, insecure_engine)
    return Workers(scheduler=address, tls=tls, per_host=per_host, python=python)


@workers.command()
@common
def scheduler(**options: Any) -> None:
    """The scheduler's line, to be run on the host that --scheduler names."""
    click.echo(scheduler_command(described(**options)))


@workers.command()
@click.argument("hosts", nargs=-1, required=True)
@common
def ssh(hosts: tuple[str, ...], **options: Any) -> None:
    """A line for each host. Pipe it into sh, or read it first."""
    click.echo(ssh_lines(described(**options), hosts), nl=False)


@workers.command()
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Nodes to ask for.")
@click.option("--minutes", type=click.IntRange(1), default=60, show_default=True, help="For how long.")
@common
def slurm(nodes: int, minutes: int, **options: Any) -> None:
    """A script for sbatch."""
    click.echo(slurm_script(described(**options), nodes, minutes), nl=False)


@workers.command()
@click.option("--image", required=True, help="An image that has potrio with its extra `dask`.")
@click.option("--pods", type=click.IntRange(1), default=1, show_default=True, help="Replicas.")
@common
def k8s(image: str, pods: int, **options: Any) -> None:
    """A Deployment for kubectl apply; certificates come from the secret loadsim-tls."""
    click.echo(kubernetes_manifest(described(**options), image, pods), nl=False)
