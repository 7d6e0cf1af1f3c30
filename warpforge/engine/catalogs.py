"""Catalogs of a stack of workspaces, as they may be believed: where keys are trusted, only what they signed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from warpforge.catalog.lookup import Lookup
from warpforge.catalog.tree import Catalog

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.catalog.believe import Believer
    from warpforge.catalog.trust import Trust
    from warpforge.catalog.words import Judges
    from warpforge.workspace.find import Stack, Workspace

Tell = Callable[[str], None]
TRUST_FILE = "trust.json"


def open_lookup(
    stack: Stack, tell: Tell = lambda message: None, *, at: Sequence[str] = (), without: Path | None = None
) -> Lookup:
    """Look up in the catalogs of a stack; ``tell`` hears what is odd about their snapshots.

    ``without``: a catalog that is left out. ``at``: roots of snapshots; a catalog that had one is read as it was then.
    Errors: ``catalog-invalid``, ``serialization``, ``io``; ``catalog-missing-entry`` for a root that no catalog had.
    """
    paths = [[path for path in layer if path != without] for layer in stack.catalog_layers()]
    return Lookup(_as_of(at, [[_open(stack, path, tell) for path in layer] for layer in paths]))


def open_catalog(stack: Stack, path: Path, tell: Tell = lambda message: None, *, at: Sequence[str] = ()) -> Catalog:
    """One catalog, as it may be believed. Errors: as ``open_lookup``."""
    return _as_of(at, [[_open(stack, path, tell)]])[0][0]


def _as_of(at: Sequence[str], layers: list[list[Catalog]]) -> list[list[Catalog]]:
    if not at:
        return layers
    from warpforge.engine.past import go_back

    return go_back(layers, at)


def _open(stack: Stack, path: Path, tell: Tell) -> Catalog:
    believer = find_believer(stack, path, tell)
    if believer is None:
        return Catalog(path)
    from warpforge.catalog.view import SignedView

    return Catalog(path, SignedView(believer))


def find_believer(stack: Stack, path: Path, tell: Tell = lambda message: None) -> Believer | None:
    """What believing a catalog takes; None where no keys are trusted, so that all is believed. Errors: as above."""
    root = stack.root
    trust = trusts(root).get(path.name) if path.parent == root.catalogs_dir else None
    if trust is None:
        return None
    from warpforge.catalog.believe import Believer
    from warpforge.catalog.trust import SEEN

    lock = root.internal / "locks" / f"seen-{path.name}"
    return Believer(path, trust, root.internal / SEEN / f"{path.name}.json", lock, tell)


def find_judges(stack: Stack, path: Path, tell: Tell = lambda message: None) -> tuple[Judges, int]:
    """Whose word on building again counts for a catalog, and how many of the publisher's keys sign a snapshot of it.

    Errors: as ``Believer.believe``; ``catalog-invalid``, ``key-invalid`` for what is said of rebuilders.
    """
    from warpforge.catalog.rebuilders import FILE, NOBODY, load_rebuilders, names_of
    from warpforge.catalog.words import Judges

    root = stack.root
    of_root = path.parent == root.catalogs_dir
    named = load_rebuilders(root.config(FILE)).get(path.name, NOBODY) if of_root else NOBODY
    rebuilders = tuple(names_of(named).items())
    believer = find_believer(stack, path, tell)
    if believer is None:
        return Judges((), rebuilders), 1
    from warpforge.catalog.snapshot import Snapshots
    from warpforge.catalog.trust import Trust, load_seen

    believer.believe(Snapshots(path))
    seen = load_seen(believer.seen)
    now = Trust(seen.keys, seen.threshold) if seen else believer.trust  # keys change, snapshot by snapshot
    return Judges(tuple(now.public_keys()), rebuilders), now.threshold


def trusts(root: Workspace) -> dict[str, Trust]:
    """Whose signatures the catalogs of a root need. Errors: ``catalog-invalid``, ``serialization``, ``io``."""
    path = root.config(TRUST_FILE)
    if not os.path.lexists(path):  # most have none, and need nothing of all this
        return {}
    from warpforge.catalog.trust import load_trusts

    return load_trusts(path)
