"""A catalog as pages: what people see who look for a ware.

site      the pages of one catalog below one directory; each links to the others relatively, unless it has a prefix
facts     what a page of a module tells, read from the catalog and from kept verdicts (facts)
survey    what the other pages need to know of a module: its line in the index, and what its replays take (survey)
use       a release whose replay takes a ware, or a name for one
part      a piece that pages share: the frame, something to copy, a badge (parts)
state     what the pages were made from, kept beside them, so that only what changed is written (state)

Rendering is pure: facts in, text out, always the same text for the same facts (index, module, release, replay).
Only ``facts`` and ``survey`` read, and only ``publish`` writes. Everything that a catalog says may be hostile.

The tree: ``index.html search.html 404.html _site.css _site.js _search.js _names.js _wares/CODE.js _state.json
_domains/D.html MODULE/index.html MODULE/_releases/RELEASE.html``. No module has a part that begins with an underscore.
"""
