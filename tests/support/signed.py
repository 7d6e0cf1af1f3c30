"""A signed catalog in a root workspace, and a client that looks things up in it.

``python -m support.signed ROOT`` looks one reference up; ``... ROOT KEYFILE`` signs the catalog as it stands.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

from warpforge.catalog.edit import add_item, edit, init_catalog
from warpforge.catalog.envelope import Envelope, dump_envelope
from warpforge.catalog.keys import PrivateKey
from warpforge.catalog.lookup import Pin
from warpforge.catalog.sign import Signed, Terms, sign
from warpforge.catalog.snapshot import HEAD, PAYLOAD_TYPE, Snapshot, Snapshots
from warpforge.catalog.tree import Catalog
from warpforge.catalog.trust import Trust, save_trusts
from warpforge.engine.catalogs import open_lookup
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.catalog import Release
from warpforge.model.serial import load_plot
from warpforge.workspace.find import find_stack

ALICE, BOB, MALLORY = (PrivateKey.generate() for _ in range(3))
ONE: Final = WareId.parse("ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
TWO: Final = WareId.parse("ztar:4a1iyt8BLEexv2uRHizQPZeNY5B3iKRHZ6Z3ub2mSDhF")
X: Final = CatalogRef.parse("a.org/x:v1:item")
Y: Final = CatalogRef.parse("a.org/y:v1:item")
PLOT: Final = load_plot(b'{"plot.v1": {"inputs": {}, "steps": {}, "outputs": {}}}', "plot").noun


class Site:
    """A root workspace with the catalog ``test``: modules x and y, signed by Alice, who is trusted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.internal = root / ".warpforge"
        self.catalog = Catalog(self.internal / "catalogs" / "test")
        self.snapshots = self.catalog.path / "_snapshots"

    @classmethod
    def make(cls, root: Path) -> Site:
        site = cls(root)
        site.internal.mkdir(parents=True)
        (site.internal / "root").touch()
        init_catalog(site.internal / "catalogs", "test")
        with edit(site.catalog, "a.org/x") as changed:
            changed.put_release(Release("v1", {"item": ONE}, {"replay": changed.put_replay(PLOT)}))
            changed.add_mirror(WarehouseAddr.parse("ca+file:///nowhere"), ware=ONE)
        add_item(site.catalog, Y, ONE)
        site.sign()
        site.trust(Trust((str(ALICE.public),)))
        return site

    def sign(self, *keys: PrivateKey, **how: Any) -> Signed:
        return sign(self.catalog, keys or (ALICE,), Terms(**how))

    def trust(self, trust: Trust) -> None:
        save_trusts(self.internal / "config" / "trust.json", {"test": trust})

    def publish(self, release: str, ware: WareId = ONE, module: str = "a.org/x", **how: Any) -> None:
        """A new release, in a new snapshot."""
        add_item(self.catalog, CatalogRef(module, release, "item"), ware, force=True)
        self.sign(**how)

    def pin(self, ref: CatalogRef = X, **how: Any) -> Pin:
        """What a new command finds, in whose ``said`` is what it hears."""
        self.said: list[str] = []
        return open_lookup(find_stack(self.root, None), self.said.append, **how).pin([ref])[ref]

    def forge(self, key: PrivateKey = ALICE, **fields: Any) -> Snapshot:
        """A head with anything in it, after the newest snapshot."""
        known = Snapshots(self.catalog.path).logged(max(int(p.stem) for p in (self.snapshots / "log").iterdir()))
        values = {"catalog": "test", "version": known.version + 1, "time": known.time, "root": known.root}
        snapshot = Snapshot(**{**values, "previous": known.id, **fields})
        self.put(Envelope(PAYLOAD_TYPE, snapshot.payload()).signed(key))
        return snapshot

    def put(self, envelope: Envelope) -> None:
        self.head.write_bytes(dump_envelope(envelope))

    @property
    def head(self) -> Path:
        return self.snapshots / HEAD

    def file(self, pattern: str) -> Path:
        """The only file of the catalog that looks so."""
        (found,) = self.catalog.path.glob(pattern)
        return found


def command(site: Site, *key: Path) -> list[str]:
    """A client, or a publisher, as a process of its own."""
    return [sys.executable, "-m", "support.signed", os.fspath(site.root), *map(os.fspath, key)]


if __name__ == "__main__":
    from warpforge.catalog.keys import load_private

    if sys.argv[2:]:
        Site(Path(sys.argv[1])).sign(load_private(sys.argv[2]))
    else:
        Site(Path(sys.argv[1])).pin()
