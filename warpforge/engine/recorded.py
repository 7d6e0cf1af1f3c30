"""Recorded: what the references of a replay stood for when its release was published, as far as snapshots tell, or
this workspace, where the release was published or built again.

A reference may have been given to something else since then. The replay takes what it was, for that made what was
published; that it is something else now is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from warpforge.errors import Missing
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.ident import release_id
from warpforge.plan.refs import refs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from warpforge.catalog.lookup import Lookup
    from warpforge.catalog.tree import Catalog
    from warpforge.model.catalog import Release
    from warpforge.model.plot import Plot


class Repointed(NamedTuple):
    """A reference that stands for something else now. ``then`` is None where it is not kept what it was."""

    ref: CatalogRef
    then: WareId | None
    now: WareId

    def __str__(self) -> str:
        if self.then is None:
            return f"conflict: {self.ref} is {self.now} now; what it was when this was published is not kept"
        return f"conflict: {self.ref} was {self.then} when this was published, which is taken, and is {self.now} now"


def repointed(
    catalog: Catalog, module: str, release: Release, plot: Plot, lookup: Lookup, known: Mapping[CatalogRef, WareId]
) -> Iterator[Repointed]:
    """The references of a release's replay that were given to something else. ``known``: what they were, without
    snapshots. Errors: ``catalog-invalid``, ``io``.
    """
    names = [ref for ref in refs(plot) if isinstance(ref, CatalogRef)]
    past = _when_published(catalog, module, release) if names else None
    if past is None:
        for ref in (ref for ref in names if ref in known):
            pin = lookup.find(ref)
            if pin is not None and pin.ware != known[ref]:
                yield Repointed(ref, known[ref], pin.ware)
        return
    for ref in names:
        pin = lookup.find(ref)
        if pin is None or pin.catalog.path != catalog.path:
            continue  # another catalog's past is not in this one's snapshots
        try:
            old = past.release(ref.module, ref.release)
        except Missing:
            yield Repointed(ref, None, pin.ware)
            continue
        then = old.items.get(ref.item) if old else None
        if then not in (None, pin.ware):
            yield Repointed(ref, then, pin.ware)


def _when_published(catalog: Catalog, module: str, release: Release) -> Catalog | None:
    """The catalog as it was at the first snapshot that had this very release."""
    from warpforge.catalog import trie
    from warpforge.catalog.history import history
    from warpforge.catalog.snapshot import Snapshots
    from warpforge.catalog.tree import Catalog
    from warpforge.catalog.view import PastView, SignedView

    snapshots = Snapshots(catalog.path)
    if not snapshots.path.is_dir():
        return None
    first = None
    head = catalog.view.snapshot if isinstance(catalog.view, SignedView | PastView) else None
    for snapshot in history(snapshots, head):
        entry = snapshots.entry(snapshot.root, module)
        if entry is None or trie.find(entry["releases"], release.name, snapshots.node) != release_id(release):
            if first is not None:
                break
            continue
        first = snapshot
    return Catalog(catalog.path, PastView(snapshots, first)) if first is not None else None
