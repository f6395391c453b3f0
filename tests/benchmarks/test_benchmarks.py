"""Benchmarks measure what they say: all contenders get the same ticks, and a verdict is a ratio of one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks are not installed; they are run from the top of the checkout."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def _peers() -> None:
    """The peers' environment; in continuous integration it must be there."""
    if not PEERS_PYTHON.exists():
        if os.environ.get("CI"):
            pytest.fail("the peers are not installed: run `make bench-peers`")
        pytest.skip("the peers are not installed: run `make bench-peers`")


# --- what is measured ------------------------------------------------------------------------------------------------


def test_every_contender_decodes_the_same_ticks() -> None:
    from benchmarks import decode

    ticks = decode.ticks_of(3000)
    reads = decode.wire_of(ticks)

    assert len(reads) > 1, "the cuts between reads must be among what is measured"
    assert decode.through_potrio(reads) == ticks
    assert decode.through_wsproto(reads) == ticks
    assert decode.through_msgspec(msgspec.json.encode(ticks)) == ticks


def test_a_blast_never_goes_back_in_time() -> None:
    from benchmarks import blaster, decode

    (ticks,) = [decode.through_potrio(list(blaster.blast_of(500)))]
    stamps = [tick.timestamp for tick in ticks]

    assert len(ticks) == 500
    assert stamps == sorted(stamps)
    assert {tick.asset for tick in ticks} == set(decode.ASSETS)


@pytest.mark.parametrize("way", ["each", "batch"])
def test_our_client_takes_every_tick_of_a_blast(way: str) -> None:
    from benchmarks.processes import open_blaster, run_contender

    with open_blaster(count=3000) as venue:
        got = run_contender("potrio_client", venue.url, "2500", way, "65536", ours=True)

    assert got["items"] >= 2500
    assert got["dropped"] == 0
    assert got["seconds"] > 0
    assert got["cpu_seconds"] > 0


@pytest.mark.usefixtures("_peers")
@pytest.mark.parametrize("script", ["picows_uvloop", "trio_websocket_loop", "socketio_client"])
def test_peers_take_the_same_ticks(script: str) -> None:
    from benchmarks.processes import open_blaster, run_contender

    with open_blaster(count=1000) as venue:
        got = run_contender(script, venue.url, "900")

    assert got["items"] == 900


def test_a_contender_that_fails_says_why() -> None:
    from benchmarks.processes import run_contender

    with pytest.raises(RuntimeError, match=r"(?s)potrio_client failed: .*KeyError: 'sideways'"):
        run_contender("potrio_client", "ws://127.0.0.1:9/", "1", "sideways", "1", ours=True)


# --- what is made of it ----------------------------------------------------------------------------------------------


def test_latency_orders_and_reconnects_give_verdicts() -> None:
    from benchmarks import latency, orders, reconnect

    found = latency.verdicts(1, 0.01) + orders.verdicts(1, 0.01) + reconnect.verdicts(1, 0.25)

    assert [each.id for each in found] == ["B3a", "B3b", "B4a", "B4b", "B8"]
    for each in found:
        assert 0 < each.ours < 10_000_000
        assert each.ratio > 0.1, "a round trip cannot be much faster than a bare one"
        assert all(figure > 0 for figure in each.peers.values())


def test_a_budget_is_met_at_its_limit_and_missed_beyond() -> None:
    from benchmarks.budget import at_least, at_most

    assert at_least(0.8, 0.8, "x") == (">= 0.8 x x", True)
    assert at_least(0.8, 0.79, "x")[1] is False
    assert at_most(2.0, 2.0, "x") == ("<= 2 x x", True)
    assert at_most(2.0, 2.01, "x")[1] is False


def test_percentiles_are_figures_that_were_measured() -> None:
    from benchmarks.budget import percentile

    assert percentile(range(1, 101), 50) == 51
    assert percentile(range(1, 101), 99) == 100
    assert percentile([7.0], 99) == 7.0


def test_in_one_process_contenders_take_turns() -> None:
    from benchmarks.measure import Contender, measure

    turns: list[str] = []

    def work(name: str) -> int:
        turns.append(name)
        return sum(range(200_000)) // sum(range(200_000)) * 10

    rates = measure([Contender("a", lambda: work("a")), Contender("b", lambda: work("b"))], 3)

    assert turns == ["a", "b"] * 3
    assert all(rate > 0 for rate in rates.values())


# --- the command -----------------------------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_prints_the_results_as_json() -> None:
    done = command("decode", "startup", "--scale", "0.002", "--rounds", "1", "--json")
    found = json.loads(done.stdout)

    assert [each["id"] for each in found["budgets"]] == ["B2a", "B2b", "B10a"]
    assert set(found["budgets"][0]) >= {"id", "name", "ours", "peers", "ratio", "budget", "met"}
    assert found["budgets"][0]["peers"].keys() == {"msgspec, one array", "wsproto and msgspec"}
    assert found["versions"]["trio"]
    assert found["machine"]


def test_the_command_prints_a_table_and_names_what_there_is() -> None:
    done = command("decode", "--scale", "0.002", "--rounds", "1")
    wrong = command("nothing")

    assert "wsproto and msgspec" in done.stdout
    assert "B2a" in done.stdout
    assert wrong.returncode == 2
    assert "no benchmark named nothing" in wrong.stderr


def test_a_full_run_is_kept(tmp_path: Path) -> None:
    from benchmarks import results
    from benchmarks.budget import Verdict

    verdict = Verdict("B1a", "ticks", "ticks/s", 2.0, {"peer": 1.0}, 2.0, ">= 1 x peer", met=True)
    path = results.save(results.document([verdict]), tmp_path)
    (kept,) = json.loads(path.read_text())["budgets"]

    assert kept["ratio"] == 2.0
    assert path.name.endswith(f"-{results.commit()}.json")


def test_what_a_machine_lacks_is_left_out_aloud_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from benchmarks import __main__ as main
    from benchmarks import results
    from benchmarks.processes import PeersMissing

    def lacking(rounds: int, scale: float) -> list[object]:
        raise PeersMissing("no counter")

    monkeypatch.setattr(main, "BENCHMARKS", {"instructions": lacking})
    monkeypatch.setattr(results, "FOLDER", tmp_path)

    assert main.main(["--scale", "0.5"]) == 0
    assert "instructions is left out: no counter" in capsys.readouterr().err
    assert main.main(["instructions"]) == 2
