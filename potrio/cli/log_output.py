"""Where a command's log goes: lines on standard error, or JSON in a file; only potrio's own loggers are touched."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from potrio.cli.show import to_json
from potrio.errors import ConfigError
from potrio.logs import FIELDS, ROOT, talking

__all__ = ["JsonLines", "logging_to", "saying_warnings"]


class JsonLines(logging.Formatter):
    """One JSON object for each record, with the fields it has (`potrio.logs.FIELDS`)."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record: ``time`` (Unix seconds), ``level``, ``logger``, ``message`` and its fields."""
        line: dict[str, object] = {
            "time": round(record.created, 6),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if isinstance(value, str | int | float):
                line[name] = value
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["traceback"] = record.exc_text
        return to_json(line)


class Lines(logging.Handler):
    """One line on standard error for each record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it as errors are said."""
        click.echo(f"potrio: {record.levelname.lower()}: {record.getMessage()}", err=True)


@contextmanager
def saying_warnings(logger: logging.Logger) -> Iterator[None]:
    """While a command runs, say a logger's warnings on standard error, whatever is done with the log."""
    handler = Lines(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def logging_to(level: str | None, path: Path | None) -> Iterator[None]:
    """While a command runs, write potrio's log; without level and file nothing is done at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    if level is None and path is None:
        yield
        return
    handler: logging.Handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    if path is not None:
        try:
            handler = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise ConfigError("log-file", f"{path}: {error.strerror or 'cannot be written'}") from None
        handler.setFormatter(JsonLines())
    ROOT.addHandler(handler)
    try:
        with talking((level or "INFO").upper()):
            yield
    finally:
        ROOT.removeHandler(handler)
        handler.close()
