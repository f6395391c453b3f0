"""`potrio ssid check` and `import`: what an SSID is or what is wrong with it; finding one in what a browser saved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from potrio.cli.target import read_ssid
from potrio.errors import ConfigError, SsidError
from potrio.protocol.ssid import Ssid, explain, parse_ssid
from potrio.seam import REAL
from potrio.secrets import Secret

__all__ = ["find_ssids", "ssid"]

FRAME_START = re.compile(r"""42\[\s*(?:"auth"|'auth'|auth|\\"auth\\")\s*,""")
FOUND_MAX = 100
TEXT_BYTES_MAX = 64 * 1024 * 1024


@click.group()
def ssid() -> None:
    """Work with SSIDs; the token itself is never shown."""


@ssid.command()
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
def check(path: Path | None) -> None:
    """Check the SSID in FILE ('-': standard input; default: the environment's).

    Example: potrio ssid check session.txt
    """
    secret = read_ssid(path)
    parse_ssid(secret.reveal())
    click.echo(explain(secret.reveal()))


@ssid.command(name="import")
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "destination",
    type=click.Path(path_type=Path),
    default=Path("ssid"),
    show_default=True,
    help="File to write; only you can read it.",
)
@click.option("--demo/--live", "wants_demo", default=None, help="Which account, where SOURCE has both.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def import_(source: Path, destination: Path, wants_demo: bool | None, force: bool) -> None:
    """Find the auth frame in SOURCE and store it: a HAR file, a paste from the developer tools, '-' for standard input.

    The last one found is taken. Use the file with --ssid-file, POCKETOPTION_SSID_FILE or `ssid_file` in potrio.toml.

    Example: potrio ssid import pocketoption.har --to ~/.potrio-ssid
    """
    text = read_ssid(source)
    found, faults = find_ssids(text)
    fitting = [each for each in found if wants_demo is None or each.is_demo == wants_demo]
    if not fitting:
        kind = "" if wants_demo is None else " demo" if wants_demo else " live"
        seen = f"; of those that are there: {faults[-1]}" if faults else ""
        raise ConfigError(str(source), f"there is no usable{kind} auth frame in it{seen}")
    chosen = fitting[-1]
    if destination.exists() and not force:
        raise ConfigError(str(destination), "is there already; give --force to replace it")
    try:
        REAL.write_file(destination, chosen.frame().reveal().encode() + b"\n", mode=0o600)
    except OSError as error:
        problem = error.strerror or "cannot be written"
    else:
        click.echo(f"{destination}: {explain(chosen.frame())}")
        return
    raise ConfigError(str(destination), problem)


def find_ssids(text: Secret) -> tuple[list[Ssid], list[str]]:
    """All SSIDs in a text, oldest first, and what is wrong with those that are none.

    JSON (a HAR file) is gone through string by string, so that what is escaped in it is read as what it says.
    """
    found: list[Ssid] = []
    faults: list[str] = []
    for part in _parts(text):
        for frame in _frames(part):
            try:
                found.append(parse_ssid(frame))
            except SsidError as error:
                faults.append(error.reason)
            if len(found) + len(faults) >= FOUND_MAX:
                return found, faults
    return found, faults


def _parts(text: Secret) -> Iterator[Secret]:
    """The texts to look through: the strings of JSON, or the text itself."""
    try:
        value = msgspec.json.decode(text.reveal().encode())
    except (msgspec.DecodeError, RecursionError):
        yield text
        return
    yield from _strings(value)


def _strings(value: Any) -> Iterator[Secret]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        match each:
            case str():
                yield Secret(each)
            case dict():
                waiting.extend(reversed(each.values()))
            case list():
                waiting.extend(reversed(each))
            case _:
                pass


def _frames(text: Secret) -> Iterator[Secret]:
    """Every auth frame in a text, from ``42["auth",`` to the bracket that closes it."""
    for start in FRAME_START.finditer(text.reveal()):
        yield Secret(_balanced(text.reveal()[start.start() : start.start() + 64 * 1024]))


def _balanced(text: str) -> str:
    """The text up to the bracket that closes its first one; quotes and escapes are minded."""
    text = text.replace('\\"', '"') if text.startswith('42[\\"') else text
    depth, quoted, index = 0, False, 2
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "[{":
            depth += 1
        elif not quoted and char in "]}":
            depth -= 1
            if depth == 0:
                return text[: index + 1]
        index += 1
    return text
