"""The state file: what was saved comes back; what is not ours is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import TradingConfig
from loadsim.venue.deals import Book, Command
from loadsim.venue.pending import OpenType, PendingBook, PendingOrder
from loadsim.venue.state_file import StateFile
from potrio.errors import ConfigError
from potrio.seam import Seam

KEY = AccountKey(1, True)


def filled() -> tuple[Book, PendingBook]:
    """A book with an open and a closed deal, and an order that waits."""
    book, pending = Book(TradingConfig()), PendingBook()
    for id_, duration_s in (("closed", 5), ("open", 60)):
        book.open(
            KEY,
            id=id_,
            asset="EURUSD_otc",
            amount=Decimal("10.10"),
            command=Command.PUT,
            percent=91,
            duration_s=duration_s,
            price=1.1,
            now_ms=1000,
            request_id='"x"',
        )
    book.settle(6000, lambda asset, moment: 1.0)
    book.count_order("x")
    pending.add(
        PendingOrder(
            ticket="t", number=4, uid=1, is_demo=True, open_type=OpenType.PRICE, asset="EURUSD_otc",
            amount=Decimal(1), command=Command.CALL, timeframe_s=60, min_payout=0, created_ms=0, open_price=1.2,
        )
    )  # fmt: skip
    return book, pending


def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    book, pending = filled()
    saved = StateFile(path, seed=7, offset_s=7200)
    saved.save(book, pending)
    again, waiting = Book(TradingConfig()), PendingBook()

    assert StateFile(path, seed=7, offset_s=7200).load(again, waiting)
    assert again.accounts == book.accounts
    assert again.opened(KEY) == book.opened(KEY)
    assert again.closed(KEY) == book.closed(KEY)
    assert again.orders == {"x": 1}
    assert list(waiting) == list(pending)
    assert waiting.next_number == 5
    assert again.next_expiry_ms() == 61_000
    assert saved.writes == 1


def test_no_file_yet(tmp_path: Path) -> None:
    assert not StateFile(tmp_path / "none", seed=1, offset_s=0).load(Book(TradingConfig()), PendingBook())


def test_it_is_written_through_the_seam_as_a_whole(tmp_path: Path) -> None:
    written: list[tuple[Path, bytes]] = []

    class Recording(Seam):
        def write_file(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
            written.append((path, data))

    StateFile(tmp_path / "s", seed=1, offset_s=0, seam=Recording()).save(*filled())
    ((path, data),) = written
    assert path == tmp_path / "s"
    assert json.loads(data)["version"] == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"seed": 8}, "--seed 8"),
        ({"offset_s": 0}, "offset of 0"),
        ({"version": 2}, "version 2"),
        ({"accounts": []}, "unknown account"),
        ({"opened": []}, "does not add up"),
        ({"orders": 3}, "is not the state of a venue"),
        ({"more": 3}, "is not the state of a venue"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, change: dict[str, Any], error: str) -> None:
    path = tmp_path / "state.json"
    StateFile(path, seed=7, offset_s=7200).save(*filled())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=error) as caught:
        StateFile(path, seed=7, offset_s=7200).load(Book(TradingConfig()), PendingBook())
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff\xfe", b"[]"])
def test_garbage_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        StateFile(path, seed=7, offset_s=7200).load(Book(TradingConfig()), PendingBook())
    with pytest.raises(ConfigError):
        StateFile(tmp_path, seed=7, offset_s=7200).load(Book(TradingConfig()), PendingBook())
