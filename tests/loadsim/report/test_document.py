"""``report.json`` has everything, is plain JSON, and gives back what it was made of."""

from __future__ import annotations

import json

import pytest

from loadsim.report.document import SCHEMA, build, load, merged_of, save
from potrio.errors import ConfigError

from .conftest import made_up


def test_the_document_has_the_parts_of_the_schema(result) -> None:
    document = json.loads(json.dumps(build(result), allow_nan=False))

    assert document["schema"] == SCHEMA
    assert set(document) >= {
        "run", "env", "target", "engine", "validity", "clients", "metrics",
        "histograms", "timeline", "faults", "errors", "thresholds", "exit",
    }  # fmt: skip
    (series,) = document["metrics"]["rtt"]["series"]
    assert (series["count"], series["ok"], series["errors"]) == (24, 22, {"timeout": 2})
    assert document["histograms"][series["response"]]["max"] == 100_000
    assert document["histograms"][series["service"]]["max"] == 50_000
    assert document["metrics"]["rtt"]["tags"] == ["event", "lane"]
    assert document["run"]["started"] == "2026-02-02T02:40:00.000Z"
    assert len(document["timeline"]["rows"]) == 12
    assert document["exit"] == {"code": 99, "name": "threshold"}
    assert [shard["deltas"] for shard in document["engine"]["shards"]] == [12, 12]


def test_sums_come_back(result) -> None:
    again = merged_of(json.loads(json.dumps(build(result))))

    assert again.counters == result.merged.counters
    assert again.errors == result.merged.errors
    for key, series in result.merged.series.items():
        assert again.series[key].histograms == series.histograms
        assert again.series[key].outcomes == series.outcomes


def test_a_saved_document_is_read_back(result, tmp_path) -> None:
    path = tmp_path / "report.json"
    save(build(result), path)

    assert load(path) == json.loads(json.dumps(build(result)))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is not JSON"),
        ("[]", "is not a report"),
        ('{"schema": "x"}', "is not a report"),
        ("[" * 99_999, "is not"),
    ],
)
def test_what_is_no_report_is_one_line(tmp_path, text: str, fault: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)

    with pytest.raises(ConfigError, match=fault) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_report_that_is_not_there(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize("part", ["metrics", "histograms", "counters", "errors", "run"])
def test_a_part_that_is_missing_is_said(part: str) -> None:
    document = build(made_up())
    del document[part]

    with pytest.raises(ConfigError, match="missing or wrong"):
        merged_of(document)
