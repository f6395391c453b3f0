"""A series: parts and outcomes add up, and errors keep the text of the first."""

from __future__ import annotations

from loadsim.metrics.series import ErrorSample, Series, key_of


def test_tags_are_one_key_in_any_order() -> None:
    assert key_of("m", {"a": "1", "b": "2"}) == key_of("m", {"b": "2", "a": "1"})


def test_sums() -> None:
    first, second = Series(), Series()
    first.record("service", 10)
    first.outcomes["ok"] += 1
    second.record("service", 30)
    second.record("response", 40)
    second.outcomes["timeout"] += 2
    total = Series.sum([first, second])

    assert total.histograms["service"].n == 2
    assert total.histograms["response"].n == 1
    assert total.count == 3
    assert first.count == 1, "what is summed is not changed"


def test_errors_merge_to_their_span() -> None:
    early, late = ErrorSample("k", "w", 1, 1.0, 2.0, "first"), ErrorSample("k", "w", 2, 5.0, 9.0, "second")

    assert early.merged(late) == late.merged(early) == ErrorSample("k", "w", 3, 1.0, 9.0, "first")
