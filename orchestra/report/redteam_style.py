"""What the page of a red team looks like beyond `style`: curves, their colours and their legend.

Knows class names of `redteam_page` and `redteam_charts`; holds no content.
"""

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
