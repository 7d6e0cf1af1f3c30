"""Publishing: the walk over a catalog that writes its pages, those that changed.

survey every module · turn what they take into who uses what · make again the pages of modules whose digest changed ·
the index and its company · give all of them their places · remove what has gone

Modules are independent of each other in both passes, so that several processes can share the work: ``spread`` is
handed in, and is given functions of this file and chunks that can be sent to another process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

from warpforge.catalog.edit import locked
from warpforge.catalog.snapshot import Snapshots
from warpforge.catalog.tree import Catalog
from warpforge.catalog.words import Judges
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef
from warpforge.model.names import is_module_name
from warpforge.picture import look

from . import index, search
from .facts import ModuleFacts, Reader, Use
from .module import render_module
from .release import render_release
from .search import Named
from .site import (
    ABSENT,
    DOMAINS,
    INDEX,
    NAMES,
    RELEASES,
    ROWS,
    SCRIPT,
    SEARCH,
    STYLE,
    WARES,
    Site,
    can_have_pages,
    module_page,
    release_page,
)
from .standing import read_standing
from .state import State, load_state, maker, save_state
from .survey import Survey, Surveyor
from .writing import Pages, Staged

CHUNK: Final = 25  # modules
NOTHING_WAITS: Final = nullcontext()

Spread = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
Progress = Callable[[str, int, int], None]
Open = Callable[[], Catalog]
Uses = dict[str, tuple[Use, ...]]


class Published(NamedTuple):
    """``pages``: all that there are; ``written``: how many of them had changed; ``faults``: what cannot be shown."""

    modules: int
    releases: int
    pages: int
    written: int
    faults: list[str]


class Rendered(NamedTuple):
    """The pages of a module: those that changed, what is wrong, and what it names, if all of it could be read."""

    module: str
    staged: list[Staged]
    faults: list[str]
    named: Named
    is_whole: bool = True


class Publisher:
    """``opened``: gives the catalog, as it may be believed, in other processes, too.

    ``output``: the site's directory; ``kept``: directories of verdicts; ``state``: the file of its state;
    ``swapping``: entered while pages are given their places.
    """

    def __init__(
        self,
        site: Site,
        opened: Open,
        output: Path,
        kept: Sequence[Path],
        state: Path,
        swapping: AbstractContextManager[object] = NOTHING_WAITS,
    ) -> None:
        self._site = site
        self._open = opened
        self._catalog = opened()
        self._output = output
        self._kept = (*kept,)
        self._state_file = state
        self._swapping = swapping
        self._releases: dict[str, dict[str, str]] = {}

    def publish(self, spread: Spread, progress: Progress) -> Published:
        """Write what changed; ``progress`` hears what is being done, and for how many modules of how many it is done.

        Errors: ``store`` (busy: another publishes the same site), ``io``, those of reading the catalog's directories.
        """
        what = f"cannot publish to {self._output}, which is noted in {self._state_file.parent}"
        with locked(self._state_file.with_suffix(".lock"), what):
            pages = Pages(self._output)
            pages.clear_staging()
            try:
                return self._publish(pages, spread, progress)
            finally:
                pages.clear_staging()

    def _publish(self, pages: Pages, spread: Spread, progress: Progress) -> Published:
        state = load_state(self._state_file)
        names = [*self._catalog.modules()]
        surveys = self._survey(spread, names, state, progress)
        uses = _uses(surveys)
        wares = {key: found for key, found in uses.items() if key.startswith("ware:")}
        made = dict(self._digests(surveys, uses, wares))
        faults = [f"{one.name}: {one.fault}" for one in surveys if one.fault]
        shown = [one for one in surveys if one.name in made]
        changed = [
            name for name, digest in made.items() if state.made.get(name) != digest or not pages.has(module_page(name))
        ]
        called = {name: state.names.get(name, []) for name in made}
        done = len(shown) - len(changed)
        progress("writing pages", done, len(shown))
        rendered: list[Rendered] = []
        for found in spread(render_chunk, [*self._chunks(changed, uses, wares)]):
            for one in found:
                called[one.module] = one.named
                faults += one.faults
                if one.faults:
                    made.pop(one.module)  # said again the next time
            rendered += found
            progress("writing pages", done + len(rendered), len(shown))
        only = self._rest(pages, shown, called)
        staged = [*(page for one in rendered for page in one.staged), *pages.staged]
        with self._swapping:
            pages.place(staged)
            _clear(pages, rendered, only)
            for module in state.made.keys() - {one.name for one in shown}:
                if is_module_name(module):
                    pages.remove_module(module)
        save_state(self._state_file, State(maker(), {one.name: one for one in surveys}, made, called))
        releases = sum(one.count for one in shown)
        return Published(len(shown), releases, pages.count + len(shown) + releases, len(staged), faults)

    def _survey(self, spread: Spread, names: list[str], state: State, progress: Progress) -> list[Survey]:
        known, seed = state.surveys, self._seed()
        chunks = [
            (self._site, self._open, part, self._kept, seed, {name: known[name] for name in part if name in known})
            for part in _parts(names)
        ]
        found: list[Survey] = []
        for part in spread(survey_chunk, chunks):
            found += part
            progress("looking at modules", len(found), len(names))
        for one in found:
            if not one.fault and not can_have_pages(one.name):
                one.fault = "a part of its name is the name of a page, so it has none"
        return found

    def _seed(self) -> bytes:
        """What changes what is believed of the catalog, beside its files: who is, and what they signed last."""
        if self._site.judges == Judges():
            return b""
        head = Snapshots(self._catalog.path).head_data()
        return blake2b(repr((self._site.judges, self._site.threshold, head)).encode(), digest_size=15).digest()

    def _digests(self, surveys: Iterable[Survey], uses: Uses, wares: Uses) -> Iterator[tuple[str, str]]:
        """For each module that can be shown, all that its pages depend on."""
        site = self._site
        common = repr((maker(), site.name, site.prefix, site.download, site.judges, sorted(wares.items())))
        seed = blake2b(common.encode(), digest_size=15).digest()
        of_module: dict[str, list[Any]] = {}
        for key, found in sorted(uses.items()):
            of_module.setdefault(key.split(":")[1], []).append((key, found))
        for one in surveys:
            if not one.fault:
                taken = {basis for bases in one.takes.values() for basis in bases if basis.startswith("catalog:")}
                rest = (of_module.get(one.name, ()), [(basis, self._id_of(basis)) for basis in sorted(taken)])
                text = repr((one.digest, rest)).encode("utf-8", "surrogatepass")
                yield one.name, blake2b(text, key=seed, digest_size=15).hexdigest()

    def _id_of(self, basis: str) -> str:
        """The release that a replay's input leads to, by its id; empty when there is none."""
        try:
            ref = CatalogRef.parse(basis.removeprefix("catalog:"))
            if ref.module not in self._releases:
                module = self._catalog.module(ref.module)
                self._releases[ref.module] = module.releases if module else {}
            return self._releases[ref.module].get(ref.release, "")
        except WarpforgeError:
            return ""

    def _chunks(self, names: list[str], uses: Uses, wares: Uses) -> Iterator[tuple[Any, ...]]:
        by_module: dict[str, Uses] = {}
        for key, found in uses.items():
            if key.startswith("catalog:"):
                by_module.setdefault(key.split(":")[1], {})[key] = found
        for part in _parts(names):
            mine = {key: found for name in part for key, found in by_module.get(name, {}).items()}
            yield self._site, self._open, self._output, part, {**mine, **wares}, self._kept

    def _rest(self, pages: Pages, shown: list[Survey], names: Mapping[str, Named]) -> dict[str, set[str]]:
        """The pages of no module, the index last; gives what there is besides in directories that hold nothing else."""
        site = self._site
        pages.write(STYLE, look.CSS + _brought("site.css"))
        pages.write(SCRIPT, _brought("site.js"))
        wares = search.ware_files(names)
        for page, text in wares.files.items():
            pages.write(page, text)
        pages.write(NAMES, search.name_rows(shown, names))
        pages.write(ROWS, search.search_rows(shown, wares))
        pages.write(SEARCH, index.search_page(site))
        pages.write(ABSENT, index.absent_page(site))
        domains = dict(index.domain_pages(site, shown))
        for page, text in domains.items():
            pages.write(page, text)
        pages.write(INDEX, index.index_page(site, shown, read_standing(self._catalog.path, site.judges.keys)))
        alone = ((DOMAINS, domains), (WARES, wares.files))
        return {directory: {os.path.basename(page) for page in found} for directory, found in alone}


def _clear(pages: Pages, rendered: Iterable[Rendered], only: Mapping[str, set[str]]) -> None:
    """Remove pages of releases and others that there are no more."""
    for one in rendered:
        if one.is_whole:
            pages.keep_only(f"{one.module}/{RELEASES}", {f"{name}.html" for name, _ in one.named})
    for directory, names in only.items():
        pages.keep_only(directory, names, ".js" if directory == WARES else ".html")


def survey_chunk(
    work: tuple[Site, Open, Sequence[str], Sequence[Path], bytes, dict[str, Survey]],
) -> list[Survey]:
    """Some modules, looked at."""
    site, opened, names, kept, seed, known = work
    surveyor = Surveyor(opened(), kept, site.judges, seed)
    return [surveyor.survey(name, known.get(name)) for name in names]


def render_chunk(
    work: tuple[Site, Open, Path, Sequence[str], Uses, Sequence[Path]],
) -> list[Rendered]:
    """The pages of some modules, staged."""
    site, opened, output, names, uses, kept = work
    reader = Reader(site, opened(), uses, kept)
    found: list[Rendered] = []
    pages = Pages(output)
    for name in names:
        pages.staged = []
        try:
            facts = reader.module(name)
        except WarpforgeError as error:
            found.append(Rendered(name, [], [f"{name}: {error.message}"], [], is_whole=False))
            continue
        if facts is not None:
            _render(pages, site, facts, reader)
            wrong = [f"{name}:{one.name}: {one.fault}" for one in facts.releases if one.fault]
            named = [(one.name, {item.name: str(item.ware) for item in one.items}) for one in facts.releases]
            found.append(Rendered(name, pages.staged, wrong, named))
    return found


def _render(pages: Pages, site: Site, module: ModuleFacts, reader: Reader) -> None:
    pages.write(module_page(module.name), render_module(site, module))
    names = [release.name for release in module.releases]
    for at, release in enumerate(module.releases):
        older = names[at + 1] if at + 1 < len(names) else ""
        newer = names[at - 1] if at else ""
        text = render_release(site, release, (older, newer), reader.target)
        pages.write(release_page(module.name, release.name), text)


def _brought(name: str) -> str:
    """A file that stands beside this one."""
    from importlib.resources import files

    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _uses(surveys: Iterable[Survey]) -> Uses:
    found: dict[str, list[Use]] = {}
    for one in surveys:
        for release, bases in one.takes.items():
            for basis in bases:
                found.setdefault(basis, []).append(Use(one.name, release))
    return {basis: tuple(uses) for basis, uses in found.items()}


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(names), CHUNK):
        yield names[at : at + CHUNK]
