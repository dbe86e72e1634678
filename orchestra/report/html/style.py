"""The page's style sheet: light and dark, screen and paper.

Knows class names of `page` and `charts`; holds no content.
"""

CSS = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d8dee6;
  --ground: #ffffff; --card: #f6f8fa; --mark: #1d5fbf; --good: #137a4b; --faint: #c3d3ea; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #36404d;
  --ground: #14181e; --card: #1c222a; --mark: #7fb2ff; --good: #5fce9b; --faint: #2c4468; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; color: var(--ink);
  background: var(--ground); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; line-height: 1.25; }
h2 { font-size: 1.125rem; margin: 2.5rem 0 .5rem; }
p { margin: .25rem 0; }
.soft { color: var(--soft); font-size: .875rem; }
.headline { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1.25rem;
  margin: 1rem 0 .25rem; }
.headline strong { font-size: 3rem; line-height: 1.1; color: var(--good);
  font-variant-numeric: tabular-nums; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 0; }
dl.facts div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .6rem .8rem; }
dl.facts dt { color: var(--soft); font-size: .8125rem; }
dl.facts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
dl.facts dd small { display: block; font-weight: 400; color: var(--soft); font-size: .8125rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
table.wide { width: 100%; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .28rem .6rem; text-align: left; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 400; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.chart, th.chart { padding-top: 0; padding-bottom: 0; width: 16rem; min-width: 10rem; }
tr.own th, tr.own td { font-weight: 700; background: var(--card); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .axis { stroke: var(--line); stroke-width: 1; }
svg .span { stroke: var(--mark); stroke-width: 2; }
svg .dot { fill: var(--mark); }
svg .bar { fill: var(--mark); }
svg .back { fill: var(--faint); }
svg .even { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 4 4; }
.curve { max-width: 26rem; }
table.heat { font-size: .8125rem; }
table.heat th, table.heat td { padding: .28rem .3rem; }
table.heat td { text-align: center; white-space: nowrap; border: 1px solid var(--ground);
  color: #10243f; background: hsl(213 75% calc(97% - var(--v) * 62%)); }
table.heat td.deep { color: #ffffff; }
table.heat td small { opacity: .8; }
table.heat thead th span { writing-mode: vertical-rl; transform: rotate(180deg); }
table.heat thead th { text-align: center; }
table.heat thead th:first-child { text-align: left; }
table.heat tbody th { white-space: nowrap; }
ul.notes { padding-left: 1.2rem; }
footer { margin-top: 3rem; padding-top: .75rem; border-top: 1px solid var(--line); }
@media print { :root { --ink: #000; --soft: #444; --ground: #fff; --card: #fff; --line: #bbb;
  --mark: #1d5fbf; --good: #137a4b; --faint: #c3d3ea; }
  body { max-width: none; padding: 0; font-size: 11pt; }
  h2 { break-after: avoid; } tr, svg, dl.facts div { break-inside: avoid; }
  .scroll { overflow: visible; } table.heat { font-size: 7pt; }
  table.heat td, .bar, .back { print-color-adjust: exact;
  -webkit-print-color-adjust: exact; } }
"""
"""Everything the page looks like; no address in it leads outside."""


CURVES = """
:root { --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #c2528b; --c4: #b98900; --c5: #2fa3d9;
  --c6: #7e57c2; --c7: #6b7a00; --c8: #a0522d; --c9: #7a8594; }
@media (prefers-color-scheme: dark) { :root { --c0: #58a6e0; --c1: #ff8a4c; --c2: #35c99b;
  --c3: #e58fbd; --c4: #e6b93c; --c5: #7fcdf5; --c6: #b39ddb; --c7: #b5c440; --c8: #d39a78;
  --c9: #9aa6b5; } }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); }
.c8 { --c: var(--c8); } .c9 { --c: var(--c9); }
body { max-width: 78rem; }
svg .run { fill: none; stroke: var(--c); stroke-width: 1.6; }
svg .run.chosen { stroke-width: 3.2; }
svg .run.dashed { stroke-dasharray: 5 3; }
svg .run.thin { stroke-width: 1; stroke-dasharray: 2 3; }
svg circle.dot { fill: var(--c, var(--mark)); }
svg .band { fill: var(--c); opacity: .09; }
svg .band.chosen { opacity: .2; }
.multiples { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr));
  gap: 1.5rem 1.75rem; }
figure { margin: 0; display: flex; flex-direction: column; }
figcaption { color: var(--soft); font-size: .8125rem; flex: 1; }
figcaption b { color: var(--ink); font-size: .9375rem; }
figure p { color: var(--soft); font-size: .75rem; margin: .5rem 0 0; }
ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0;
  margin: .75rem 0 1rem; font-size: .875rem; }
ul.legend li { display: flex; align-items: center; gap: .4rem; }
svg.key { width: 2.1rem; flex: none; }
.warned { color: var(--c1); font-weight: 600; }
th.figure { white-space: normal; }
td.figure small { display: block; color: var(--soft); font-weight: 400; }
tr.group th { padding-top: 1rem; font-weight: 700; }
tbody tr.group { break-after: avoid; }
code { font-size: .92em; }
@media print { .multiples { grid-template-columns: repeat(2, 1fr); } figure { break-inside: avoid; }
  svg .band { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
"""Comes after `style.CSS`; no address in it leads outside."""
