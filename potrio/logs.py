"""The loggers of potrio: all below ``potrio``, silent until somebody listens, and no token ever leaves through them.

Nothing here touches the root logger, the host's handlers, or a logger of anybody else. Take a logger with
`potrio_logger`: filters of a logger do not apply to the loggers below it, so each of ours carries the filter itself.

Fields that records carry as attributes (``extra=``), for structured sinks: ``kind`` of the fact, ``epoch`` of the
connection, ``path`` of an actor, ``topic`` and ``handler`` of a callback, ``seconds``. Records of
``potrio.supervision`` have the whole event as ``event``.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from potrio.secrets import Secret, redact

__all__ = ["FIELDS", "LEVELS", "ROOT", "RedactingFilter", "potrio_logger", "redacting", "shown", "talking"]

ROOT: Final = logging.getLogger("potrio")
ROOT.addHandler(logging.NullHandler())  # where nobody listens, nothing is said

FIELDS: Final = ("kind", "epoch", "path", "topic", "handler", "seconds")
"""Attributes that our records may have besides those of every record."""

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_AUTH_FRAME: Final = re.compile(r'(\[\s*\\?"auth\\?"\s*,\s*).*', re.DOTALL)
_SESSION: Final = re.compile(
    r'(\\*["\']session(?:Token)?\\*["\']\s*:\s*)(?:\\*"(?:[^"\\]|\\.)*"?|\\*\'[^\']*\'?)', re.DOTALL
)
_LIVE: Final[Counter[Secret]] = Counter()
"""The secrets of the clients that are open now; the value is how many clients hold it."""


class RedactingFilter(logging.Filter):
    """Lets every record pass, without the tokens of open clients and without whatever looks like an auth frame."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the message, the traceback and the text among the fields, in place."""
        text = str(record.msg) if not record.args else record.getMessage()
        safe = shown(text)
        if safe != text:
            record.msg, record.args = safe, None
        if record.exc_info and record.exc_info[0] is not None:
            said = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            safe = shown(said)
            if safe != said:
                record.exc_info, record.exc_text = None, safe
        for name in FIELDS:
            value = record.__dict__.get(name)
            if isinstance(value, str):
                record.__dict__[name] = shown(value)
        return True


_FILTER: Final = RedactingFilter("potrio")


def shown(text: str) -> str:
    """A text as it may be seen by others."""
    text = redact(text, *_LIVE)
    return _SESSION.sub(r"\1***", _AUTH_FRAME.sub(r"\1***", text))


def potrio_logger(name: str) -> logging.Logger:
    """The logger ``potrio.<name>``, with the redacting filter on it; the same one at each call."""
    logger = ROOT.getChild(name)
    logger.addFilter(_FILTER)  # a second time does nothing
    return logger


@contextmanager
def redacting(secret: Secret) -> Iterator[None]:
    """While the block runs, this secret is taken out of everything our loggers say."""
    _LIVE[secret] += 1
    try:
        yield
    finally:
        _LIVE[secret] -= 1
        if _LIVE[secret] <= 0:
            del _LIVE[secret]


@contextmanager
def talking(level: str | None) -> Iterator[None]:
    """While the block runs, potrio's own loggers have this level; None leaves them as they are.

    It says what is recorded; where it goes to, if anywhere, is the business of the host's handlers.
    """
    if level is None:
        yield
        return
    before = ROOT.level
    ROOT.setLevel(level)
    try:
        yield
    finally:
        ROOT.setLevel(before)
