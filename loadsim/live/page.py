"""The page of the dashboard: what a browser loads once; its figures come as events.

It loads nothing from anywhere else, and its policy (`POLICY`) would not let it. Texts of the run are put in as text.
"""

from __future__ import annotations

from collections.abc import Callable

from loadsim.report.html import asset

__all__ = ["FILES", "POLICY"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>loadsim</title><link rel="icon" href="data:,"><link rel="stylesheet" href="uplot.css">
<link rel="stylesheet" href="page.css"></head><body>
<header><h1 id="name">loadsim</h1><span id="stage">connecting</span><span id="ending"></span>
<button id="stop" disabled>Stop the run</button></header>
<main><dl id="figures"></dl><div id="charts"></div>
<table id="thresholds"></table><table id="shards"></table><table id="faults"></table></main>
<noscript>The figures are in <a href="state.json">state.json</a>.</noscript>
<script src="uplot.js"></script><script src="page.js"></script></body></html>
"""

STYLE = """
html{overflow-y:scroll}
body{font:14px/1.45 system-ui,sans-serif;margin:0 auto;max-width:75rem;padding:0 1rem;color:#222;background:#fff}
header{display:flex;align-items:baseline;gap:1rem;border-bottom:1px solid #ccc;flex-wrap:wrap}
h1{font-size:1.3rem;margin:.6rem 0}#stage{padding:.1rem .6rem;border-radius:.3rem;background:#3b7d3b;color:#fff}
#stage.lost{background:#a33}#stage.ended{background:#555}#stop{margin-left:auto}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.4rem 1rem;margin:1rem 0}
dl div{border-left:3px solid #1f6f8b;padding-left:.6rem}dt{color:#666;font-size:.85em}
dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
#charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(32rem,100%),1fr));gap:1rem}
#charts section{min-width:0}h2{font-size:1rem;margin:.3rem 0}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
td,th{padding:.15rem .7rem;text-align:left;border-bottom:1px solid #e5e5e5}
.ok{color:#2d6a2d}.no{color:#a33;font-weight:600}
"""

SCRIPT = """
"use strict";
const CHARTS=[["Response time","ms",[["p50","#1f6f8b",r=>r.p50_us/1000],["p99","#c0504d",r=>r.p99_us/1000]]],
["Actions","a second",[["ok","#1f6f8b",r=>r.ok],["errors","#c0504d",r=>r.errors],["omitted","#8064a2",r=>r.omitted]]],
["Clients","",[["clients","#1f6f8b",r=>r.clients]]],
["The generator itself","ms, % of a core",
[["lag p99 ms","#c0504d",r=>r.lag_p99_us/1000],["CPU %","#7a9a01",r=>r.cpu_pct]]]];
const HISTORY=3600,$=id=>document.getElementById(id),mark=document.documentElement.dataset;
let run=null,rows=new Map(),faults=[],now=0;
const make=(kind,text,name)=>{const e=document.createElement(kind);if(text!==undefined)e.textContent=text;
if(name)e.className=name;return e;};
const bands={hooks:{drawClear:[u=>{u.ctx.save();u.ctx.fillStyle="#c0504d33";for(const f of faults){
const a=u.valToPos(f.t,"x",true),b=u.valToPos(f.duration_s===null?now:f.t+f.duration_s,"x",true);
u.ctx.fillRect(a,u.bbox.top,Math.max(b-a,2),u.bbox.height);}u.ctx.restore();}]}};
const boxes=CHARTS.map(([title])=>{const box=make("section");box.append(make("h2",title));$("charts").append(box);
return box;});  // all of them first: the width of one depends on the others
const plots=CHARTS.map(([,unit,lines],i)=>new uPlot({width:boxes[i].clientWidth,height:220,
scales:{x:{time:false},y:{range:(u,low,high)=>[0,high>0?high*1.08:1]}},plugins:[bands],
axes:[{label:"seconds"},{label:unit,size:70}],
series:[{label:"t"},...lines.map(l=>({label:l[0],stroke:l[1],width:1.5,points:{show:false}}))]},
[[],...lines.map(()=>[])],boxes[i]));
addEventListener("resize",()=>{for(const p of plots)p.setSize({width:p.root.parentNode.clientWidth,height:220});});
const fixed=(v,d)=>v.toLocaleString("en",{minimumFractionDigits:d,maximumFractionDigits:d});
function figures(v){const ms=x=>fixed(x,1)+" ms",of=(a,b)=>b?fixed(a,0)+" / "+fixed(b,0):fixed(a,0);
const list=[["time",v.duration_s?fixed(v.t,0)+" / "+fixed(v.duration_s,0)+" s":fixed(v.t,0)+" s"],
["clients",of(v.clients,v.clients_planned)],["actions a second",fixed(v.act_s,0)],
["response p50",ms(v.response_p50_ms)],["response p99",ms(v.response_p99_ms)],
["service p50",ms(v.service_p50_ms)],["service p99",ms(v.service_p99_ms)],
["started",fixed(v.started,0)],["ok",fixed(v.ok,0)],["errors",fixed(v.errors,0)],["omitted",fixed(v.omitted,0)],
["generator lag p99",ms(v.lag_p99_ms)],["coverage",fixed(v.coverage*100,0)+" %"]];
$("figures").replaceChildren(...list.map(([name,text])=>{const d=make("div");d.append(make("dt",name),make("dd",text));
return d;}));}
function table(id,heads,lines){const t=$(id);t.replaceChildren();if(!lines.length)return;
const row=(kind,cells)=>{const r=make("tr");for(const c of cells)r.append(c instanceof Node?c:make(kind,c));return r;};
t.append(row("th",heads),...lines.map(l=>row("td",l)));}
function show(v){mark.t=v.t;now=v.t;faults=v.faults;$("name").textContent=v.name;document.title=v.name+" - loadsim";
$("stage").textContent=v.stage;$("stage").className=v.stage;$("ending").textContent=v.ending;
$("stop").disabled=v.stage==="ended";figures(v);
table("thresholds",["threshold","observed",""],v.thresholds.map(t=>[t.expr,t.observed,
t.ok?make("td","kept","ok"):make("td",t.soft?"missed (soft)":"missed",t.soft?"":"no")]));
table("shards",["shard","state","reports missing","CPU %","MB"],v.shards.map(s=>[s.shard,s.state,s.gaps,
fixed(s.cpu_pct,1),fixed(s.rss_mb,0)]));
table("faults",["fault","scope","at s","for s"],v.faults.map(f=>[f.kind,f.scope,fixed(f.t,1),
f.duration_s===null?"under way":fixed(f.duration_s,1)]));}
function draw(){const kept=[...rows.values()].sort((a,b)=>a.t-b.t).slice(-HISTORY);
rows=new Map(kept.map(r=>[r.t,r]));const t=kept.map(r=>r.t);
CHARTS.forEach(([,,lines],i)=>plots[i].setData([t,...lines.map(l=>kept.map(l[2]))]));
mark.rows=kept.length;if(kept.length)mark.drawn=plots.length;}
const source=new EventSource("events");
source.addEventListener("delta",e=>{const d=JSON.parse(e.data);if(d.view.run!==run){run=d.view.run;rows=new Map();}
for(const r of d.rows)rows.set(r.t,r);show(d.view);draw();if(d.view.stage==="ended")source.close();});
source.onerror=()=>{$("stage").textContent="connection lost";$("stage").className="lost";};
$("stop").addEventListener("click",async()=>{$("stop").disabled=true;
const answer=await fetch("stop",{method:"POST"});$("ending").textContent=answer.ok?"stopping":"not stopped";});
"""


def uplot_script() -> str:
    """uPlot with its licence, which must go with it."""
    return f"/*\n{asset('uPlot.LICENSE')}*/\n{asset('uPlot.iife.min.js')}"


FILES: dict[str, tuple[str, Callable[[], str]]] = {
    "": ("text/html; charset=utf-8", lambda: PAGE),
    "page.js": ("text/javascript; charset=utf-8", lambda: SCRIPT),
    "page.css": ("text/css; charset=utf-8", lambda: STYLE),
    "uplot.js": ("text/javascript; charset=utf-8", uplot_script),
    "uplot.css": ("text/css; charset=utf-8", lambda: asset("uPlot.min.css")),
}
"""What can be loaded: name -> its type, and what gives its text."""
