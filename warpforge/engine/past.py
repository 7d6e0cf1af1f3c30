"""The past: catalogs as they were at the roots that a person names."""

from __future__ import annotations

from collections.abc import Sequence

from warpforge.catalog.history import find_root, no_root
from warpforge.catalog.snapshot import Snapshots
from warpforge.catalog.tree import Catalog
from warpforge.catalog.view import PastView, SignedView


def go_back(layers: Sequence[Sequence[Catalog]], at: Sequence[str]) -> list[list[Catalog]]:
    """The catalogs that a root is of as they were then, the others as they are.

    Errors: ``catalog-missing-entry`` (root) naming all that no catalog had; ``invalid-argument``, ``catalog-invalid``.
    """
    missing = dict.fromkeys(at)
    went = [[_back(catalog, at, missing) for catalog in layer] for layer in layers]
    if missing:
        raise no_root([*missing])
    return went


def _back(catalog: Catalog, at: Sequence[str], missing: dict[str, None]) -> Catalog:
    snapshots = Snapshots(catalog.path)
    head = catalog.view.snapshot if isinstance(catalog.view, SignedView) else None
    for text in at:
        snapshot = find_root(text, snapshots, head)
        if snapshot is not None:
            missing.pop(text, None)
            return Catalog(catalog.path, PastView(snapshots, snapshot))
    return catalog
