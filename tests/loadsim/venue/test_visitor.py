"""A visitor's streams: the newest four."""

from __future__ import annotations

from loadsim.venue.accounts import AccountKey
from loadsim.venue.visitor import Visitor


def test_a_fifth_asset_ends_the_stream_of_the_one_asked_for_longest_ago() -> None:
    visitor = Visitor(AccountKey(1, True), fast=True, is_guest=False, streams_max=4)
    for symbol in ("A", "B", "C", "D"):
        visitor.watch(symbol)
    visitor.watch("A")
    visitor.watch("E")
    assert visitor.streams == ("C", "D", "A", "E")
    visitor.unwatch("D")
    visitor.unwatch("D")
    assert visitor.streams == ("C", "A", "E")
