"""Verdicts that outlive the command: every replay leaves its own in the workspace, and in the catalog when told to.

A workspace's are what this machine saw; a catalog's travel with its repository, so that whoever reads it elsewhere can
show them. A catalog is not written unasked: it may be somebody else's repository.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge import __version__
from warpforge.catalog.verdicts import Found, find_verdicts, keep_verdicts
from warpforge.model.ident import release_id
from warpforge.model.verdict import NO_REPLAY, ItemVerdict, ReleaseVerdicts

if TYPE_CHECKING:
    from warpforge.catalog.tree import Catalog
    from warpforge.engine.replay import Verdict
    from warpforge.model.catalog import Release

ENGINE: Final = f"warpforge {__version__}"
PLACE: Final = "verdicts"  # below a workspace's own directory


def document(module: str, release: Release, verdicts: Iterable[Verdict]) -> ReleaseVerdicts | None:
    """The verdicts of one release as they are kept; None when it has no replay."""
    found = {
        one.ref.item: ItemVerdict(one.verdict, one.published, int(time.time()), ENGINE, one.made, one.why, one.code)
        for one in verdicts
        if one.verdict != NO_REPLAY
    }
    if not found or release.replay is None:
        return None
    return ReleaseVerdicts(module, release.name, release_id(release), release.replay, found)


def keep_here(internal: Path, verdicts: ReleaseVerdicts) -> None:
    """In the workspace. Errors: ``store``."""
    from warpforge.catalog.edit import locked

    with locked(internal / "locks" / PLACE, "cannot keep verdicts"):
        keep_verdicts(internal / PLACE, verdicts)


def publish(catalog: Catalog, verdicts: ReleaseVerdicts) -> Path:
    """In the catalog. Errors: ``store``."""
    from warpforge.catalog.edit import writing

    with writing(catalog):
        return keep_verdicts(catalog.path, verdicts)


def known(internals: Sequence[Path], catalog: Catalog, module: str, release: Release) -> Iterator[Found]:
    """What is kept of a release in its present form: the workspaces' first, then the catalog's."""
    wanted = release_id(release)
    for top in (*(internal / PLACE for internal in internals), catalog.path):
        yield from (one for one in find_verdicts(top, module, release.name) if one.verdicts.release_id == wanted)
