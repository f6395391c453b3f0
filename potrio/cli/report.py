"""`potrio report`: what an issue needs, safe to paste: versions, platform, settings, and the story of a link."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, requires, version
from os.path import expanduser
from typing import Any, Final

import click
import msgspec
import trio
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

WITHIN_S: Final = 60.0
"""For as long `--connect` waits for a link, whatever the settings say."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed; every text in it is safe to paste.

    Attributes:
        libraries: those that are used, with their versions; None: not installed.
        settings: those that are not the defaults.
        problem: why the settings cannot be used.
        link: what became of the attempt to connect; None: there was none.
    """

    potrio: str
    python: str
    system: str
    libraries: dict[str, str | None]
    settings: list[dict[str, object]]
    problem: str | None = None
    link: list[str] | None = None
    statistics: dict[str, object] | None = None


@click.command()
@click.option(
    "--connect",
    is_flag=True,
    help=f"Connect as well, for at most {WITHIN_S:g} s, and tell the story of the link; needs an SSID.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@target_options
def report(target: Target, connect: bool, as_json: bool) -> None:
    """Print what an issue needs, as text that is safe to paste: tokens, passwords, headers, queries are not in it.

    Versions, platform and settings. What is wrong with the settings or the link is part of it, and no error of the
    command. Nothing is traded, and no journal is touched.

    Example: potrio report --connect
    """
    found, secrets, config = gathered(target)
    if not as_json:
        click.echo("\n".join(text_of(safe(found, secrets))))
    if connect and config is None:
        found = structs.replace(found, link=["not tried: the settings cannot be used"])
    elif connect and config is not None:
        lines, statistics = story(config)
        found = structs.replace(found, link=lines, statistics=statistics)
    found = safe(found, secrets)
    if as_json:
        click.echo(to_json(found))
    elif found.link is not None:
        last = [] if found.statistics is None else [to_json(found.statistics)]
        click.echo("\n".join(["", "link", *(f"  {line}" for line in [*found.link, *last])]))


def gathered(target: Target) -> tuple[Report, list[Secret], Config | None]:
    """Everything but the link, not yet safe; the tokens to leave out; and the configuration where it can be used."""
    secrets: list[Secret] = []
    settings: list[dict[str, object]] = []
    problem = config = None
    try:
        found = target.settings()
        for each in found.fields:
            if each.source != "default":
                settings.append({"name": each.name, "value": safe_value(each), "source": each.source})
            if each.name == "ssid" and isinstance(each.value, Secret) and each.value:
                secrets.append(each.value)  # whatever else is wrong with it
        config = found.config()
        secrets = [config.parsed_ssid().session]
    except ConfigError as error:
        problem = str(error)
    needed = requires_of("potrio")
    names = {name_of(line) for line in needed if "extra ==" not in line or "extra == 'all'" in line}
    about = Report(
        potrio=version_of("potrio") or "not installed",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        libraries={name: version_of(name) for name in sorted(names)},
        settings=settings,
        problem=problem,
    )
    return about, secrets, config


def text_of(found: Report) -> list[str]:
    """The lines about everything but the link."""
    lines = ["potrio report", "", f"potrio {found.potrio}", found.python, found.system]
    lines += [f"{name} {number or 'is not installed'}" for name, number in found.libraries.items()]
    lines += ["", "settings (not the defaults)"]
    lines += [f"  {each['name']} = {each['value']}   ({each['source']})" for each in found.settings]
    if found.problem is not None:
        lines.append(f"  cannot be used: {found.problem}")
    return lines


def safe(found: Report, secrets: list[Secret]) -> Report:
    """The same without the tokens, and without the name of whoever is at home here."""
    home = expanduser("~")

    def shown_without(value: Any) -> Any:
        match value:
            case str():
                text = redact(value, *secrets)
                return text.replace(home, "~") if len(home) > 1 else text
            case list():
                return [shown_without(each) for each in value]
            case dict():
                return {shown_without(name): shown_without(each) for name, each in value.items()}
            case _:
                return value

    return msgspec.convert(shown_without(msgspec.to_builtins(found)), Report)


def version_of(name: str) -> str | None:
    """The version of a library; None: it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def requires_of(name: str) -> list[str]:
    """What a package says it needs; nothing where it runs without having been installed."""
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


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


def story(config: Config) -> tuple[list[str], dict[str, object] | None]:
    """Connect, and tell what happened; an error, and that it takes too long, are part of the story."""
    lines: list[str] = []
    statistics: list[dict[str, object]] = []

    async def main() -> None:
        with trio.move_on_after(WITHIN_S) as scope:
            try:
                async with open_client(structs.replace(config, journal=None)) as client:
                    found = client.statistics()
                    lines.extend(f"{fact.kind}: {fact.text}" for fact in client.history)
                    statistics.append(msgspec.to_builtins(structs.replace(found, url=place_of(found.url))))
            except PotrioError as error:
                lines.append(f"{type(error).__name__}: {error}")
                lines.extend(getattr(error, "__notes__", ()))
        if scope.cancelled_caught:
            lines.append(f"no link within {WITHIN_S:g} s")

    run_until_interrupted(main)
    return lines, statistics[0] if statistics else None
