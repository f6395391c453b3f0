"""`potrio deals`: what the venue lists, after a trade of another process."""

from __future__ import annotations

import json

from .conftest import ASSET, SSID, Command

OTHER = SSID.replace("424242", "424243").replace("c0commands0", "c0command20")


def test_open_and_closed_deals(potrio: Command, venue_url: str) -> None:
    at = ["--url", venue_url]
    potrio("trade", ASSET, "call", "1", "-d", "5", *at, ssid=OTHER)
    potrio("trade", ASSET, "put", "2", "-d", "60", "--no-wait", *at, ssid=OTHER)
    done = potrio("deals", "--json", *at, ssid=OTHER)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [(row["state"], row["amount"], row["side"]) for row in rows] == [
        ("open", "2", "put"),
        ("closed", "1", "call"),
    ]
    only = potrio("deals", "--closed", *at, ssid=OTHER)
    assert [line.split("\t")[5] for line in only.out.splitlines()] == ["state", "closed"]
