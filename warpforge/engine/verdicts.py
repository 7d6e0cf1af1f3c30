"""Verdicts that outlive the command: every replay leaves its own in the workspace, and in the catalog when told to.

A workspace's are what this machine saw; a catalog's travel with its repository, so that whoever reads it elsewhere can
show them. A catalog is not written unasked: it may be somebody else's repository.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge import __version__
from warpforge.catalog.verdicts import PAYLOAD, Found, find_verdicts, keep_signed, keep_verdicts
from warpforge.model.ident import release_id
from warpforge.model.verdict import NO_REPLAY, ItemVerdict, ReleaseVerdicts

if TYPE_CHECKING:
    from warpforge.catalog.envelope import Envelope
    from warpforge.catalog.keys import PrivateKey
    from warpforge.catalog.tree import Catalog
    from warpforge.catalog.words import Judges, Word
    from warpforge.engine.replay import Verdict
    from warpforge.model.catalog import Release
    from warpforge.workspace.find import Stack

ENGINE: Final = f"warpforge {__version__}"
PLACE: Final = "verdicts"  # below a workspace's own directory


def document(module: str, release: Release, verdicts: Iterable[Verdict]) -> ReleaseVerdicts | None:
    """The verdicts of one release as they are kept; None when it has no replay."""
    found = {
        one.ref.item: ItemVerdict(
            one.verdict, one.published, int(time.time()), ENGINE, one.made, one.why, one.code, machine()
        )
        for one in verdicts
        if one.verdict != NO_REPLAY
    }
    if not found or release.replay is None:
        return None
    return ReleaseVerdicts(module, release.name, release_id(release), release.replay, found)


def machine() -> str:
    """What this machine is, as far as it may matter to what is built; no name of it."""
    system = os.uname()
    return f"{system.machine}, {system.sysname} {system.release}, {os.cpu_count() or 1} cores"


def signed(verdicts: ReleaseVerdicts, keys: Iterable[PrivateKey]) -> Envelope:
    """In an envelope. Only what was just seen is to be signed, not what is kept beside it."""
    from warpforge.catalog.envelope import Envelope
    from warpforge.model.serial import dump

    envelope = Envelope(PAYLOAD, dump(verdicts))
    for key in keys:
        envelope = envelope.signed(key)
    return envelope


def keep_here(internal: Path, verdicts: ReleaseVerdicts, envelope: Envelope | None = None) -> Path:
    """In the workspace, signed too if it is; gives the last file written. Errors: ``store``."""
    from warpforge.catalog.edit import locked

    with locked(internal / "locks" / PLACE, "cannot keep verdicts"):
        return _keep(internal / PLACE, verdicts, envelope, sync=envelope is not None)


def publish(catalog: Catalog, verdicts: ReleaseVerdicts, envelope: Envelope | None = None) -> Path:
    """In the catalog. Errors: ``store``."""
    from warpforge.catalog.edit import writing

    with writing(catalog):
        return _keep(catalog.path, verdicts, envelope, sync=True)


def _keep(top: Path, verdicts: ReleaseVerdicts, envelope: Envelope | None, *, sync: bool) -> Path:
    path = keep_verdicts(top, verdicts, sync=sync)
    return keep_signed(top, verdicts, envelope) if envelope else path


def words_on(stack: Stack, judges: Judges, catalog: Catalog, module: str, release: Release) -> dict[str, list[Word]]:
    """What is said of each item of a release in its present form, in the catalog and in workspaces, newest first."""
    from warpforge.catalog.words import read_words

    places = [catalog.path, *(workspace.internal / PLACE for workspace in stack)]
    return read_words(places, judges, module, release, release_id(release))


def known(internals: Sequence[Path], catalog: Catalog, module: str, release: Release) -> Iterator[Found]:
    """What is kept of a release in its present form: the workspaces' first, then the catalog's."""
    wanted = release_id(release)
    for top in (*(internal / PLACE for internal in internals), catalog.path):
        yield from (one for one in find_verdicts(top, module, release.name) if one.verdicts.release_id == wanted)
