"""SLSA provenance, version 1: a release as what its replay was asked to make (https://slsa.dev/spec/v1.0/provenance).

buildType             ``urn:warpforge:replay:v1``: the external parameters hold the release and its replay whole, so
                      that whoever reads them can build it again, and compute both ids
resolvedDependencies  every ware that went in, by way of other releases too, and the documents that say how
internalParameters    of every release on the way: its replay, the formula of each step, what it takes
byproducts            the run records of those formulas, as the memo holds them; what rebuilders say of the items
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from time import gmtime, strftime
from typing import Any, Final

from .attestation import DAG_CBOR, Build, Facts, digest_of, digest_of_document, replay_id, statement
from .layout import layout
from .serial import dump

PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:warpforge:replay:v1"
BUILDER: Final = "urn:warpforge:engine"


def provenance(facts: Facts) -> dict[str, Any]:
    """The statement. Of a release without a replay it says no more than that it was taken in as it is."""
    return statement(facts, PREDICATE, {"buildDefinition": _definition(facts), "runDetails": _details(facts)})


def _definition(facts: Facts) -> dict[str, Any]:
    own = facts.own
    external = {"module": own.module, "releaseId": own.id, "release": own.release.to_serial()}
    if own.plot is not None:
        external |= {"replayId": replay_id(own), "replay": {"plot.v1": own.plot.to_serial()}}
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": external,
        "internalParameters": {"builds": [_build(build) for build in facts.builds if build.plot]},
        "resolvedDependencies": [*_wares(facts), *_documents(facts)],
    }


def _build(build: Build) -> dict[str, Any]:
    return {
        "release": build.name,
        "releaseId": build.id,
        "replayId": replay_id(build),
        "steps": [{"step": one.step, "formulaId": one.formula} for one in build.steps],
        "takes": [{"said": said, "wareId": str(ware)} for said, ware in build.takes],
    }


def _wares(facts: Facts) -> Iterator[dict[str, Any]]:
    for ware, takers in facts.materials().items():
        said = takers[0][1]
        taken = dict.fromkeys(build.name for build, _ in takers)
        yield {
            "name": said,
            "uri": f"ware:{ware}",
            "digest": digest_of(ware),
            "annotations": {"takenBy": [*taken]},
        }


def _documents(facts: Facts) -> Iterator[dict[str, Any]]:
    for build in facts.builds:
        if build is not facts.own:
            yield _document(f"release {build.name}", build.id)
        if build.plot is not None:
            yield _document(f"replay of {build.name}", replay_id(build))


def _document(name: str, cid: str) -> dict[str, Any]:
    return {
        "name": name,
        "digest": digest_of_document(cid),
        "mediaType": DAG_CBOR,
        "annotations": {"cid": cid},
    }


def _details(facts: Facts) -> dict[str, Any]:
    details: dict[str, Any] = {"builder": {"id": BUILDER, "version": {"warpforge": facts.engine}}}
    last = facts.last_run()
    if last is not None:
        guid = next(step.record.guid for step in facts.own.steps if step.record and step.record.time == last)
        details["metadata"] = {"invocationId": guid, "finishedOn": moment(last)}
    if byproducts := [*_records(facts), *_rebuilt(facts)]:
        details["byproducts"] = byproducts
    return details


def _records(facts: Facts) -> Iterator[dict[str, Any]]:
    told = set()
    for build in facts.builds:
        for step in build.steps:
            if step.record is not None and step.formula not in told:
                told.add(step.formula)
                yield {
                    "name": f"run record of {step.step} of {build.name}",
                    "mediaType": "application/json",
                    "content": b64encode(dump(step.record)).decode(),
                    "annotations": {"formulaId": step.formula},
                }


def _rebuilt(facts: Facts) -> Iterator[dict[str, Any]]:
    for one in facts.rebuilt:
        yield {
            "name": f"verdict of {one.who} on {facts.own.ref(one.item)}",
            "mediaType": "application/json",
            "content": b64encode(layout(one.verdict.to_serial())).decode(),
            "annotations": {"rebuilder": one.who, "verdict": one.verdict.verdict, "signedBy": [*one.keys]},
        }


def moment(seconds: int) -> str:
    """RFC 3339, in universal time."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(seconds))
