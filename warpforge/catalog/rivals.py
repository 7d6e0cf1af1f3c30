"""Rivals: catalogs of one root that say different things of the same name. There is no order among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef

from .check import ERROR, WARNING, Examined, Fault
from .tree import RELEASES_DIR, Catalog

# what people take for each other, within what a module's name may hold
_ALIKE: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "-": None, ".": None})


def conflicts(examined: Iterable[Examined], equals: Sequence[Catalog]) -> Iterator[Fault]:
    """References of these modules that a catalog beside theirs answers otherwise, and those that cannot be compared."""
    for one in examined:
        refs: dict[str, list[CatalogRef]] = {}
        for ref in one.wares:
            refs.setdefault(ref.release, []).append(ref)
        for catalog in equals:
            for name, named in refs.items():
                path = f"{one.module}/{RELEASES_DIR}/{name}.json"
                try:
                    known = catalog.module(one.module)
                    release = catalog.release(known, name) if known else None
                except WarpforgeError as error:  # no word on what is wrong there keeps back what is known here
                    yield Fault(WARNING, path, "conflict", f"cannot be compared with {catalog.path}: {error.message}")
                    continue
                for ref in named if release else ():
                    ware, other = one.wares[ref], release.items.get(ref.item) if release else None
                    if other not in (None, ware):
                        yield Fault(ERROR, path, "conflict", f"{ref} is {ware}, and {other} in {catalog.path}")


def look_alikes(modules: Iterable[str], others: Iterable[str] = ()) -> Iterator[Fault]:
    """Modules whose names people take for those of others, in the same catalog or beside it."""
    seen: dict[str, str] = {}
    for module in others:
        seen.setdefault(_seen_as(module), module)
    for module in modules:
        other = seen.setdefault(_seen_as(module), module)
        if other != module:
            yield Fault(WARNING, module, "alike", f"people will take it for {other}")


def _seen_as(module: str) -> str:
    return module.replace("rn", "m").replace("vv", "w").translate(_ALIKE)
