"""CSV and JUnit say what the document says."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree

from loadsim.report.document import build
from loadsim.report.result import Check
from loadsim.report.tables import junit_xml, timeline_csv

from .conftest import made_up


def test_the_timeline_is_a_table(result) -> None:
    rows = list(csv.DictReader(io.StringIO(timeline_csv(build(result)))))

    assert len(rows) == 12
    assert (rows[5]["t"], rows[5]["errors"], rows[4]["ok"], rows[4]["clients"]) == ("5", "2", "2", "20")


def test_each_threshold_is_a_test_case() -> None:
    checks = [Check(what="orders <1>", ours="2", venue="3", ok=False)]
    suite = ElementTree.fromstring(junit_xml(build(made_up(checks=checks))))
    failed = {case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None}

    assert suite.get("tests") == "5"
    assert suite.get("failures") == "2"
    assert failed == {"orders <1>", "rtt: p99 < 1ms"}
