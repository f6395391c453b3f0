"""The view says what the reports say, keeps an hour, and wakes who waits."""

from __future__ import annotations

import json

import pytest
import trio

from loadsim.live import view as module

from .conftest import MadeUp


def test_before_the_first_report_there_is_a_view(run: MadeUp) -> None:
    view = run.watch.view

    assert (view.stage, view.t, view.clients, view.act_s) == ("starting", 0.0, 0, 0.0)
    assert [each.state for each in view.shards] == ["starting", "starting"]
    assert view.coverage == 0.0


def test_a_view_has_the_figures_of_the_run(run: MadeUp) -> None:
    view = run.tick(12)

    assert (view.stage, view.t, view.duration_s) == ("running", 11.0, 60.0)
    assert (view.clients, view.clients_planned) == (20, 20)
    assert (view.started, view.ok, view.errors, view.omitted) == (24, 22, 2, 0)
    assert view.act_s == 2.0
    assert view.response_p50_ms == pytest.approx(100, rel=0.005)
    assert view.service_p99_ms == pytest.approx(50, rel=0.005)
    assert view.lag_p99_ms == pytest.approx(0.5, rel=0.005)
    assert (view.shards_up, len(view.shards), view.coverage) == (2, 2, 1.0)
    assert [(each.ok, each.expr.split(":")[0]) for each in view.thresholds] == [
        (True, "rtt"),
        (False, "rtt.service"),
    ]
    assert [each.kind for each in view.faults] == ["stall"]
    assert [row.t for row in view.history] == list(range(12))


def test_a_shard_that_is_lost_is_missing_in_the_coverage(run: MadeUp) -> None:
    run.tick(3)
    view = run.watch.update(run.merged, outcomes={1: "lost"})

    assert [each.state for each in view.shards] == ["running", "lost"]
    assert (view.shards_up, view.coverage) == (1, 0.5)


def test_a_shard_that_has_ended_is_done(run: MadeUp) -> None:
    run.report(0, 0, last=True)
    run.report(1, 0)

    assert [each.state for each in run.watch.update(run.merged).shards] == ["done", "running"]


def test_the_pace_is_that_of_a_second_all_shards_have_reported(run: MadeUp) -> None:
    run.tick(3)
    run.report(0, 3)

    assert run.watch.update(run.merged).act_s == 2.0, "second 3 is not whole yet"


def test_the_history_is_bounded(run: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HISTORY_S", 5)

    assert [row.t for row in run.tick(8).history] == [3, 4, 5, 6, 7]
    assert len(run.watch.rows_since(0)) == 5


def test_a_view_is_not_changed_by_what_comes_later(run: MadeUp) -> None:
    before = run.tick(2)
    text = json.dumps(before.plain())
    run.report(0, 1)
    run.tick(3)

    assert json.dumps(before.plain()) == text


def test_rows_since_a_version_are_those_that_changed(run: MadeUp) -> None:
    run.tick(3)
    seen = run.watch.version
    assert run.watch.rows_since(seen) == []

    run.report(0, 1)  # a report that was late
    run.tick()

    assert [row.t for row in run.watch.rows_since(seen)] == [1, 3]
    assert [row.t for row in run.watch.rows_since(0)] == [0, 1, 2, 3]


def test_plain_is_json_with_or_without_the_timeline(run: MadeUp) -> None:
    view = run.tick(2)

    assert len(json.loads(json.dumps(view.plain()))["history"]) == 2
    assert not view.plain(history=False)["history"]
    assert view.plain()["thresholds"][0]["expr"] == "rtt: p99 < 250ms"


async def test_readers_wait_for_the_next_view(run: MadeUp, autojump_clock) -> None:
    woken = []

    async def read() -> None:
        await run.watch.wait_after(1)
        woken.append(run.watch.version)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(read)
        await trio.sleep(1)
        run.tick()
        await trio.sleep(1)
        assert woken == []
        run.tick()

    assert woken == [2, 2]


async def test_who_looks_can_ask_for_the_end(run: MadeUp) -> None:
    assert run.watch.stop_reason is None
    run.watch.request_stop("asked for in the browser")
    run.watch.request_stop("again")

    assert await run.watch.wait_stop() == "asked for in the browser"
    assert run.watch.stop_reason == "asked for in the browser"
