"""What the search looks through: scripts, since a page that is a file may load nothing else.

``_search.js`` has a row a module, and every page with a field for searching loads it. ``_names.js`` has the names of
all releases and items, and is loaded once somebody types; sets of items that recur stand in it once. Wares are in
``_wares/CODE.js``, by the first characters of their hashes, and the one file is loaded that a hash leads to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from .site import WARES
from .survey import Survey

Named = list[tuple[str, dict[str, str]]]  # the releases of a module, newest first: name, and ware by item
REFS: Final = 20  # names of one ware that are told
_FEW: Final = 300  # wares that one file may hold


class Wares(NamedTuple):
    """Files of wares by their pages. ``digits``: how many characters of a hash say in which file it is."""

    digits: int
    packtypes: list[str]
    files: dict[str, str]


def search_rows(surveys: Iterable[Survey], wares: Wares) -> str:
    """A row a module, and how to find a ware."""
    rows = [[one.name, one.latest, one.count, one.about, int(one.hazard)] for one in surveys]
    return f"var CATALOG={_script(rows)};\nvar DIGITS={wares.digits},PACKTYPES={_script(wares.packtypes)};\n"


def name_rows(surveys: Iterable[Survey], names: Mapping[str, Named]) -> str:
    """A row a module, in the same order: its releases in one text, and which set of items each has, or all of them."""
    sets: dict[tuple[str, ...], int] = {}
    rows: list[list[Any]] = []
    for one in surveys:
        named = names.get(one.name, [])
        having = [sets.setdefault(tuple(items), len(sets)) for _, items in named]
        rows.append([" ".join(name for name, _ in named), having[0] if len({*having}) == 1 else having])
    return f"var NAMES={_script(rows)};\nvar ITEMS={_script([' '.join(one) for one in sets])};\n"


def ware_files(names: Mapping[str, Named]) -> Wares:
    """Each ware with its names, in files that stay small."""
    refs: dict[str, list[str]] = {}
    for module, named in sorted(names.items()):
        for release, items in named:
            for item, ware in items.items():
                refs.setdefault(ware, []).append(f"{module}:{release}:{item}")
    digits = 0 if len(refs) <= _FEW else 1 if len(refs) <= 58 * _FEW else 2
    files: dict[str, dict[str, Sequence[str]]] = {}
    for ware, found in sorted(refs.items()):
        files.setdefault(_code(ware, digits), {})[ware] = found[:REFS]
    texts = {code: f'(window.WARES=window.WARES||{{}})["{code}"]={_script(found)};\n' for code, found in files.items()}
    packtypes = sorted({ware.partition(":")[0] for ware in refs})
    return Wares(digits, packtypes, {f"{WARES}/{code}.js": text for code, text in texts.items()})


def _code(ware: str, digits: int) -> str:
    """A file's name, the same on file systems that take a for A."""
    start = ware.partition(":")[2][:digits]
    return "-".join(f"{ord(character):x}" for character in start) or "all"


def _script(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
