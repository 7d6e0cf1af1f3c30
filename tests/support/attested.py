"""Strict readers of what attestations are, written from their specifications and from nothing of the product.

in-toto Statement and ResourceDescriptor v1, SLSA provenance v1, DSSE v1, SPDX 2.3 as JSON. Each raises AssertionError.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_DESCRIPTOR = {"name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations"}
_HEX = {"sha256": 64, "sha384": 96, "gitCommit": 40}
_RELATIONSHIPS = {"DESCRIBES", "BUILD_DEPENDENCY_OF"}
_SPDX_ID = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
_LICENSE = re.compile(r"[A-Za-z0-9.+-]+( (OR|AND|WITH) [A-Za-z0-9.+-]+)*|NONE|NOASSERTION")


def open_envelope(path: Path, public_pem: Path) -> tuple[str, Any]:
    """The payload's type and value, when the first signature is that of the key."""
    envelope = json.loads(path.read_bytes())
    assert envelope.keys() == {"payload", "payloadType", "signatures"}
    payload = base64.b64decode(envelope["payload"], validate=True)
    kind = envelope["payloadType"].encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key = load_pem_public_key(public_pem.read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"], validate=True), signed)
    return envelope["payloadType"], json.loads(payload)


def read_statement(value: Any) -> None:
    assert value.keys() == {"_type", "subject", "predicateType", "predicate"}
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["subject"] and _URI.fullmatch(value["predicateType"])
    for subject in value["subject"]:
        _descriptor(subject)
        assert subject["digest"], "a subject is matched by its digest"
    if value["predicateType"] == "https://slsa.dev/provenance/v1":
        _provenance(value["predicate"])
    else:
        assert value["predicateType"] == "https://spdx.dev/Document/v2.3"
        read_spdx(value["predicate"])


def _descriptor(value: Any) -> None:
    assert value.keys() <= _DESCRIPTOR
    assert value.keys() & {"uri", "digest", "content"}, "one of these must be there"
    for algorithm, digest in value.get("digest", {}).items():
        assert re.fullmatch("[0-9a-f]+", digest)
        assert len(digest) == _HEX.get(algorithm, len(digest))
    if "uri" in value:
        assert _URI.fullmatch(value["uri"])
    if "content" in value:
        base64.b64decode(value["content"], validate=True)


def _provenance(value: Any) -> None:
    assert value.keys() == {"buildDefinition", "runDetails"}
    definition, details = value["buildDefinition"], value["runDetails"]
    assert definition.keys() <= {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert _URI.fullmatch(definition["buildType"]) and isinstance(definition["externalParameters"], dict)
    assert isinstance(definition.get("internalParameters", {}), dict)
    for dependency in definition.get("resolvedDependencies", []):
        _descriptor(dependency)
    assert details.keys() <= {"builder", "metadata", "byproducts"}
    builder = details["builder"]
    assert builder.keys() <= {"id", "builderDependencies", "version"} and _URI.fullmatch(builder["id"])
    assert all(isinstance(text, str) for text in builder.get("version", {}).values())
    metadata = details.get("metadata", {})
    assert metadata.keys() <= {"invocationId", "startedOn", "finishedOn"}
    for name in metadata.keys() & {"startedOn", "finishedOn"}:
        _moment(metadata[name])
    for byproduct in details.get("byproducts", []):
        _descriptor(byproduct)


def _moment(text: str) -> None:
    assert text.endswith("Z") and datetime.fromisoformat(text)


def read_spdx(value: Any) -> None:
    assert value["spdxVersion"] == "SPDX-2.3" and value["dataLicense"] == "CC0-1.0"
    assert value["SPDXID"] == "SPDXRef-DOCUMENT" and value["name"]
    assert _URI.fullmatch(value["documentNamespace"]) and "#" not in value["documentNamespace"]
    _moment(value["creationInfo"]["created"])
    assert all(re.match(r"(Tool|Person|Organization): ", who) for who in value["creationInfo"]["creators"])
    ids = [package["SPDXID"] for package in value["packages"]]
    assert len(ids) == len({*ids}) and all(map(_SPDX_ID.fullmatch, ids))
    for package in value["packages"]:
        _package(package)
    for one in value["relationships"]:
        assert one.keys() == {"spdxElementId", "relationshipType", "relatedSpdxElement"}
        assert one["relationshipType"] in _RELATIONSHIPS
        assert {one["spdxElementId"], one["relatedSpdxElement"]} <= {*ids, "SPDXRef-DOCUMENT"}
    assert any(one["relationshipType"] == "DESCRIBES" for one in value["relationships"])


def _package(value: Any) -> None:
    assert value["name"] and value["filesAnalyzed"] is False
    assert value["downloadLocation"] in ("NONE", "NOASSERTION") or _URI.fullmatch(value["downloadLocation"])
    for name in ("licenseConcluded", "licenseDeclared"):
        assert _LICENSE.fullmatch(value[name])
    for ref in value.get("externalRefs", []):
        assert ref.keys() == {"referenceCategory", "referenceType", "referenceLocator"}
        assert ref["referenceCategory"] in ("SECURITY", "PACKAGE-MANAGER", "PERSISTENT-ID", "OTHER")
        assert " " not in ref["referenceType"] + ref["referenceLocator"]
    for note in value.get("annotations", []):
        assert note.keys() == {"annotationDate", "annotationType", "annotator", "comment"}
        assert note["annotationType"] in ("REVIEW", "OTHER") and note["comment"]
        assert re.match(r"(Tool|Person|Organization): \S", note["annotator"])
        _moment(note["annotationDate"])
    for sum_ in value.get("checksums", []):
        assert sum_["algorithm"] == "SHA256" and re.fullmatch("[0-9a-f]{64}", sum_["checksumValue"])
