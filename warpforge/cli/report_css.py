"""What only a report has, beside the look of every page: tiles, the timeline, steps that open."""

from __future__ import annotations

from typing import Final

from warpforge.picture import look

CSS: Final = (
    look.CSS
    + """\
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: .6rem; margin: 1.2rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .55rem .8rem; }
.tile b { display: block; font-size: 1.35rem; line-height: 1.3; } .tile span { color: var(--dim); font-size: .85rem; }
.run b { color: var(--run); } .hit b { color: var(--hit); } .failed b { color: var(--failed); }
.time { display: grid; grid-template-columns: minmax(5rem, 26%) 1fr 4.2rem; gap: .18rem .7rem; align-items: center;
  font-size: .85rem; }
.time a { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: inherit; text-decoration: none; }
.track { position: relative; height: 1rem; background: var(--code); border-radius: .25rem; }
.track i { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: .2rem; background: var(--run); }
.track i.supply { background: var(--supply); } .track i.gather { background: var(--gather); }
.track i.failed { background: var(--failed); }
.took { text-align: right; font-variant-numeric: tabular-nums; color: var(--dim); }
.key { margin-top: .6rem; font-size: .8rem; color: var(--dim); }
.key i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin: 0 .3rem -.1rem .8rem; }
details { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; margin: .45rem 0; }
details:target, details[open] { border-color: var(--run); }
summary { cursor: pointer; padding: .55rem .8rem; display: flex; gap: .7rem; align-items: baseline; }
summary b { flex: 1; font-weight: 600; } summary .took { white-space: nowrap; }
details > div { padding: 0 .8rem .9rem; border-top: 1px solid var(--line); }
.badge.run { background: #2f72c4; } .badge.hit { background: #2f8446; } .badge.failed { background: #c93838; }
@media (max-width: 34rem) { body { padding: .8rem .7rem 3rem; font-size: 14.5px; } td { display: block; border: 0;
  padding: 0; } td:first-child { padding-top: .4rem; } tr { display: block; border-bottom: 1px solid var(--line);
  padding-bottom: .35rem; } .time { grid-template-columns: minmax(4rem, 30%) 1fr 3.4rem; gap: .18rem .5rem; } }
"""
)
