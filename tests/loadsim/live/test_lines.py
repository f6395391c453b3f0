"""One line every five seconds, with what one wants to know first."""

from __future__ import annotations

from loadsim.live.lines import Lines, line_of

from .conftest import MadeUp


def test_a_line_has_the_figures(run: MadeUp) -> None:
    line = line_of(run.tick(12))

    assert line.startswith("t 11/60 s  clients 20/20  act/s 2  p50 100.")
    assert "err 2  omitted 0  lag 0.5 ms  shards 2/2  thresholds missed 1/2" in line
    assert "\n" not in line


def test_nothing_is_said_of_what_is_not_known() -> None:
    line = line_of(MadeUp(duration_s=0.0, clients_planned=0).watch.view)

    assert line.startswith("t 0 s  clients 0  ")
    assert "thresholds" not in line


def test_a_line_every_five_seconds_and_one_at_the_end(run: MadeUp) -> None:
    written: list[str] = []
    lines = Lines(written.append)
    for _ in range(13):
        lines.show(run.tick())
    assert [line.split("/")[0] for line in written] == ["t 0", "t 5", "t 10"]

    lines.show(run.watch.update(run.merged, ended=True, ending="stopped"))

    assert len(written) == 4
    assert written[-1].endswith("stopped")


def test_a_view_that_comes_late_does_not_shift_the_next(run: MadeUp) -> None:
    written: list[str] = []
    lines = Lines(written.append)
    lines.show(run.tick(8))
    lines.show(run.tick(3))

    assert [line.split("/")[0] for line in written] == ["t 7", "t 10"]
