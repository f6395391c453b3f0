"""`potrio decode`: frames as they were copied from a browser, one a line, shown as packets and typed messages."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from potrio.cli.show import to_json
from potrio.errors import ConfigError, PotrioError
from potrio.logs import shown
from potrio.protocol.engineio import EngineIOPacketType, decode_engineio_packet
from potrio.protocol.messages.base import Message, Unknown
from potrio.protocol.messages.codec import decode_client_event, decode_server_event
from potrio.protocol.socketio import SocketIOPacket, SocketIOPacketType, decode_socketio_packet
from potrio.seam import REAL

__all__ = ["decode"]

TEXT_MAX = 200
HEXES = re.compile(r"(?:[0-9a-fA-F]{2})+")
TOKENS = re.compile(r'("(?:session|sessionToken|secret|token)"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)


@click.command()
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--client", "from_client", is_flag=True, help="They were sent by a client (default: by the venue)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per frame.")
def decode(path: Path | None, from_client: bool, as_json: bool) -> int:
    """Show the frames in FILE, or of standard input, one a line; tokens are masked.

    A line is a frame's text; a binary frame is the JSON it holds, after the line of its event, or `hex:` and its
    bytes. What cannot be decoded is one line with its position, and exit code 1.

    Example: echo '42["ps"]' | potrio decode
    """
    bad = 0
    reader = Lines(from_client)
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            facts = reader.read(line.strip())
        except PotrioError as error:
            bad += 1
            click.echo(f"line {number}: {mask(str(error))}", err=True)
            continue
        click.echo(to_json({"line": number, **facts}) if as_json else f"{number}: " + describe(facts))
    return 1 if bad else 0


class Lines:
    """Reads one line after another: a binary event is a header, then its attachment."""

    def __init__(self, from_client: bool) -> None:
        self._from_client = from_client
        self._header: SocketIOPacket | None = None

    def read(self, line: str) -> dict[str, object]:
        """One frame as facts that can be printed.

        Raises:
            PotrioError: it is no frame, or its payload does not fit its event.
        """
        if self._header is not None:
            header, self._header = self._header, None
            return {"packet": "attachment", **self._event(header.name, payload_of(line))}
        packet = decode_engineio_packet(line)
        if packet.type is not EngineIOPacketType.MESSAGE or isinstance(packet.data, bytes):
            data = packet.data if isinstance(packet.data, str) else f"<{len(packet.data)} bytes>"
            return {"packet": f"Engine.IO {packet.type.name}", "data": mask(data)}
        inner = decode_socketio_packet(packet.data)
        facts: dict[str, object] = {"packet": f"Socket.IO {inner.type.name}"}
        if inner.namespace != "/":
            facts["namespace"] = inner.namespace
        if inner.type is SocketIOPacketType.BINARY_EVENT:
            self._header = inner
            return {**facts, "event": inner.name, "attachments": inner.attachment_count}
        if inner.type is SocketIOPacketType.EVENT:
            return {**facts, **self._event(inner.name, inner.args[0] if inner.args else b"")}
        return {**facts, "data": mask((inner.payload or b"").decode(errors="replace"))}

    def _event(self, name: str, payload: bytes) -> dict[str, object]:
        if name == "auth":
            return {"event": name, "type": "Auth", "value": "***"}
        message: Message = (decode_client_event if self._from_client else decode_server_event)(name, payload)
        if isinstance(message, Unknown):
            return {"event": name, "type": "unknown", "value": mask(payload.decode(errors="replace"))}
        return {"event": name, "type": type(message).__name__, "value": mask(repr(message))}


def payload_of(line: str) -> bytes:
    """The bytes of a binary frame: the text of its JSON, or ``hex:...``; an old type byte before it is dropped."""
    if not line.startswith("hex:"):
        return line.encode()
    digits = line.removeprefix("hex:").strip()
    if not HEXES.fullmatch(digits):
        raise ConfigError("hex", "must be pairs of hexadecimal digits")
    return bytes.fromhex(digits).removeprefix(b"\x04")


def mask(text: str) -> str:
    """A text without tokens and control characters, cut where it is long."""
    safe = TOKENS.sub(r"\1***", shown(text))
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in safe)
    return (
        printable
        if len(printable) <= TEXT_MAX
        else f"{printable[:TEXT_MAX]}... ({len(printable)} characters)"
    )


def describe(facts: dict[str, object]) -> str:
    """One line for people."""
    return "  ".join(str(value) for value in facts.values() if value not in ("", None))


def read_lines(path: Path | None) -> list[str]:
    """The lines of a file or of standard input.

    Raises:
        ConfigError: it cannot be read.
    """
    if path is None or str(path) == "-":
        return sys.stdin.read().splitlines()
    try:
        return REAL.read_file(path).decode().splitlines()
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        problem = "not text in UTF-8"
    raise ConfigError(str(path), problem)
