"""``report.html``: one file without references to anywhere, from the document alone.

The order is that of the questions: is the run valid, were the thresholds kept, how long did things take by both
clocks, what happened when, how long did recovery take, what went wrong, how can it be run again. Charts are drawn by
uPlot, which is in the file; where no script runs, the same lines are there as SVG.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from loadsim.report.svg import Line, chart
from potrio.histogram import Histogram

__all__ = ["ASSETS", "asset", "render"]

ASSETS = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
"""uPlot 1.6.32 (MIT), as published: file and SHA-256."""

PERCENTS = (50, 90, 99, 99.9)
COLOURS = ("#1f6f8b", "#c0504d", "#7a9a01", "#8064a2")
STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem;border-bottom:1px solid #ccc}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;text-align:left;border-bottom:1px solid #e5e5e5;vertical-align:top}
td.n,th.n{text-align:right}.banner{padding:.8rem 1rem;border-radius:.4rem;color:#fff;font-size:1.1rem}
.good{background:#3b7d3b}.warn{background:#b07c00}.bad{background:#a33}.ok{color:#2d6a2d}.no{color:#a33;font-weight:600}
svg{width:100%;height:auto}svg text{font-size:11px;fill:#555}svg .grid{stroke:#e5e5e5}.fault,svg .fault{fill:#c0504d33}
code{background:#f4f4f4;padding:.1rem .3rem;word-break:break-all}.chart{margin:1rem 0}
"""
SCRIPT = """
const data=JSON.parse(document.getElementById("charts").textContent);
for(const c of data){const box=document.getElementById(c.id);const fallback=box.querySelector("svg");
if(fallback)fallback.remove();
const bands={hooks:{drawClear:[u=>{u.ctx.save();u.ctx.fillStyle="#c0504d33";for(const[a,b]of c.bands){
const x=u.valToPos(a,"x",true),w=Math.max(u.valToPos(b,"x",true)-x,2);
u.ctx.fillRect(x,u.bbox.top,w,u.bbox.height);}u.ctx.restore();}]}};
new uPlot({width:box.clientWidth,height:240,scales:{x:{time:false}},plugins:[bands],
axes:[{label:"seconds"},{label:c.unit,size:70}],
series:[{label:"t"},...c.lines.map(l=>({label:l[0],stroke:l[1],width:1.5}))]},
[c.t,...c.lines.map(l=>l[2])],box);}
document.documentElement.dataset.drawn=data.length;
"""


def asset(name: str) -> str:
    """A file that ships with loadsim, as it was published; RuntimeError where it has been changed."""
    data = (files("loadsim.report") / "assets" / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != ASSETS[name]:
        raise RuntimeError(f"{name} is not the file that was published")
    return data.decode()


def render(document: Mapping[str, Any]) -> str:
    """The whole page."""
    run = document["run"]
    charts = charts_of(document)
    title = f"loadsim: {run['plan']['name']}"
    sections = [
        f"<h1>{esc(title)}</h1>",
        banner(document),
        section("Thresholds", thresholds_table(document)),
        section("Books of the swarm and of the venue", oracle_table(document)),
        section("How long things took", latency_table(document)),
        section("Timeline", "".join(each["html"] for each in charts)),
        section("Recovery from faults", faults_table(document)),
        section("Errors", errors_table(document)),
        section("Shards", shards_table(document)),
        section("This run", run_table(document)),
        "<details><summary>Licence of uPlot, which draws the charts</summary>"
        f"<pre>{esc(asset('uPlot.LICENSE'))}</pre></details>",
    ]
    data = [{key: value for key, value in each.items() if key != "html"} for each in charts]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{esc(title)}</title><style>{asset('uPlot.min.css')}{STYLE}</style></head><body>"
        + "\n".join(sections)
        + f'<script type="application/json" id="report">{embedded(document)}</script>'
        + f'<script type="application/json" id="charts">{embedded(data)}</script>'
        + f"<script>{asset('uPlot.iife.min.js')}</script><script>{SCRIPT}</script></body></html>\n"
    )


def esc(value: object) -> str:
    """Text as HTML."""
    return html.escape(str(value))


def embedded(value: object) -> str:
    """JSON inside a script element: nothing in it can end the element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def section(title: str, body: str) -> str:
    """A headed part; nothing where there is nothing to show."""
    return f"<h2>{esc(title)}</h2>{body}" if body else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: int = 0) -> str:
    """A table whose last ``numbers`` columns are numbers; cells that begin with ``<`` made by us are kept."""
    first_number = len(heads) - numbers

    def cells(kind: str, row: Sequence[object]) -> str:
        return "".join(
            f"<{kind}{' class=n' if column >= first_number else ''}>"
            f"{value if isinstance(value, Raw) else esc(value)}</{kind}>"
            for column, value in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>" if body else ""


class Raw(str):
    """Text that is HTML already, made here and by nobody else."""

    __slots__ = ()


def yes_no(fine: bool, soft: bool = False) -> Raw:
    """A verdict in a cell."""
    if fine:
        return Raw('<span class="ok">kept</span>')
    return Raw("missed (soft)" if soft else '<span class="no">missed</span>')


def banner(document: Mapping[str, Any]) -> str:
    """Validity first: thresholds of an invalid run mean nothing."""
    validity, exit_ = document["validity"], document["exit"]
    missed = [row for row in document["thresholds"] if not row["ok"] and not row["soft"]]
    match validity["verdict"]:
        case "invalid":
            colour, words = "bad", "INVALID RUN: do not believe its figures"
        case "degraded":
            colour, words = "warn", "Degraded run: read its figures with care"
        case _:
            colour, words = (
                ("bad", f"Valid run, {len(missed)} thresholds missed")
                if missed
                else (
                    "good",
                    "Valid run, all thresholds kept",
                )
            )
    if any(not row["ok"] for row in document["oracle"]):
        colour, words = "bad", "THE BOOKS DISAGREE: something was lost or invented"
    reasons = "".join(f"<br>{esc(reason)}" for reason in validity["reasons"])
    late = validity["late_p99_ms"]
    return (
        f'<p class="banner {colour}">{words} &nbsp; '
        f"<small>exit {exit_['code']} {esc(exit_['name'])}</small>{reasons}</p>"
        f"<p>{validity['planned']} actions were due, {validity['started']} were begun, "
        f"{validity['omitted']} omitted; the generator was late by {late:.1f} ms (p99); "
        f"coverage {validity['coverage']:.0%}.</p>"
    )


def thresholds_table(document: Mapping[str, Any]) -> str:
    return table(
        ("threshold", "observed", ""),
        [
            (Raw(f"<code>{esc(row['expr'])}</code>"), row["observed"], yes_no(row["ok"], row["soft"]))
            for row in document["thresholds"]
        ],
    )


def oracle_table(document: Mapping[str, Any]) -> str:
    return table(
        ("what", "swarm", "venue", ""),
        [
            (
                row["what"],
                row["ours"],
                row["venue"],
                Raw('<span class="ok">agree</span>')
                if row["ok"]
                else Raw('<span class="no">DISAGREE</span>'),
            )
            for row in document["oracle"]
        ],
    )


def latency_table(document: Mapping[str, Any]) -> str:
    """Both clocks side by side: what a frozen server hides from the one, the other shows."""
    rows = []
    for metric, found in document["metrics"].items():
        for entry in found["series"]:
            tags = ", ".join(f"{name}={value}" for name, value in entry["tags"].items())
            for part in ("response", "service", "value"):
                if part in entry:
                    histogram = Histogram.decode(document["histograms"][entry[part]])
                    figures = [f"{histogram.percentile(percent) / 1000:,.2f}" for percent in PERCENTS]
                    worst = f"{histogram.max / 1000:,.2f}"
                    rows.append((metric, tags, part, f"{histogram.n:,}", *figures, worst))
    heads = ("metric", "tags", "clock", "count", *(f"p{percent:g} ms" for percent in PERCENTS), "max ms")
    return table(heads, rows, numbers=6)


def faults_table(document: Mapping[str, Any]) -> str:
    return table(
        ("fault", "scope", "at s", "for s", "recovered after s"),
        [
            (
                row["kind"],
                row["scope"],
                f"{row['t']:.1f}",
                f"{row['duration_s']:.1f}",
                "never" if row["recovered_s"] is None else f"{row['recovered_s']:.2f}",
            )
            for row in document["faults"]
        ],
        numbers=3,
    )


def errors_table(document: Mapping[str, Any]) -> str:
    return table(
        ("kind", "where", "first text", "first s", "last s", "count"),
        [
            (
                row["kind"],
                row["where"],
                row["sample"],
                f"{row['first_t']:.1f}",
                f"{row['last_t']:.1f}",
                row["count"],
            )
            for row in document["errors"]
        ],
        numbers=3,
    )


def shards_table(document: Mapping[str, Any]) -> str:
    return table(
        ("shard", "host", "state", "reason", "reports", "missing", "CPU %", "MB"),
        [
            (
                row["shard"],
                row["host"],
                row["state"],
                row["reason"] or "",
                row["deltas"],
                row["gaps"],
                f"{row['cpu_pct']:.1f}",
                f"{row['rss_mb']:.0f}",
            )
            for row in document["engine"]["shards"]
        ],
        numbers=4,
    )


def run_table(document: Mapping[str, Any]) -> str:
    run = document["run"]
    rows = [
        ("id", run["id"]),
        ("started", run["started"]),
        ("duration", f"{run['duration_s']:.1f} s of {run['clock']} time"),
        ("seed", run["seed"]),
        ("plan", run["plan_digest"]),
        ("engine", f"{document['engine'].get('name', '')} {document['engine'].get('version', '')}"),
        ("clients", f"{document['clients']['ready']} ready of {document['clients']['planned']} planned"),
        *((name, value) for name, value in document["env"].items()),
        *((name, value) for name, value in document["target"].items()),
        ("run it again", Raw("<code>python -m loadsim replay report.json</code>")),
    ]
    return table(("", ""), rows)


def charts_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The charts: their data for uPlot, and themselves as SVG."""
    timeline = document["timeline"]
    if not timeline["rows"]:
        return []
    columns = dict(zip(timeline["columns"], map(list, zip(*timeline["rows"], strict=True)), strict=True))
    moments = [float(moment) for moment in columns["t"]]
    bands = [(row["t"], row["t"] + row["duration_s"]) for row in document["faults"]]

    def ms(name: str) -> list[float]:
        return [value / 1000 for value in columns[name]]

    wanted: list[tuple[str, str, list[Line]]] = [
        ("Response time", "ms", [("p50", COLOURS[0], ms("p50_us")), ("p99", COLOURS[1], ms("p99_us"))]),
        (
            "Actions",
            "a second",
            [
                ("ok", COLOURS[0], columns["ok"]),
                ("errors", COLOURS[1], columns["errors"]),
                ("omitted", COLOURS[3], columns["omitted"]),
            ],
        ),
        ("Clients", "", [("clients", COLOURS[0], columns["clients"])]),
        (
            "The generator itself",
            "ms, % of a core",
            [("lag p99 ms", COLOURS[1], ms("lag_p99_us")), ("CPU %", COLOURS[2], columns["cpu_pct"])],
        ),
    ]
    made = []
    for number, (title, unit, lines) in enumerate(wanted):
        drawn = chart(title, unit, moments, lines, bands)
        made.append(
            {
                "id": f"chart{number}",
                "unit": unit,
                "t": moments,
                "lines": [[name, colour, list(values)] for name, colour, values in lines],
                "bands": bands,
                "html": f'<h3>{esc(title)}</h3><div class="chart" id="chart{number}">{drawn}</div>',
            }
        )
    return made
