"""The page of a release: its items and how to take them, what came of building it again, and how it is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from warpforge.catalog.words import Word
from warpforge.model.atoms import CatalogRef
from warpforge.picture.markup import text

from .facts import ItemFacts, ReleaseFacts, Target
from .parts import (
    agreement_badge,
    copied,
    crumbs,
    frame,
    hazard_note,
    linked,
    listed,
    metadata,
    moment,
    name_of,
    number,
    release_badges,
    uses_list,
    who,
    word_badge,
)
from .replay import made
from .site import Site, release_page
from .survey import described

MOST_USES = 200  # that one item shows
DIFFERENCES = 100  # lines of one verdict


def render_release(
    site: Site, release: ReleaseFacts, around: tuple[str, str], target: Callable[[CatalogRef], Target]
) -> str:
    """The page of a release. ``around``: the older and the newer release, empty where there is none."""
    page = release_page(release.module, release.name)
    title = f"{release.module}:{release.name}"
    return frame(site, page, title, _body(site, page, release, around, target), about=f"The release {title}")


def _body(
    site: Site, page: str, release: ReleaseFacts, around: tuple[str, str], target: Callable[[CatalogRef], Target]
) -> Iterator[str]:
    yield crumbs(site, page, release.module, release.name)
    yield f'<div class="title"><h1>{name_of(release.module)} <span class="version">{text(release.name)}</span></h1>'
    yield f"<p>{release_badges(release)}</p></div>"
    about = described(dict(release.metadata))
    if about:
        yield f'<p class="lead">{text(about)}</p>'
    if release.hazard is not None:
        yield hazard_note(release.hazard)
    if release.fault:
        yield f'<div class="note danger" role="note"><b>Something is wrong.</b> {text(release.fault)}</div>'
    yield f'<div class="columns"><div><h2>Items <span class="dim count">{len(release.items)}</span></h2>'
    for item in release.items:
        yield from _item(site, page, release, item)
    if any(item.words for item in release.items):
        yield from _verdicts(release)
    if release.plot is not None:
        yield from made(site, page, release, release.plot, target)
    elif not release.fault:
        yield "<h2>How it is made</h2><p class='dim'>The release does not say: it has no replay.</p>"
    yield "</div><aside><h2>This release</h2>"
    yield copied("id", release.id)
    if release.replay:
        yield copied("replay", release.replay)
        yield copied("build it again", f"warpforge replay {release.module}:{release.name}")
    if rest := [(key, value) for key, value in release.metadata if key != "replay" and value != about]:
        yield f"<h2>Metadata</h2>{metadata(rest)}"
    yield from _neighbours(site, page, release, around)
    yield "</aside></div>"


def _item(site: Site, page: str, release: ReleaseFacts, item: ItemFacts) -> Iterator[str]:
    reference = f"catalog:{release.module}:{release.name}:{item.name}"
    port = release.module.rpartition("/")[2]
    word = f"{word_badge(item.word)} {agreement_badge(item.words)}" if item.word else ""
    yield f'<section class="card item" id="item-{text(item.name)}"><h3>{text(item.name)} {word}</h3>'
    yield copied("ware", str(item.ware))
    yield copied("reference", reference)
    yield copied("plot input", f"{json.dumps(port)}: {json.dumps(reference)}")
    yield copied("unpack", f"warpforge ware unpack --path {port} {item.ware}")
    if item.dual:
        yield copied("its tree", item.dual)
    if item.download:
        yield f"<p class='more'>Download: {linked(item.download)}</p>"
    if item.mirrors:
        yield f"<h4>Mirrors</h4>{listed(f'<code>{linked(address)}</code>' for address in item.mirrors)}"
    if item.uses:
        yield f"<details><summary>Used by {number(len(item.uses), 'release')}</summary>"
        yield f"{uses_list(site, page, item.uses[:MOST_USES])}"
        if len(item.uses) > MOST_USES:
            yield f"<p class='dim'>and {number(len(item.uses) - MOST_USES, 'more release')}</p>"
        yield "</details>"
    yield "</section>"


def _verdicts(release: ReleaseFacts) -> Iterator[str]:
    yield '<h2 id="verdicts">Built again</h2><div class="card rows">'
    for item in release.items:
        for word in item.words:
            yield _verdict(item, word)
    yield "</div>"


def _verdict(item: ItemFacts, word: Word) -> str:
    verdict = word.verdict
    out = [
        f"<div class='verdict'><p><b>{text(item.name)}</b> {word_badge(word)} "
        f"<span class='dim'>{moment(verdict.time)}, {text(verdict.engine)}</span></p>",
        f"<p class='dim'>{text(who(word))}</p>",
    ]
    if verdict.made is not None and verdict.made != verdict.published:
        out.append(f"<p>It gave <code>{text(str(verdict.made))}</code></p>")
    if verdict.why:
        lines = "\n".join(text(line) for line in verdict.why[:DIFFERENCES])
        more = f"\n… {len(verdict.why) - DIFFERENCES} more" if len(verdict.why) > DIFFERENCES else ""
        out.append(f"<details><summary>What differs</summary><pre>{lines}{more}</pre></details>")
    return "".join(out) + "</div>"


def _neighbours(site: Site, page: str, release: ReleaseFacts, around: tuple[str, str]) -> Iterator[str]:
    older, newer = around
    if not older and not newer:
        return
    yield '<h2>Other releases</h2><nav class="around" aria-label="Other releases">'
    for name, words in ((newer, "newer"), (older, "older")):
        if name:
            link = site.href(page, release_page(release.module, name))
            yield f'<a href="{link}"><span class="dim">{words}</span> {text(name)}</a>'
    yield "</nav>"
