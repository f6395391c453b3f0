"""`potrio config show`: every setting, its value, and where the value was written; secrets are masked."""

from __future__ import annotations

import click

from potrio.cli.show import table, to_json
from potrio.cli.target import Target, target_options
from potrio.client.settings import Setting
from potrio.protocol.ssid import Ssid
from potrio.secrets import Secret

__all__ = ["config", "shown"]


@click.group()
def config() -> None:
    """Look at the configuration: defaults < potrio.toml < POCKETOPTION_* < options."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per setting.")
@target_options
def show(target: Target, as_json: bool) -> None:
    """Show every setting and where its value comes from; the token is never shown.

    The values are checked as a client would check them; a missing SSID is no error here.

    Example: potrio config show --json
    """
    settings = target.settings()
    if any(each.name == "ssid" and each.value for each in settings.fields):
        settings.config()
    rows = [(each.name, shown(each), each.source) for each in settings.fields]
    if as_json:
        for name, value, source in rows:
            click.echo(to_json({"name": name, "value": value, "source": source}))
    else:
        cells = [[name, "" if value is None else value, source] for name, value, source in rows]
        table(["setting", "value", "source"], cells)


def shown(setting: Setting) -> object:
    """A value as it may be seen: secrets by three stars, what only code can give by its type."""
    match setting.value:
        case Secret() | Ssid():
            return "***"
        case None | bool() | int() | float() | str():
            return setting.value
        case tuple() | list() | dict() as several:
            return to_json(several)
        case other:
            return type(other).__name__
