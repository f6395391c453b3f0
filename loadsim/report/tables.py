"""The report for machines that read tables: the timeline as CSV, thresholds as JUnit."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

__all__ = ["junit_xml", "timeline_csv"]


def timeline_csv(document: Mapping[str, Any]) -> str:
    """One row for each second, headed by the names of the columns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(document["timeline"]["columns"])
    writer.writerows(document["timeline"]["rows"])
    return out.getvalue()


def junit_xml(document: Mapping[str, Any]) -> str:
    """One test case for the validity of the run, one for each row of the oracle, one for each threshold."""
    suite = ElementTree.Element("testsuite", name=f"loadsim {document['run']['plan']['name']}")
    validity = document["validity"]
    add_case(
        suite,
        "validity",
        "run is valid",
        None if validity["verdict"] != "invalid" else "; ".join(validity["reasons"]),
    )
    for row in document["oracle"]:
        fault = None if row["ok"] else f"the swarm says {row['ours']}, the venue {row['venue']}"
        add_case(suite, "oracle", row["what"], fault)
    for row in document["thresholds"]:
        fault = None if row["ok"] or row["soft"] else f"observed {row['observed']}"
        add_case(suite, "threshold", row["expr"], fault)
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def add_case(suite: ElementTree.Element, kind: str, name: str, fault: str | None) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=f"loadsim.{kind}", name=name)
    if fault is not None:
        ElementTree.SubElement(case, "failure", message=fault)
