"""`potrio tree`: the client's supervision tree, as it is written down or, with ``--live``, as it runs."""

from __future__ import annotations

import click

from potrio.actors.link_settings import LinkSettings
from potrio.cli.interrupt import run_until_interrupted
from potrio.cli.outline import Outline, outline, render_outline
from potrio.cli.show import to_json
from potrio.cli.target import Target, target_options
from potrio.client.client import open_client
from potrio.client.tree import Shared, client_tree
from potrio.protocol.ssid import parse_ssid
from potrio.seam import REAL
from potrio.supervision.tree import Node, render

__all__ = ["client_outline", "tree"]

NOBODY = '42["auth",{"session":"nobody0at0all","isDemo":1,"uid":1,"platform":2}]'
"""The tree is the same for every account; this one is used for nothing but to write the tree down."""


def client_outline() -> Outline:
    """The tree of every client, without starting anything."""
    settings = LinkSettings(ssid=parse_ssid(NOBODY), candidates=(), seam=REAL)
    return outline(client_tree(settings, Shared()))


@click.command()
@click.option("--live", is_flag=True, help="Connect, and show the running tree; needs an SSID.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@target_options
def tree(target: Target, live: bool, as_json: bool) -> None:
    """Show the client's supervision tree: who runs, in which order, and what a crash restarts.

    Example: potrio tree --json
    """
    if live:
        running = live_tree(target)
        click.echo(to_json(running) if as_json else render(running))
    else:
        planned = client_outline()
        click.echo(to_json(planned) if as_json else render_outline(planned))


def live_tree(target: Target) -> Node:
    """The tree of a client that has just connected."""
    config = target.config()

    async def main() -> Node:
        async with open_client(config) as client:
            return client.tree()

    return run_until_interrupted(main)
