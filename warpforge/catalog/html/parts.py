"""Pieces that pages share. Everything that came from a catalog goes through ``text``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from warpforge import __version__
from warpforge.catalog.words import Word, agreement, worst
from warpforge.picture.markup import text

from .facts import ReleaseFacts, Use
from .site import INDEX, ROWS, SCRIPT, SEARCH, STYLE, Site, domain_page, module_page, release_page

# "file:" beside 'self': not every browser takes a file for its own origin. Nothing from anywhere else, nothing inline.
POLICY: Final = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file: data:; "
    "form-action 'self' file:; base-uri 'none'"
)
MARK: Final = (
    '<svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">'
    '<g fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round">'
    '<path d="M12 2 21 7v10l-9 5-9-5V7z"/><path d="M3 7l9 5 9-5M12 12v10"/></g></svg>'
)
LONG: Final = 200  # rows of a list that a browser draws at once
VERDICT_WORDS: Final = {
    "same": ("good", "reproduced"),
    "differs": ("bad", "differs"),
    "missing": ("bad", "missing"),
    "failed": ("bad", "failed"),
}


def frame(site: Site, page: str, title: str, body: Iterable[str], *, about: str = "", searches: bool = False) -> str:
    """A whole page. ``searches``: it has its own field for searching, and the rows to search in."""
    href = site.href
    whole = f"{title} · {site.name}" if title != site.name else f"{site.name} · a warpforge catalog"
    rows = f'<script src="{href(page, ROWS)}" defer></script>' if searches else ""
    said = f'<meta name="description" content="{text(about)}">' if about else ""
    return "".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{text(whole)}</title>{said}<link rel="stylesheet" href="{href(page, STYLE)}">',
            f'<link rel="icon" href="data:,">{rows}<script src="{href(page, SCRIPT)}" defer></script></head><body>',
            '<a class="skip" href="#main">Skip to the content</a><header class="top"><div class="bar">',
            f'<a class="brand" href="{href(page, INDEX)}">{MARK}<b>{text(site.name)}</b> <span>catalog</span></a>',
            "" if searches else _search(site, page),
            f'</div></header><main id="main" tabindex="-1">\n{"".join(body)}\n</main>',
            f'<footer class="foot"><p>Made by warpforge {text(__version__)}. Every name here leads to a hash: what you '
            "get is what was published, from whichever mirror it comes.</p></footer></body></html>\n",
        )
    )


def _search(site: Site, page: str) -> str:
    return (
        f'<form class="find" role="search" action="{site.href(page, SEARCH)}" method="get">'
        '<label class="hidden" for="q">Search modules</label>'
        '<input id="q" name="q" type="search" placeholder="Search modules" autocomplete="off" spellcheck="false">'
        '<kbd aria-hidden="true">/</kbd></form>'
    )


def crumbs(site: Site, page: str, module: str, release: str = "") -> str:
    """The way from the index to here."""
    domain = module.split("/")[0]
    links = [(site.href(page, INDEX), "modules"), (site.href(page, domain_page(domain)), domain)]
    here = module.partition("/")[2] or module
    if release:
        links.append((site.href(page, module_page(module)), here))
        here = release
    return way(links, here)


def way(links: Iterable[tuple[str, str]], here: str) -> str:
    """Links from the outermost to the innermost, and what is here."""
    items = "".join(f'<li><a href="{link}">{text(words)}</a></li>' for link, words in links)
    last = f'<li aria-current="page">{text(here)}</li>'
    return f'<nav aria-label="Where this is"><ol class="crumbs">{items}{last}</ol></nav>'


def name_of(module: str) -> str:
    """A module's name, its domain less loud."""
    domain, slash, path = module.partition("/")
    return f'<span class="domain">{text(domain)}{slash}</span><wbr>{text(path)}' if path else text(domain)


def copied(label: str, value: str, *, shown: str = "") -> str:
    """Something to copy: selectable without a script, with a button that a script adds."""
    return (
        f'<div class="copy"><span class="what">{text(label)}</span>'
        f'<code data-copy="{text(value)}" data-what="{text(label)}">{text(shown or value)}</code></div>'
    )


def badge(kind: str, words: str, title: str = "") -> str:
    said = f' title="{text(title)}"' if title else ""
    return f'<span class="pill {kind}"{said}>{text(words)}</span>'


def word_badge(word: Word) -> str:
    """A verdict, and whether it counts."""
    kind, words = VERDICT_WORDS.get(word.verdict.verdict, ("plain", word.verdict.verdict))
    title = f"built again at {moment(word.verdict.time)} by {word.verdict.engine}; {who(word)}"
    if word.believed:
        by = f" by {', '.join(word.by)}" if word.by else ""
        return badge(kind, f"{words} ✓ signed{by}", title)
    if word.published:  # whoever can write the catalog can say so
        doubt = "not trusted" if word.signed else "unsigned"
        return badge("plain" if kind == "good" else kind, f"{words}, {doubt}", title)
    return badge(kind, words, title)


def who(word: Word) -> str:
    """Who says so."""
    if word.believed:
        keys = ", ".join(key[:16] for key in word.believed)
        return f"signed by {', '.join(word.by)}, key {keys}" if word.by else f"signed by the trusted key {keys}"
    if word.signed:
        return "signed by a key that is not trusted here: " + ", ".join(key[:16] for key in word.signed)
    return "published in the catalog, not signed" if word.published else "seen on the machine that made this page"


def agreement_badge(words: Iterable[Word]) -> str:
    """How many rebuilders made an item just so; empty where none has a word."""
    found = agreement(words)
    if found.other:
        title = f"{', '.join(found.other)} did not make the same; {', '.join(found.same) or 'nobody'} did"
        return badge("bad", f"{len(found.same)} of {number(len(found.same) + len(found.other), 'rebuilder')}", title)
    if not found.same:
        return ""
    return badge("good", number(len(found.same), "rebuilder"), f"{', '.join(found.same)} made the same")


def release_badges(release: ReleaseFacts) -> str:
    """What is to be known of a release at a glance: danger first."""
    out = []
    if release.hazard is not None:
        out.append(badge("danger", "hazard", release.hazard))
    if release.fault:
        out.append(badge("bad", "broken", release.fault))
    word = worst(item.word for item in release.items)
    if word is not None:
        out.append(word_badge(word))
    elif release.plot is not None:
        out.append(badge("info", "replayable", "it can be built again from what the catalog says"))
    return " ".join(out)


def hazard_note(hazard: str) -> str:
    return (
        f'<div class="note danger" role="note"><b>Hazard.</b> {text(hazard) or "This release is marked as dangerous."} '
        "It is refused unless it is allowed by name.</div>"
    )


def metadata(rows: Iterable[tuple[str, str]]) -> str:
    """What a document says of itself: addresses of the web are links."""
    return table([(text(key), linked(value)) for key, value in rows])


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Rows of markup: a name and what it is."""
    lines = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f"<dl class='facts'>{lines}</dl>"


def linked(address: str) -> str:
    """An address: a link if a browser can go there and it is one address."""
    words = text(address)
    if address.startswith(("https://", "http://")) and address.isprintable() and " " not in address:
        return f'<a href="{words}" rel="nofollow noopener noreferrer">{words}</a>'
    return words


def rows(kind: str, items: Sequence[str]) -> str:
    """A list in a frame; a browser draws of a long one only what is seen."""
    return f"<ul class='{kind}{' many' if len(items) > LONG else ''}'>{''.join(items)}</ul>"


def uses_list(site: Site, page: str, uses: Iterable[Use]) -> str:
    items = "".join(
        f'<li><a href="{site.href(page, release_page(use.module, use.release))}">{text(use.module)}'
        f"<span class='dim'>:{text(use.release)}</span></a></li>"
        for use in uses
    )
    return f"<ul class='links'>{items}</ul>"


def listed(items: Iterable[str]) -> str:
    """A list of markup."""
    return "<ul class='links'>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def number(count: int, noun: str) -> str:
    """``1 module``, ``1 204 modules``."""
    return f"{grouped(count)} {noun}{'' if count == 1 else 's'}"


def grouped(count: int) -> str:
    """Digits by threes."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def moment(seconds: int) -> str:
    """In UTC, so that a page is the same wherever it is made."""
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "an unknown time"
