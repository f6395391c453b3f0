"""`potrio report`: what an issue needs, safe to paste: versions, platform, settings, and the story of a link."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from os.path import expanduser

import click
import msgspec
from msgspec import structs

from potrio.cli.config import shown
from potrio.cli.interrupt import run_until_interrupted
from potrio.cli.show import to_json
from potrio.cli.target import Target, target_options
from potrio.client.client import open_client
from potrio.client.config import Config
from potrio.client.settings import Setting
from potrio.errors import ConfigError, PotrioError
from potrio.secrets import Secret, redact
from potrio.transport.target import parse_target

__all__ = ["report"]


@click.command()
@click.option(
    "--connect", is_flag=True, help="Connect as well, and tell the story of the link; needs an SSID."
)
@target_options
def report(target: Target, connect: bool) -> None:
    """Print what an issue needs, as text that is safe to paste: tokens, passwords, headers, queries are not in it.

    Versions, platform and settings; what is wrong with the settings is part of it, and no error of the command.

    Example: potrio report --connect
    """
    secrets: list[Secret] = []
    lines = ["potrio report", "", *versions(), "", "settings (not the defaults)"]
    try:
        settings = target.settings()
        lines += [
            f"  {each.name} = {safe_value(each)}   ({each.source})"
            for each in settings.fields
            if each.source != "default"
        ]
        config = settings.config()
    except ConfigError as error:
        lines.append(f"  cannot be used: {error}")
    else:
        secrets.append(config.parsed_ssid().session)
        if connect:
            lines += ["", "link", *story(config)]
    text = redact("\n".join(lines), *secrets)
    home = expanduser("~")
    click.echo(text.replace(home, "~") if len(home) > 1 else text)


def versions() -> Iterable[str]:
    """Ours, Python's, the system's, and those of all libraries that are used where they are there."""
    yield f"potrio {version('potrio')}"
    yield f"{platform.python_implementation()} {platform.python_version()}"
    yield f"{platform.system()} {platform.release()} {platform.machine()}"
    names = {name_of(line) for line in requires("potrio") or () if "extra ==" not in line}
    names |= {name_of(line) for line in requires("potrio") or () if "extra == 'all'" in line}
    for name in sorted(names):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not installed"


def name_of(requirement: str) -> str:
    """The name in ``name[extra]<2,>=1; marker``."""
    end = next((i for i, char in enumerate(requirement) if not (char.isalnum() or char in "-_.")), None)
    return requirement[:end]


def safe_value(setting: Setting) -> object:
    """A setting as it may be pasted: of addresses no path and query, of headers the names."""
    match setting.name, setting.value:
        case "url", str(url):
            return place_of(url)
        case "urls", [*urls]:
            return ", ".join(place_of(str(url)) for url in urls)
        case "headers", dict() as headers:
            return f"{', '.join(headers)} (values are left out)"
        case _:
            return shown(setting)


def place_of(url: str) -> str:
    """Scheme, host and port."""
    try:
        return str(parse_target(url))
    except ConfigError as error:
        return f"({error})"


def story(config: Config) -> list[str]:
    """Connect, and tell what happened; an error is part of the story."""
    lines: list[str] = []

    async def main() -> None:
        try:
            async with open_client(config) as client:
                facts = client.statistics()
                lines.extend(f"  {fact.kind}: {fact.text}" for fact in client.history)
                lines.append(
                    f"  {to_json(msgspec.to_builtins(structs.replace(facts, url=place_of(facts.url))))}"
                )
        except PotrioError as error:
            lines.append(f"  {type(error).__name__}: {error}")
            lines.extend(f"  {note}" for note in getattr(error, "__notes__", ()))

    run_until_interrupted(main)
    return lines
