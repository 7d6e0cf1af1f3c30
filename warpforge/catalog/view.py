"""Views: a catalog as a snapshot says it is.

``SignedView``: what is read must be what was signed. ``PastView``: what an older root names, out of what stands there
now and what was kept. Both say which id a release has; the reader verifies that it has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from warpforge.errors import Invalid, Missing
from warpforge.model.catalog import CatalogModule, Mirrors

from . import trie
from .believe import Believer
from .snapshot import HEAD, Snapshot, Snapshots, make_entry, mirrors_id
from .trie import Node


class View(Protocol):
    """What a reader of a catalog asks before it believes a file."""

    def release_id(self, module: str, release: str, named: str | None) -> str | None:
        """The id of a release; ``named``: what the module's file says. None when there is no such release."""

    def module(self, module: str, found: CatalogModule | None) -> CatalogModule | None:
        """A module; ``found``: what its file says."""

    def mirrors(self, module: str, found: Mirrors | None) -> Mirrors | None:
        """A module's mirrors; ``found``: what its file says."""

    def kept(self, release: str) -> bytes | None:
        """The file of a release that was replaced."""

    def refresh(self) -> bool:
        """Look whether there is a newer snapshot; whether there is."""


class SignedView:
    """The newest snapshot that may be believed; it is looked at when something is read first.

    ``staged``: where the catalog lies that is to take the place of the one that the believer is of.
    """

    def __init__(self, believer: Believer, staged: Path | None = None) -> None:
        self._believer = believer
        self._snapshots = Snapshots(staged or believer.catalog)
        self._believe = believer.check if staged else believer.believe
        self._snapshot: Snapshot | None = None
        self._identity: tuple[int, ...] = ()

    @property
    def snapshot(self) -> Snapshot:
        """Errors: as ``Believer.believe``."""
        if self._snapshot is None:
            self._identity = self._stat()
            self._snapshot = self._believe(self._snapshots)
        return self._snapshot

    def release_id(self, module: str, release: str, named: str | None) -> str | None:
        entry = self._entry(module)
        signed = trie.find(entry["releases"], release, self._snapshots.node) if entry else None
        if signed != named:
            raise self._differs(f"{module}:{release}", signed, named)
        return signed

    def module(self, module: str, found: CatalogModule | None) -> CatalogModule | None:
        entry = self._entry(module)
        if found is None and entry is None:
            return None
        if found is None or entry is None:
            raise self._differs(module, "it" if entry else None, "it" if found else None)
        made = make_entry(found, None, lambda id_, node: None)
        if made["releases"] != entry["releases"] or made["metadata"] != entry["metadata"]:
            signed = dict(trie.every(entry["releases"], self._snapshots.node))
            for name in sorted(signed.keys() | found.releases.keys()):
                if signed.get(name) != found.releases.get(name):
                    raise self._differs(f"{module}:{name}", signed.get(name), found.releases.get(name))
            raise self._differs(f"the metadata of {module}", "one", "another")
        return found

    def mirrors(self, module: str, found: Mirrors | None) -> Mirrors | None:
        entry = self._entry(module)
        signed = entry["mirrors"] if entry else ""
        if signed != mirrors_id(found):
            raise self._differs(f"the list of mirrors of {module}", signed or None, mirrors_id(found) or None)
        return found

    def kept(self, release: str) -> bytes | None:
        return None

    def refresh(self) -> bool:
        if self._stat() == self._identity:
            return False
        self._snapshot = None
        return True

    def _entry(self, module: str) -> Node | None:
        return self._snapshots.entry(self.snapshot.root, module)

    def _stat(self) -> tuple[int, ...]:
        try:
            status = os.stat(self._snapshots.path / HEAD)
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size

    def _differs(self, what: str, signed: str | None, found: str | None) -> Invalid:
        name, version = self._believer.catalog.name, self.snapshot.version
        if signed is None:
            reason, why = "unsigned", "is not in the signed snapshot: it was added later"
        elif found is None:
            reason, why = "hash", "is in the signed snapshot and not there: restore it"
        else:
            reason, why = "hash", "is not what was signed: it was changed"
        return Invalid(
            "catalog-invalid",
            f"catalog {name}: {what} {why}; who may sign this catalog does so with `catalog sign` "
            f"(the newest snapshot is version {version})",
            reason=reason,
            path=self._believer.catalog,
            catalogRef=what,
            expected=signed,
            actual=found,
        )


class PastView:
    """What a root names. Errors: ``catalog-missing-entry`` (kept) where a release of it is not there any more."""

    def __init__(self, snapshots: Snapshots, snapshot: Snapshot) -> None:
        self._snapshots = snapshots
        self.snapshot = snapshot
        self._root = snapshot.root

    def release_id(self, module: str, release: str, named: str | None) -> str | None:
        entry = self._snapshots.entry(self._root, module)
        return trie.find(entry["releases"], release, self._snapshots.node) if entry else None

    def module(self, module: str, found: CatalogModule | None) -> CatalogModule | None:
        entry = self._snapshots.entry(self._root, module)
        if entry is None:
            return None
        signed = dict(sorted(trie.every(entry["releases"], self._snapshots.node)))
        # a trie has no order: what is listed still keeps its place, so that later ones are later; the rest were before
        listed = {name: signed.pop(name) for name in (found.releases if found else ()) if name in signed}
        return CatalogModule(module, {**signed, **listed}, entry["metadata"])

    def modules(self) -> Iterator[str]:
        """The names of all modules, also of those that are gone, sorted. Errors: as ``Snapshots.node``."""
        yield from sorted(name for name, _ in trie.every(self._snapshots.node(self._root), self._snapshots.node))

    def mirrors(self, module: str, found: Mirrors | None) -> Mirrors | None:
        return found  # where wares may be had is no part of what they are

    def kept(self, release: str) -> bytes | None:
        data = self._snapshots.kept(release)
        if data is None:
            raise Missing(
                "catalog-missing-entry",
                f"{self._snapshots.path.parent} no longer has the release {release} that this snapshot names: it was "
                "replaced or removed, and not kept",
                reason="kept",
                path=self._snapshots.path.parent,
                expected=release,
            )
        return data

    def refresh(self) -> bool:
        return False
