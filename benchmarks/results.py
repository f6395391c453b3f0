"""The results file of a full run: the machine, the versions, and every budget with its figures."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.actors import ACTORS_PYTHON
from benchmarks.budget import Verdict
from benchmarks.processes import PEERS_PYTHON, ROOT

__all__ = ["FOLDER", "document", "save"]

FOLDER = Path(__file__).parent / "results"
OURS = ("potrio", "trio", "msgspec", "wsproto")
LIST_VERSIONS = (
    "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"
)


def machine() -> str:
    """The machine, in words that say what a figure depends on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{os.cpu_count()} x {model}, {platform.system()}, load {load} at the end of the run"


def versions() -> dict[str, str]:
    """Python, our libraries, and the peers'."""
    found = {"python": platform.python_version()} | {name: version(name) for name in OURS}
    for kind, python in (("peer", PEERS_PYTHON), ("actor peer", ACTORS_PYTHON)):
        if python.exists():
            command = [str(python), "-c", LIST_VERSIONS]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            found |= {f"{kind} {name}": each for name, each in sorted(json.loads(done.stdout).items())}
    return found


def commit() -> str:
    """The short name of the commit, "unknown" outside a repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.strip() or "unknown"


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The whole run as plain values."""
    return {
        "machine": machine(),
        "versions": versions(),
        "budgets": [verdict.as_dict() for verdict in verdicts],
    }


def save(found: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write ``<date>-<commit>.json`` and return its path."""
    folder.mkdir(exist_ok=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    path = folder / f"{today}-{commit()}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    return path
