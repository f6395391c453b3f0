"""Load tests as a user runs them, in virtual time: every field has its effect, every figure is the venue's."""

from __future__ import annotations

import asyncio

import pytest
import trio

from loadsim.tester.config import LoadTestConfig, Phase
from loadsim.tester.report import GOOD
from loadsim.tester.tester import LoadTester
from loadsim.venue import Fault, FaultKind, VenueConfig
from potrio.errors import ConfigError, SsidError
from potrio.testing.network import MemoryNetwork

from .conftest import SSID, hurt_tester

QUICK = LoadTestConfig(concurrent_clients=2, operations_per_client=10, operation_delay=0.5)


def changed(**changes: object) -> LoadTestConfig:
    from msgspec.structs import replace

    return replace(QUICK, **changes)


def counted(report: dict, what: str) -> int:
    return next((row["venue"] for row in report["verification"] if row["what"] == what), 0)


async def test_the_first_run_is_right(tester: LoadTester, autojump_clock) -> None:
    report = await tester.run_load_test(QUICK)

    summary = report["test_summary"]
    assert (summary["total_operations"], summary["successful_operations"], summary["failed_operations"]) == (
        20,
        20,
        0,
    )
    assert summary["success_rate"] == 1.0
    assert 4.5 <= summary["total_duration"] < 10
    assert summary["avg_operations_per_second"] == pytest.approx(20 / summary["total_duration"])
    assert sum(each["count"] for each in report["operation_analysis"].values()) == 20
    assert set(report["operation_analysis"]) <= {"balance", "candles", "ping", "market_data"}
    assert sum(report["performance_metrics"]["operations_per_second_history"]) == 20
    assert report["recommendations"] == [GOOD]


async def test_the_second_run_has_nothing_of_the_first(tester: LoadTester, autojump_clock) -> None:
    first = await tester.run_load_test(QUICK)
    second = await tester.run_load_test(QUICK)

    assert second["test_summary"]["total_operations"] == 20
    assert second["test_summary"]["total_duration"] == pytest.approx(
        first["test_summary"]["total_duration"], abs=1
    )
    assert second["test_summary"]["start_time"] >= first["test_summary"]["end_time"]
    assert {name: each["count"] for name, each in first["operation_analysis"].items()} == {
        name: each["count"] for name, each in second["operation_analysis"].items()
    }, "the same seed does the same"


async def test_the_totals_are_the_venues(tester: LoadTester, autojump_clock) -> None:
    report = await tester.run_load_test(changed(operations_per_client=60, include_trading_operations=True))

    assert [row for row in report["verification"] if not row["ok"]] == []
    analysis = report["operation_analysis"]
    assert set(analysis) == {
        "balance",
        "candles",
        "ping",
        "market_data",
        "place_order",
        "check_order",
        "get_orders",
    }
    assert report["test_summary"]["success_rate"] == 1.0, report["error_summary"]
    assert counted(report, "event getBalance") == analysis["balance"]["count"] + analysis["ping"]["count"]
    assert (
        counted(report, "event openOrder")
        == counted(report, "orders accepted")
        == analysis["place_order"]["count"]
    )
    assert (
        counted(report, "event loadHistoryPeriod")
        >= analysis["candles"]["count"] + 2 * analysis["market_data"]["count"]
    )


async def test_without_trading_nothing_is_ordered(tester: LoadTester, autojump_clock) -> None:
    report = await tester.run_load_test(QUICK)

    assert counted(report, "orders accepted") == 0
    assert not {"place_order", "check_order", "get_orders"} & set(report["operation_analysis"])


async def test_clients_and_operations(tester: LoadTester, autojump_clock) -> None:
    report = await tester.run_load_test(changed(concurrent_clients=4, operations_per_client=3))

    assert report["test_summary"]["total_operations"] == 12
    assert report["connections"]["opened"] == counted(report, "event auth") == 4


async def test_the_delay_is_from_start_to_start(tester: LoadTester, autojump_clock) -> None:
    slow = await tester.run_load_test(changed(operation_delay=3.0))
    fast = await tester.run_load_test(changed(operation_delay=0.0))

    assert 27 <= slow["test_summary"]["total_duration"] < 33
    assert fast["test_summary"]["total_duration"] < 5


async def test_the_duration_bounds_the_test(tester: LoadTester, autojump_clock) -> None:
    report = await tester.run_load_test(changed(test_duration_minutes=0.05))

    summary = report["test_summary"]
    assert summary["total_duration"] < 4
    assert summary["total_operations"] + summary["omitted_operations"] == summary["planned_operations"] == 20
    assert 0 < summary["omitted_operations"] < 20
    assert any("never begun" in each for each in report["recommendations"])


async def test_without_a_persistent_connection_each_operation_connects(
    tester: LoadTester, autojump_clock
) -> None:
    config = changed(
        use_persistent_connection=False,
        include_trading_operations=True,
        operations_per_client=20,
        operation_delay=2.0,
    )
    report = await tester.run_load_test(config)

    assert report["connections"]["opened"] == counted(report, "event auth") == 40
    assert report["test_summary"]["success_rate"] == 1.0, report["error_summary"]
    assert {"check_order", "get_orders"} <= set(report["operation_analysis"])


async def test_stress_has_phases(tester: LoadTester, autojump_clock) -> None:
    report = await tester.run_load_test(changed(concurrent_clients=3, stress_mode=True))

    phases = report["phases"]
    assert [(each["name"], each["clients"], each["total_operations"]) for each in phases] == [
        ("Ramp Up", 1, 5),
        ("Peak Load", 3, 15),
        ("Extreme Load", 6, 30),
        ("Cool Down", 1, 5),
    ]
    assert all(each["success_rate"] == 1.0 and each["p95_duration"] > 0 for each in phases)
    assert list(report["operation_analysis"]) == ["burst"]
    assert counted(report, "event getBalance") == 55, "each burst has an answer"
    assert counted(report, "event ps") >= 3 * 55
    assert report["test_summary"]["total_duration"] > 15, "five seconds between phases"


async def test_phases_are_what_they_are_told_to_be(tester: LoadTester, autojump_clock) -> None:
    phases = (Phase("Only", 3, 1, 1.0, max_s=2.5),)
    report = await tester.run_load_test(changed(stress_mode=True, phases=phases))

    (only,) = report["phases"]
    assert (only["name"], only["clients"], only["planned_operations"]) == ("Only", 6, 30)
    assert only["duration"] < 4
    assert only["omitted_operations"] > 0


async def test_an_answer_that_does_not_come_is_a_failure(network: MemoryNetwork, autojump_clock) -> None:
    tester = hurt_tester(
        network, Fault(kind=FaultKind.LOSE, event="successupdateBalance", count=None, skip=2)
    )
    report = await tester.run_load_test(changed(operation_timeout_s=2.0))

    found = report["operation_analysis"]
    for name in {"balance", "ping"} & set(found):
        assert found[name]["success_count"] == 0, name
        assert found[name]["p95_duration"] == pytest.approx(2.0, abs=0.1)
    assert found["candles"]["success_rate"] == 1.0
    assert set(report["error_summary"]) == {"Timeout"}
    assert report["test_summary"]["success_rate"] < 0.95
    assert any("look at the errors" in each for each in report["recommendations"])


async def test_what_comes_late_is_seen_in_the_response(network: MemoryNetwork, autojump_clock) -> None:
    tester = hurt_tester(
        network, Fault(kind=FaultKind.LOSE, event="successupdateBalance", count=None, skip=2)
    )
    report = await tester.run_load_test(changed(operation_timeout_s=2.0))

    candles = report["operation_analysis"]["candles"]
    assert candles["max_response"] > candles["max_duration"] + 1, "it waited behind one that timed out"


async def test_a_dead_venue_never_looks_good(network: MemoryNetwork, autojump_clock) -> None:
    tester = LoadTester(SSID, url="ws://127.0.0.1:9/socket.io/?EIO=4&transport=websocket", seam=network)
    for persistent in (True, False):
        report = await tester.run_load_test(
            changed(use_persistent_connection=persistent, operations_per_client=2)
        )

        summary = report["test_summary"]
        assert summary["success_rate"] == 0.0
        assert summary["successful_operations"] == 0
        assert summary["failed_operations"] + summary["omitted_operations"] == 4
        assert report["error_summary"]
        assert report["recommendations"] != [GOOD]
        assert report["verification"] == []


def test_only_this_machine_is_put_under_load() -> None:
    for url in (
        "wss://api-eu.po.market/socket.io/",
        "wss://demo-api-eu.po.market/socket.io/",
        "wss://192.0.2.1/socket.io/",
    ):
        with pytest.raises(ConfigError, match="target"):
            LoadTester(SSID, url=url)


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="is_demo"):
        LoadTester(SSID, is_demo=False)
    with pytest.raises(SsidError):
        LoadTester("not an ssid")
    with pytest.raises(ConfigError, match="venue"):
        LoadTester(SSID, url="ws://127.0.0.1:9/", venue=VenueConfig())


async def test_cancelling_ends_everything(tester: LoadTester, autojump_clock) -> None:
    with trio.move_on_after(3) as scope:
        await tester.run_load_test(QUICK)
    assert scope.cancelled_caught
    assert trio.current_time() < 10


def test_it_can_be_awaited_under_asyncio() -> None:
    report = asyncio.run(
        LoadTester(SSID).run_load_test(
            LoadTestConfig(concurrent_clients=1, operations_per_client=3, operation_delay=0.05)
        )
    )

    assert report["test_summary"]["success_rate"] == 1.0
    assert f"{report['test_summary']['avg_operations_per_second']:.1f} ops/sec"
