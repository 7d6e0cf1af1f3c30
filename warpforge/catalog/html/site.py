"""The site: how its pages are called, and how one leads to another."""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from warpforge.catalog.words import Judges

if TYPE_CHECKING:
    from warpforge.model.atoms import WareId

INDEX: Final = "index.html"
SEARCH: Final = "search.html"
ABSENT: Final = "404.html"
STYLE: Final = "_site.css"
SCRIPT: Final = "_site.js"
ROWS: Final = "_search.js"
NAMES: Final = "_names.js"
WARES: Final = "_wares"
STATE: Final = "_state.json"
DOMAINS: Final = "_domains"
RELEASES: Final = "_releases"
_PLAIN: Final = frozenset(ascii_letters + digits + "-_./+~")  # as a link has them
_FILES: Final = frozenset((INDEX, SEARCH, ABSENT))


class Site(NamedTuple):
    """``name``: the catalog's. ``prefix``: what every link begins with, or None for relative ones.

    ``download``: a warehouse whose wares are linked to, or empty. ``shown``: an address without what is secret in it;
    ``ware_path``: where a warehouse keeps a ware. ``judges``: whose signatures count; ``threshold``: of how many of the
    publisher's keys a snapshot needs one.
    """

    name: str
    prefix: str | None
    download: str
    shown: Callable[[str], str]
    ware_path: Callable[[WareId], str]
    judges: Judges = Judges()
    threshold: int = 1

    def href(self, page: str, target: str) -> str:
        """The link from a page to another, both by their path below the site."""
        path, mark, fragment = target.partition("#")
        if page == target and mark:
            return f"#{quote(fragment)}"
        if self.prefix is not None:
            lead = quote(self.prefix.rstrip("/"), safe=":/%~+@?=") + "/"
        else:
            lead = "/" if page == ABSENT else "../" * page.count("/")  # whoever serves it knows no depth
        plain = path if _PLAIN.issuperset(path) else quote(path, safe="/+~")
        return lead + plain + (f"#{quote(fragment)}" if mark else "")


def module_page(module: str) -> str:
    return f"{module}/{INDEX}"


def release_page(module: str, release: str) -> str:
    return f"{module}/{RELEASES}/{release}.html"


def domain_page(domain: str) -> str:
    return f"{DOMAINS}/{domain}.html"


def can_have_pages(module: str) -> bool:
    """Whether no directory of the module is called as a page is."""
    return _FILES.isdisjoint(module.split("/"))
