"""SPDX 2.3: what a release consists of and was made from, as a bill of materials (https://spdx.github.io/spdx-spec).

A package for each item and each ware that went in; how they were made from each other as relationships. The time is
that of the newest run record, or the one that every ware has, so that the same facts give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from .atoms import CatalogRef, WareId
from .attestation import Build, Facts, statement
from .catalog import Release
from .ident import cbor
from .slsa import moment

PREDICATE: Final = "https://spdx.dev/Document/v2.3"
NOBODY_SAYS: Final = "NOASSERTION"
LICENSE: Final = "license"  # in a release's metadata: an SPDX licence expression
PURL: Final = "purl"  # in a release's metadata: a package URL (https://github.com/package-url/purl-spec)
_FIXED: Final = 1262304000  # the time of every file that is packed
_TERM: Final = r"\(*[A-Za-z0-9.:-]{1,80}\+?\)*"
_EXPRESSION: Final = re.compile(rf"{_TERM}(?: (?:AND|OR|WITH) {_TERM}){{0,40}}")
_DOCUMENT: Final = "SPDXRef-DOCUMENT"


def bill(facts: Facts) -> dict[str, Any]:
    """The document."""
    ids = _ids(facts)
    releases = _releases(facts)
    packages = [
        _package(facts, ids, releases, ware, facts.own.ref(item), facts.own.release)
        for item, ware in _items(facts).items()
    ]
    packages += [
        _package(facts, ids, releases, ware, takers[0][1].removeprefix("catalog:"), None)
        for ware, takers in facts.materials().items()
        if ware not in facts.items.values()
    ]
    body: dict[str, Any] = {
        "packages": packages,
        "relationships": [*_relationships(facts, ids)],
    }
    last = facts.last_run()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": facts.own.name,
        "documentNamespace": f"urn:warpforge:spdx:{facts.own.id}:{sha256(cbor(body)).hexdigest()}",
        "creationInfo": {
            "created": moment(_FIXED if last is None else last),
            "creators": [f"Tool: warpforge-{facts.engine}"],
        },
        **body,
    }


def bill_statement(facts: Facts) -> dict[str, Any]:
    """The document as something said of the items, which is what can be signed."""
    return statement(facts, PREDICATE, bill(facts))


def _items(facts: Facts) -> dict[str, WareId]:
    """Each ware once, under its first name."""
    found: dict[WareId, str] = {}
    for item, ware in facts.items.items():
        found.setdefault(ware, item)
    return {item: ware for ware, item in found.items()}


def _ids(facts: Facts) -> dict[WareId, str]:
    wares = dict.fromkeys([*facts.items.values(), *facts.materials()])
    return {ware: f"SPDXRef-{ware.packtype}-{ware.hash}".replace("_", "-") for ware in wares}


def _releases(facts: Facts) -> dict[WareId, Build]:
    """By whom each ware was released, of the releases on the way."""
    found: dict[WareId, Build] = {}
    for build in facts.builds:
        for ware in build.release.items.values():
            found.setdefault(ware, build)
    return found


def _package(
    facts: Facts,
    ids: dict[WareId, str],
    releases: dict[WareId, Build],
    ware: WareId,
    name: str,
    release: Release | None,
) -> dict[str, Any]:
    build = releases.get(ware)
    release = release or (build.release if build else None)
    metadata = release.metadata if release else {}
    package: dict[str, Any] = {
        "SPDXID": ids[ware],
        "name": name,
        "downloadLocation": NOBODY_SAYS,
        "filesAnalyzed": False,
        "licenseConcluded": NOBODY_SAYS,
        "licenseDeclared": _license(metadata.get(LICENSE, "")),
        "copyrightText": NOBODY_SAYS,
        "externalRefs": [{"referenceCategory": "OTHER", "referenceType": "wareid", "referenceLocator": str(ware)}],
    }
    if name.count(":") == 2 and not name.startswith("ware:"):
        package["versionInfo"] = CatalogRef.parse(name).release
    if purl := metadata.get(PURL):
        package["externalRefs"].append(
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
        )
    sums = {facts.packed[item] for item, one in facts.items.items() if one == ware and item in facts.packed}
    if sums:
        package["checksums"] = [{"algorithm": "SHA256", "checksumValue": sum_} for sum_ in sorted(sums)]
    if said := [*_rebuilt(facts, ware)]:
        package["annotations"] = said
    return package


def _rebuilt(facts: Facts, ware: WareId) -> Iterator[dict[str, str]]:
    for one in facts.rebuilt:
        if facts.items.get(one.item) == ware:
            yield {
                "annotationDate": moment(one.verdict.time),
                "annotationType": "REVIEW",
                "annotator": f"Organization: {one.who}",
                "comment": f"{facts.own.ref(one.item)} was built again: {one.verdict.verdict}",
            }


def _license(said: str) -> str:
    return said if _EXPRESSION.fullmatch(said) and said.count("(") == said.count(")") else NOBODY_SAYS


def _relationships(facts: Facts, ids: dict[WareId, str]) -> Iterator[dict[str, str]]:
    for ware in dict.fromkeys(facts.items.values()):
        yield _relationship(_DOCUMENT, "DESCRIBES", ids[ware])
    for build in facts.builds:
        made = [ware for ware in dict.fromkeys(build.release.items.values()) if ware in ids]
        for taken in dict.fromkeys(ware for _, ware in build.takes):
            yield from (_relationship(ids[taken], "BUILD_DEPENDENCY_OF", ids[ware]) for ware in made)


def _relationship(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
