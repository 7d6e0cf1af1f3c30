"""Snapshots: one id over a whole catalog at one time, signed; each names the one before it.

A catalog keeps them below ``_snapshots``:

``head.json``           the newest, in a DSSE envelope
``log/VERSION.json``    every one, each in its envelope
``nodes/XY/ID.json``    the nodes of their tries, by id; XY are its last two characters in lower case
``kept/ID.json``        releases that were replaced after they had been in a snapshot

The tree. The **root** is the id of a trie (``trie``) from each module's name to the id of its *entry*. An entry is
``{"name", "metadata", "mirrors", "releases"}``: the metadata of ``_module.json``, the document id of what
``_mirrors.json`` says (empty when it is not there), and the first node of a trie from each release's name to its
ReleaseId. The ReleaseId covers the release, so its items and the id of its replay. Nothing else in the catalog is
covered: not the form of files, not verdicts, not pages.

A snapshot is ``{"snapshot.v1": {"catalog", "version", "time", "expires"?, "root", "previous", "keys"?,
"threshold"?}}``: times in seconds since 1970, ``keys`` and ``threshold`` who must sign from now on, where that
changes; versions 1, 2, 3 without a gap, ``previous`` the id of the snapshot before, empty in the first. Its id is a
document id of what is in the capsule. The payload of the envelope is its canonical text. So the snapshots are a
chain: the signature of the newest covers all of them, and nobody who knows one can be shown another past of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from warpforge.errors import Invalid, WarpforgeError
from warpforge.model.catalog import CatalogModule, Mirrors
from warpforge.model.ident import document_id
from warpforge.model.plaintext import read_plain

from . import trie
from .capsule import read_capsule
from .envelope import Envelope, load_envelope
from .trie import Node

DIRECTORY: Final = "_snapshots"
HEAD: Final = "head.json"
LOG: Final = "log"
NODES: Final = "nodes"
KEPT: Final = "kept"
PAYLOAD_TYPE: Final = "application/vnd.warpforge.snapshot+json"
CAPSULE: Final = "snapshot.v1"
VERSIONS: Final = 2**53


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is signed."""

    catalog: str
    version: int
    time: int
    root: str
    previous: str
    expires: int | UnsetType = UNSET
    keys: tuple[str, ...] | UnsetType = UNSET
    threshold: int | UnsetType = UNSET

    @property
    def id(self) -> str:
        return document_id(self.to_serial())

    def to_serial(self) -> dict[str, Any]:
        serial: dict[str, Any] = {"catalog": self.catalog, "version": self.version, "time": self.time}
        if self.expires is not UNSET:
            serial["expires"] = self.expires
        serial |= {"root": self.root, "previous": self.previous}
        if self.keys is not UNSET:
            serial |= {"keys": [*self.keys], "threshold": self.threshold}
        return serial

    def payload(self) -> bytes:
        """The bytes that are signed."""
        from warpforge.model.layout import layout

        return layout({CAPSULE: self.to_serial()})


def load_snapshot(payload: bytes, name: str) -> Snapshot:
    """Errors: ``catalog-invalid`` (form), ``serialization``, ``datatoonew``."""
    snapshot = read_capsule(payload, name, CAPSULE, Snapshot)
    if (snapshot.keys is UNSET) != (snapshot.threshold is UNSET):
        raise Invalid("catalog-invalid", f"{name}: keys and threshold belong together", reason="form", path=name)
    if not (0 < snapshot.version < VERSIONS and abs(snapshot.time) < VERSIONS):
        raise Invalid(
            "catalog-invalid",
            f"{name}: there is no version {snapshot.version}: they are 1, 2, 3, ... below 2^53",
            reason="form",
            path=name,
        )
    return snapshot


def make_entry(module: CatalogModule, mirrors: Mirrors | None, put: Any) -> Node:
    """The entry of a module; ``put`` is given the nodes below it."""
    return {
        "name": module.name,
        "metadata": dict(module.metadata),
        "mirrors": mirrors_id(mirrors),
        "releases": trie.build(module.releases, put),
    }


def mirrors_id(mirrors: Mirrors | None) -> str:
    """What an entry says of ``_mirrors.json``."""
    return "" if mirrors is None else document_id(mirrors.to_serial())


class Snapshots:
    """Reading what a catalog keeps. Every node has the id by which it was asked for; nothing else is believed here."""

    def __init__(self, catalog: Path) -> None:
        self.path: Final = catalog / DIRECTORY
        self._nodes: dict[str, Node] = {}

    def head_data(self) -> bytes | None:
        """The file of the newest snapshot; None when there is none. Errors: ``io``, ``serialization`` (limit)."""
        return self._read(HEAD)

    def envelope(self, version: int) -> Envelope | None:
        """A snapshot of the log. Errors: ``signature-invalid`` (form), ``serialization``, ``io``."""
        name = f"{LOG}/{version}.json"
        data = self._read(name)
        return None if data is None else load_envelope(data, f"{self.path}/{name}")

    def logged(self, version: int) -> Snapshot:
        """What the log says of a version. Errors: ``catalog-invalid`` (log: it is not there); as ``envelope``."""
        envelope = self.envelope(version)
        if envelope is None:
            raise Invalid(
                "catalog-invalid",
                f"{self.path}: the log lacks snapshot {version}: it cannot be proved that nothing was rewritten",
                reason="log",
                path=self.path,
                version=version,
            )
        return load_snapshot(envelope.payload, f"{self.path}/{LOG}/{version}.json")

    def node(self, id_: str) -> Node:
        """A node. Errors: ``catalog-invalid`` (hash; missing), ``io``."""
        if id_ not in self._nodes:
            self._nodes[id_] = self._load(id_)
        return self._nodes[id_]

    def has_node(self, id_: str) -> bool:
        """Whether a node is kept."""
        return id_ in self._nodes or os.path.exists(self.path / node_file(id_))

    def entry(self, root: str, module: str) -> Node | None:
        """The entry of a module. Errors: as ``node``."""
        id_ = trie.find(self.node(root), module, self.node)
        return None if id_ is None else self.node(id_)

    def kept(self, release: str) -> bytes | None:
        """A release that was replaced, by its id; not verified."""
        return self._read(f"{KEPT}/{release}.json")

    def _load(self, id_: str) -> Node:
        if not id_.isalnum():
            raise Invalid("catalog-invalid", f"{self.path}: not an id: {id_[:100]!r}", reason="form", path=self.path)
        name = node_file(id_)
        data = self._read(name)
        if data is None:
            raise Invalid(
                "catalog-invalid", f"{self.path}: the node {id_} is not there", reason="hash", path=self.path / name
            )
        value = read_plain(data)
        try:
            found = document_id(value)
        except (WarpforgeError, RecursionError) as error:  # it has no canonical form
            raise _torn(self.path / name, id_, "nothing of ours", error) from error
        if found != id_:
            raise _torn(self.path / name, id_, found)
        assert isinstance(value, dict)
        return value

    def _read(self, name: str) -> bytes | None:
        from .tree import read_file

        return read_file(f"{self.path}/{name}")


def node_file(id_: str) -> str:
    """Where a node lies, below the snapshots."""
    return f"{NODES}/{id_[-2:].lower()}/{id_}.json"


def _torn(path: Path, wanted: str, found: str, cause: BaseException | None = None) -> Invalid:
    return Invalid(
        "catalog-invalid",
        f"{path}: its id is {found}, not {wanted}: it was changed; restore it from where it came",
        cause=cause,
        reason="hash",
        path=path,
        expected=wanted,
        actual=found,
    )
