"""Attestations: how a release came to be, told in forms that other tools read.

build       one release on the way: its document, its replay, what ran of it, and what it takes
material    a ware that went into a release, by its replay or by that of another that it takes
facts       the builds of a release, its own first, with all materials: what every form is made of
statement   an in-toto Statement v1 (https://github.com/in-toto/attestation/tree/main/spec/v1): subjects, and what is
            said of them. The same facts give the same bytes.

A WareId is told as a resource with ``uri`` (``ware:`` and the id) and ``digest``. What is hashed is a tree, so the
algorithms have names of our own; a commit and an image have those that in-toto has for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from base58 import b58decode

from warpforge.errors import Invalid

from .atoms import CatalogRef, WareId
from .catalog import Release
from .ident import plot_id, release_id
from .plot import Plot
from .run import RunRecord
from .verdict import ItemVerdict

STATEMENT: Final = "https://in-toto.io/Statement/v1"
MEDIA_TYPE: Final = "application/vnd.in-toto+json"  # of a statement in an envelope
DAG_CBOR: Final = "application/vnd.ipld.dag-cbor"
_TREES: Final = {"tar": "warpforgeTar", "zip": "warpforgeZip", "ztar": "warpforgeZtar"}
_CID_HEAD: Final = 4  # bytes before the SHA-384 in a document's id


class StepRun(NamedTuple):
    """A step of a replay. ``formula``: its id, empty while it is not known; ``record``: what a run of it gave here."""

    step: str
    formula: str
    record: RunRecord | None = None


class Taken(NamedTuple):
    """What a replay takes: a ware, and what the plot calls it (``catalog:...`` or ``ware:...``)."""

    said: str
    ware: WareId


class Rebuilt(NamedTuple):
    """What a rebuilder, who is named by whoever asks, says of an item. ``keys``: the ids of those that signed it."""

    item: str
    who: str
    verdict: ItemVerdict
    keys: tuple[str, ...]


class Build(NamedTuple):
    """One release. Without a replay there is no plot, and nothing that it takes."""

    module: str
    release: Release
    plot: Plot | None = None
    steps: tuple[StepRun, ...] = ()
    takes: tuple[Taken, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.module}:{self.release.name}"

    @property
    def id(self) -> str:
        return release_id(self.release)

    def ref(self, item: str) -> str:
        return str(CatalogRef(self.module, self.release.name, item))


class Facts(NamedTuple):
    """``builds``: the release's own first. ``items``: those of it that are meant. ``engine``: what tells all this.

    ``packed``: the SHA-256 of items as plain tars, where that was asked for. ``rebuilt``: the last word of each
    rebuilder on each of these items.
    """

    builds: tuple[Build, ...]
    items: Mapping[str, WareId]
    engine: str
    packed: Mapping[str, str] = {}
    rebuilt: tuple[Rebuilt, ...] = ()

    @property
    def own(self) -> Build:
        return self.builds[0]

    def materials(self) -> dict[WareId, list[tuple[Build, str]]]:
        """Every ware that went in, and who takes it under which name; in the order of the builds."""
        found: dict[WareId, list[tuple[Build, str]]] = {}
        for build in self.builds:
            for said, ware in build.takes:
                found.setdefault(ware, []).append((build, said))
        return found

    def last_run(self) -> int | None:
        """When the newest run record of the release's own steps was made, in seconds since 1970."""
        return max((step.record.time for step in self.own.steps if step.record), default=None)


def digest_of(ware: WareId) -> dict[str, str]:
    """A WareId as a digest set. Errors: ``wareid-invalid`` for a hash that is none."""
    if ware.packtype == "git":
        return {"gitCommit": ware.hash}
    if ware.packtype == "oci":
        return {"sha256": ware.hash}
    name = _TREES.get(ware.packtype, f"warpforge-{ware.packtype}")
    try:
        return {name: b58decode(ware.hash).hex()}
    except ValueError as error:
        raise Invalid("wareid-invalid", f"{ware}: its hash is not base58", wareId=ware) from error


def digest_of_document(cid: str) -> dict[str, str]:
    """The id of a release or a plot as a digest set: the SHA-384 of its canonical dag-cbor."""
    return {"sha384": b58decode(cid[1:])[_CID_HEAD:].hex()}


def statement(facts: Facts, predicate_type: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """Something said of the items of a release."""
    return {
        "_type": STATEMENT,
        "subject": [*_subjects(facts)],
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def _subjects(facts: Facts) -> Iterator[dict[str, Any]]:
    for item, ware in facts.items.items():
        digests = dict(digest_of(ware))
        if item in facts.packed:
            digests["sha256"] = facts.packed[item]
        yield {"name": facts.own.ref(item), "uri": f"ware:{ware}", "digest": digests}


def replay_id(build: Build) -> str:
    """The id of a build's replay, empty when it has none."""
    return plot_id(build.plot) if build.plot else ""
