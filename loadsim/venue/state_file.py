"""Accounts, deals and pending orders on disk, so that they survive a kill of the venue.

The whole state is written, durably, before the answer that tells of it is sent: what a client was told is never
forgotten. One write costs a few milliseconds of the disk; without ``--state`` nothing is written.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from loadsim.venue.accounts import Account
from loadsim.venue.deals import Book, Deal
from loadsim.venue.pending import PendingBook, PendingOrder
from potrio.errors import ConfigError
from potrio.seam import REAL, Seam

__all__ = ["StateFile"]

VERSION = 1


class State(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is in the file."""

    version: int
    seed: int
    offset_s: int
    accounts: list[Account]
    opened: list[Deal]
    closed: list[Deal]
    pending: list[PendingOrder]
    orders: dict[str, int]


class StateFile:
    """One file of one venue; its seed and offset decide the prices of the deals in it, so they are kept with them."""

    def __init__(self, path: Path, *, seed: int, offset_s: int, seam: Seam = REAL) -> None:
        self._path = path
        self._seed = seed
        self._offset_s = offset_s
        self._seam = seam
        self.writes = 0

    def load(self, book: Book, pending: PendingBook) -> bool:
        """Fill an empty book from the file; False where there is no file yet.

        Raises:
            ConfigError: the file cannot be read, is not one of ours, or belongs to another seed.
        """
        try:
            data = self._seam.read_file(self._path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ConfigError(str(self._path), error.strerror or "cannot be read") from error
        try:
            state = msgspec.json.decode(data, type=State)
            if state.version != VERSION:
                raise ConfigError(str(self._path), f"has version {state.version}, not {VERSION}")
            if (state.seed, state.offset_s) != (self._seed, self._offset_s):
                raise ConfigError(
                    str(self._path),
                    f"belongs to a venue with --seed {state.seed} and an offset of {state.offset_s} s",
                )
            book.restore(state.accounts, state.opened, state.closed)
        except ConfigError:
            raise
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise ConfigError(str(self._path), f"is not the state of a venue: {error}") from error
        book.orders = state.orders
        pending.restore(state.pending)
        return True

    def save(self, book: Book, pending: PendingBook) -> None:
        """Write everything, durably.

        Raises:
            OSError: the disk is full or the folder cannot be written; the old file is untouched.
        """
        opened, closed = book.deals()
        state = State(
            version=VERSION,
            seed=self._seed,
            offset_s=self._offset_s,
            accounts=list(book.accounts.values()),
            opened=opened,
            closed=closed,
            pending=list(pending),
            orders=book.orders,
        )
        self._seam.write_file(self._path, msgspec.json.encode(state))
        self.writes += 1
