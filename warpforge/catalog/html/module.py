"""The page of a module: what it has released, and how to take the newest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from warpforge.picture.markup import text

from .facts import ModuleFacts, ReleaseFacts
from .parts import copied, crumbs, frame, hazard_note, linked, listed, metadata, name_of, number, release_badges, rows
from .site import Site, module_page, release_page
from .survey import described


def render_module(site: Site, module: ModuleFacts) -> str:
    """The page of a module."""
    page = module_page(module.name)
    about = described(dict(module.metadata))
    return frame(site, page, module.name, _body(site, page, module, about), about=about or f"Releases of {module.name}")


def _body(site: Site, page: str, module: ModuleFacts, about: str) -> Iterator[str]:
    yield crumbs(site, page, module.name)
    yield f'<div class="title"><h1>{name_of(module.name)}</h1></div>'
    if about:
        yield f'<p class="lead">{text(about)}</p>'
    newest = module.releases[0] if module.releases else None
    if newest is not None and newest.hazard is not None:
        yield hazard_note(newest.hazard)
    yield '<div class="columns"><div>'
    yield f"<h2>Releases <span class='dim count'>{len(module.releases)}</span></h2>"
    if module.releases:
        yield rows("releases", [_row(site, page, one) for one in module.releases])
    else:
        yield '<p class="empty">Nothing of this module has been released.</p>'
    yield "</div><aside>"
    if newest is not None and newest.items:
        yield from _newest(newest)
    if rest := [(key, value) for key, value in module.metadata if value != about]:
        yield f"<h2>Metadata</h2>{metadata(rest)}"
    if module.mirrors:
        yield "<h2>Mirrors</h2>"
        for packtype, addresses in module.mirrors:
            yield f"<h3 class='dim'>of packtype {text(packtype)}</h3>{listed(map(_address, addresses))}"
    if module.users:
        yield f"<h2>Used by <span class='dim count'>{len(module.users)}</span></h2>"
        yield listed(_module_links(site, page, module.users))
    yield "</aside></div>"


def _row(site: Site, page: str, release: ReleaseFacts) -> str:
    items = ", ".join(item.name for item in release.items[:6]) + (", …" if len(release.items) > 6 else "")
    return (
        f'<li><div><a class="name" href="{site.href(page, release_page(release.module, release.name))}">'
        f'{text(release.name)}</a><span class="about">{text(items)}</span></div>'
        f'<div class="side">{release_badges(release)}</div></li>'
    )


def _newest(release: ReleaseFacts) -> Iterator[str]:
    yield f"<h2>Newest: {text(release.name)}</h2>"
    for item in release.items[:8]:
        yield copied(item.name, f"catalog:{release.module}:{release.name}:{item.name}")
    if len(release.items) > 8:
        yield f"<p class='dim'>and {number(len(release.items) - 8, 'item')} more</p>"


def _address(address: str) -> str:
    return f"<code>{linked(address)}</code>"


def _module_links(site: Site, page: str, modules: Iterable[str]) -> Iterator[str]:
    for module in modules:
        yield f'<a href="{site.href(page, module_page(module))}">{text(module)}</a>'
