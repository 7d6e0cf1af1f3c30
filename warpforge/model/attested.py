"""Reading attestations: a statement is only believed as far as it can be computed again from what it says itself.

Of SLSA provenance: the ids of the release and of its replay, and that the subjects are items of that release. Of a bill
of materials: that the subjects are what it describes. Errors: ``attestation-invalid``, with one of these reasons:
``form``, ``type``, ``subject``, ``hash``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from warpforge.errors import Invalid, WarpforgeError

from . import slsa, spdx
from .atoms import CatalogRef, WareId
from .attestation import STATEMENT, digest_of
from .catalog import Release
from .ident import plot_id, release_id
from .jsontext import read_careful
from .serial import load_release, load_replay


class Attested(NamedTuple):
    """What a statement says. ``release_id`` is empty where it tells no release; ``packed``: SHA-256 of plain tars."""

    predicate: str
    subjects: Mapping[CatalogRef, WareId]
    packed: Mapping[CatalogRef, str]
    release_id: str


def read_attested(data: bytes, name: str) -> Attested:
    """Read a statement. ``name`` is said in messages. Errors: ``attestation-invalid``, ``serialization``."""
    value, slips = read_careful(data, name)
    if slips:
        raise _refuse(f"{name} is not JSON: {slips[0]}", "form")
    try:
        if value.keys() != {"_type", "subject", "predicateType", "predicate"} or value["_type"] != STATEMENT:
            raise _refuse(f"{name} is no in-toto statement v1", "form")
        return _read(value, name)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, WarpforgeError) and error.code.endswith("attestation-invalid"):
            raise
        raise _refuse(f"{name} is no attestation of a release: {error}", "form") from error


def _read(value: Mapping[str, Any], name: str) -> Attested:
    subjects: dict[CatalogRef, WareId] = {}
    packed: dict[CatalogRef, str] = {}
    for one in value["subject"]:
        ref, ware = CatalogRef.parse(one["name"]), WareId.parse(one["uri"].removeprefix("ware:"))
        digests = one["digest"]
        if any(digests.get(kind) != digest for kind, digest in digest_of(ware).items()):
            raise _refuse(f"{name}: the digest of {ref} is not that of {ware}", "subject")
        subjects[ref] = ware
        if ware.packtype != "oci" and "sha256" in digests:
            packed[ref] = digests["sha256"]
    if not subjects:
        raise _refuse(f"{name} is about nothing", "subject")
    kind, predicate = value["predicateType"], value["predicate"]
    if kind == slsa.PREDICATE:
        return Attested(kind, subjects, packed, _check_provenance(subjects, predicate, name))
    if kind == spdx.PREDICATE:
        _check_bill(subjects, predicate, name)
        return Attested(kind, subjects, packed, "")
    raise _refuse(f"{name} says something of the type {kind!r}, which is not known here", "type")


def _check_provenance(subjects: Mapping[CatalogRef, WareId], predicate: Mapping[str, Any], name: str) -> str:
    definition = predicate["buildDefinition"]
    if definition["buildType"] != slsa.BUILD_TYPE:
        raise _refuse(
            f"{name} tells of a build of the type {definition['buildType']!r}, which is not known here", "type"
        )
    said = definition["externalParameters"]
    release = load_release(json.dumps(said["release"]).encode(), name).noun
    if release_id(release) != said["releaseId"]:
        raise _refuse(f"{name}: the release is {release_id(release)}, not {said['releaseId']}", "hash")
    if release.replay != said.get("replayId"):
        raise _refuse(f"{name}: the release names the replay {release.replay}, not {said.get('replayId')}", "hash")
    if release.replay is not None:
        found = plot_id(load_replay(json.dumps(said["replay"]).encode(), name).noun)
        if found != release.replay:
            raise _refuse(f"{name}: the replay is {found}, not {release.replay}", "hash")
    for ref, ware in subjects.items():
        _check_item(ref, ware, said["module"], release, name)
    return release_id(release)


def _check_item(ref: CatalogRef, ware: WareId, module: str, release: Release, name: str) -> None:
    if (ref.module, ref.release) != (module, release.name) or release.items.get(ref.item) != ware:
        raise _refuse(f"{name}: {ref} is not {ware} in the release that it tells of", "subject")


def _check_bill(subjects: Mapping[CatalogRef, WareId], document: Mapping[str, Any], name: str) -> None:
    if document["spdxVersion"] != "SPDX-2.3":
        raise _refuse(f"{name} holds {document['spdxVersion']!r}: SPDX-2.3 is wanted", "type")
    described = {
        one["relatedSpdxElement"] for one in document["relationships"] if one["relationshipType"] == "DESCRIBES"
    }
    wares = {
        ref["referenceLocator"]
        for package in document["packages"]
        for ref in package["externalRefs"]
        if package["SPDXID"] in described and ref["referenceType"] == "wareid"
    }
    if wares != {*map(str, subjects.values())}:
        raise _refuse(f"{name}: its subjects are not what the bill describes", "subject")


def _refuse(message: str, reason: str) -> Invalid:
    return Invalid("attestation-invalid", message, cause=None, reason=reason)
