"""The pages about all modules: the index, a domain's, the search, and what is shown where there is no page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from warpforge.model.verdict import SAME
from warpforge.picture.markup import text

from .parts import badge, frame, grouped, moment, name_of, number, rows, way, word_badge
from .site import ABSENT, INDEX, SEARCH, Site, domain_page, module_page, release_page
from .standing import Standing
from .survey import Survey

MANY: Final = 400  # modules from which on the index shows domains instead
MEMBERS: Final = 3  # modules that a domain has on average from which on it is worth a heading


def index_page(site: Site, surveys: Sequence[Survey], standing: Standing | None) -> str:
    """All modules, or all domains when there are many."""
    about = f"{number(len(surveys), 'module')}, {number(sum(one.count for one in surveys), 'release')}"
    body = _index(site, surveys, standing)
    return frame(site, INDEX, site.name, body, about=f"A warpforge catalog: {about}", searches=True)


def domain_pages(site: Site, surveys: Sequence[Survey]) -> Iterator[tuple[str, str]]:
    """A page for each domain, with its path."""
    for domain, found in _domains(surveys):
        page = domain_page(domain)
        body = [
            way([(site.href(page, INDEX), "modules")], domain),
            f"<h1>{text(domain)}</h1><p class='dim'>{number(len(found), 'module')}</p>",
            _modules(site, page, found),
        ]
        yield page, frame(site, page, domain, body)


def search_page(site: Site) -> str:
    body = ["<h1>Search</h1>", _field(site, SEARCH), _results()]
    return frame(site, SEARCH, "Search", body, searches=True)


def absent_page(site: Site) -> str:
    body = (
        '<div class="absent"><p class="code" aria-hidden="true">404</p><h1>There is no such page</h1>'
        "<p>No module or release of this catalog is called so. It may stand in another one.</p>"
        f'<p><a class="button" href="{site.href(ABSENT, INDEX)}">All modules</a></p></div>'
    )
    return frame(site, ABSENT, "Not found", [body])


def _index(site: Site, surveys: Sequence[Survey], standing: Standing | None) -> Iterator[str]:
    releases = sum(one.count for one in surveys)
    replays = sum(len(one.takes) for one in surveys)
    domains = _domains(surveys)
    same = sum(one.word is not None and one.word.verdict.verdict == SAME for one in surveys)
    yield f'<section class="hero"><h1>{text(site.name)}</h1><p class="lead">Names for wares, each of them a hash.</p>'
    yield _field(site, INDEX)
    yield '<dl class="counts">'
    for count, words in (
        (len(domains), "domain"),
        (len(surveys), "module"),
        (releases, "release"),
        (replays, "replayable"),
        *(((same, "reproduced"),) if same else ()),
    ):
        plural = "" if count == 1 or words in ("replayable", "reproduced") else "s"
        yield f"<div><dt>{words}{plural}</dt><dd>{grouped(count)}</dd></div>"
    yield f"</dl>{_standing(site, standing) if standing else ''}</section>{_results()}<div id='all'>"
    if not surveys:
        yield '<p class="empty">Nothing has been published here yet: <code>warpforge catalog add</code> does it.</p>'
    elif len(surveys) <= MANY and not 1 < len(domains) <= len(surveys) / MEMBERS:
        yield f"<h2>Modules</h2>{_modules(site, INDEX, [one for _, found in domains for one in found])}"
    elif len(surveys) <= MANY:
        for domain, found in domains:
            yield f'<h2 class="group"><a href="{site.href(INDEX, domain_page(domain))}">{text(domain)}</a></h2>'
            yield _modules(site, INDEX, found)
    else:
        yield "<h2>Domains</h2><ul class='domains'>"
        for domain, found in domains:
            link = site.href(INDEX, domain_page(domain))
            words = number(len(found), "module")
            yield f'<li><a href="{link}"><b>{text(domain)}</b> <span class="dim">{words}</span></a></li>'
        yield "</ul>"
    yield "</div>"


def _standing(site: Site, standing: Standing) -> str:
    snapshot = standing.snapshot
    if len(standing.believed) >= max(site.threshold, 1):
        mark = badge("good", "✓ signed", "by " + ", ".join(standing.believed))
        whose = number(len(standing.believed), "trusted key")
    else:
        mark = badge("plain", "signed", "by " + ", ".join(standing.signed))
        whose = number(len(standing.signed), "key") + " of which too few are trusted here"
    return (
        f"<p class='standing'>{mark} <span class='dim'>Snapshot {snapshot.version} of {moment(snapshot.time)}, "
        f"signed by {whose}; root <code>{text(snapshot.root)}</code></span></p>"
    )


def _domains(surveys: Sequence[Survey]) -> list[tuple[str, list[Survey]]]:
    ordered = sorted(surveys, key=lambda one: one.name.split("/"))
    return [(domain, [*found]) for domain, found in groupby(ordered, lambda one: one.name.split("/")[0])]


def _modules(site: Site, page: str, surveys: Iterable[Survey]) -> str:
    return rows("modules", [_row(site, page, one) for one in surveys])


def _row(site: Site, page: str, one: Survey) -> str:
    marks = badge("danger", "hazard") if one.hazard else ""
    if one.word is not None:
        marks += word_badge(one.word)
    elif one.latest in one.takes:
        marks += badge("info", "replayable")
    marks += badge("bad", "broken") if one.fault else ""
    about = f'<span class="about">{text(one.about)}</span>' if one.about else ""
    latest = ""
    if one.latest:
        link = site.href(page, release_page(one.name, one.latest))
        latest = f'<a class="latest" href="{link}" aria-label="the release {text(one.latest)}">{text(one.latest)}</a>'
    return (
        f'<li><div><a class="name" href="{site.href(page, module_page(one.name))}">{name_of(one.name)}</a>{about}</div>'
        f'<div class="side">{marks}{latest}<span class="dim">{number(one.count, "release")}</span></div></li>'
    )


def _field(site: Site, page: str) -> str:
    return (
        f'<form class="find big" role="search" action="{site.href(page, SEARCH)}" method="get">'
        '<label class="hidden" for="q">Search modules, releases, items and wares</label>'
        '<input id="q" name="q" type="search" placeholder="Module, release, item or ware" autocomplete="off" '
        'spellcheck="false" data-live><kbd aria-hidden="true">/</kbd></form>'
        '<noscript><p class="dim">Searching takes a script; every module is in the index.</p></noscript>'
    )


def _results() -> str:
    return '<p id="found" class="dim" role="status" aria-live="polite"></p><ul id="results" class="modules"></ul>'
