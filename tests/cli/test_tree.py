"""`potrio tree`: the tree as it is written down needs nothing at all; the running one is the same tree."""

from __future__ import annotations

import json
from typing import Any

from potrio.cli.outline import outline_paths
from potrio.cli.tree import client_outline

from .conftest import Command

ACTORS = ("monitor", "order_book", "history", "connection", "pinger", "router")


def test_it_needs_neither_ssid_nor_network(potrio: Command, monkeypatch) -> None:
    monkeypatch.setattr("trio.run", None)  # nothing is started
    done = potrio("tree", ssid=None)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split()[:2] == ["root", "one_for_one"]
    assert [line.split("actor")[0].strip("│├└─ ") for line in lines if " actor " in line] == list(ACTORS)
    assert "restarts pinger, router too" in done.out


def test_as_json(potrio: Command) -> None:
    done = potrio("tree", "--json", ssid=None)
    tree = json.loads(done.out)
    assert tree["path"] == "root"
    link = next(child for child in tree["children"] if child["path"] == "root/link")
    assert link["kind"] == "rest_for_one"
    assert link["children"][1]["restarts_with"] == ["root/link/pinger", "root/link/router"]


def test_the_running_tree(potrio: Command, venue_url: str) -> None:
    done = potrio("tree", "--live", "--url", venue_url)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("root ")
    for name in ACTORS:
        (line,) = [line for line in done.out.splitlines() if f"─ {name} " in line]
        assert "running" in line


def test_the_running_tree_is_the_written_one(potrio: Command, venue_url: str) -> None:
    def paths(node: Any) -> list[str]:
        return [node["path"], *(path for child in node["children"] for path in paths(child))]

    done = potrio("tree", "--live", "--json", "--url", venue_url)
    assert paths(json.loads(done.out)) == list(outline_paths(client_outline()))


def test_live_needs_an_ssid(potrio: Command, venue_url: str) -> None:
    potrio("tree", "--live", "--url", venue_url, ssid=None).check_one_line("POCKETOPTION_SSID", code=2)
