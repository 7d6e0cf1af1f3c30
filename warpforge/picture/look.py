"""How every page looks: colours by day and by night, type, cards, tables. Nothing is loaded from anywhere."""

from __future__ import annotations

from typing import Final

CSS: Final = """
:root { color-scheme: light dark; --paper: #fbfaf8; --card: #ffffff; --ink: #22221f; --dim: #6d6d66; --line: #dedcd5;
  --run: #2f72c4; --hit: #3a9a52; --failed: #c93838; --left: #9a9a92; --code: #f4f2ed; --supply: #1c8ca0;
  --gather: #b07a1e; }
@media (prefers-color-scheme: dark) { :root { --paper: #191a1c; --card: #222326; --ink: #e8e6e1; --dim: #a09f98;
  --line: #3a3b3e; --run: #6ba5ec; --hit: #62bd79; --failed: #ee7070; --left: #85857e; --code: #2a2b2e;
  --supply: #4fb5c7; --gather: #d9a54a; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 72rem; padding: 1.2rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 ui-sans-serif, system-ui, Helvetica, Arial, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .2rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .7rem; }
h3 { font-size: .8rem; margin: 1.1rem 0 .3rem; color: var(--dim); font-weight: 600; text-transform: uppercase;
  letter-spacing: .04em; }
p { margin: .2rem 0; } a { color: var(--run); } .dim { color: var(--dim); }
code, pre { font: 12.5px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem; }
.graph { overflow: auto; max-height: 80vh; background: #fff; text-align: center; }
.graph svg { max-width: none; } .graph a { cursor: pointer; }
.badge { font-size: .75rem; font-weight: 600; padding: .05rem .5rem; border-radius: 1rem; color: #fff;
  background: var(--left); white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
td { vertical-align: top; padding: .18rem .8rem .18rem 0; border-bottom: 1px solid var(--line); }
td:first-child { white-space: nowrap; color: var(--dim); } tr:last-child td { border-bottom: 0; }
pre { background: var(--code); border-radius: .4rem; padding: .6rem .7rem; margin: .3rem 0; max-height: 26rem;
  overflow: auto; white-space: pre-wrap; }
.warn { border-left: .25rem solid var(--gather); padding-left: .7rem; }
"""
