"""Audit: what a document takes from outside of its hashes. Reasons of the findings:

    mount      a directory of the host            secret     a value of whoever runs it
    ingest     something of the host, made a ware  candidate  what another module gave the last time
    unpinned   an image by a tag, which may move   network    an action that reaches the world

Pure: a report and ``check --strict`` say the same. What an action did or did not read of its inputs is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .atoms import Candidate, Ingest, Mount, Secret
from .findings import ROOT, Finding, Place, pointer
from .formula import Action, Exec, FormulaFile, Script
from .plot import Plot, every_body, every_input

DIGEST: Final = "@sha256:"


def audit(noun: Any) -> Iterator[Finding]:
    """Every input and action of a formula or plot that is not hermetic, with its JSON pointer, in document order."""
    if isinstance(noun, FormulaFile):
        place = ((ROOT, "formula"), "formula.v1")
        for port, item in noun.formula.inputs.items():
            yield from _of_input(item.basis, ((place, "inputs"), str(port)))
        yield from _of_action(noun.formula.action, (place, "action"))
    elif isinstance(noun, Plot):
        place = (ROOT, "plot.v1")
        for at, entry in every_input(noun, place):
            yield from _of_input(entry.basis, at)
        for at, body, _ in every_body(noun, place):
            if not isinstance(body, Plot):
                yield from _of_action(body.action, (at, "action"))


def _of_input(basis: Any, place: Place) -> Iterator[Finding]:
    at = pointer(place)
    if isinstance(basis, Mount):
        yield Finding(at, f"{basis}: a directory of the host, whatever is in it", "mount")
    elif isinstance(basis, Ingest) and basis.kind == "oci" and DIGEST not in basis.path:
        yield Finding(at, f"{basis}: an image by a tag, which may move; name it by its digest, @sha256:...", "unpinned")
    elif isinstance(basis, Ingest) and basis.kind not in ("literal", "oci"):
        yield Finding(at, f"{basis}: something of the host; release it, and name the release", "ingest")
    elif isinstance(basis, Ingest) and basis.kind == "oci":
        yield Finding(at, f"{basis}: an image of the world; release it, and name the release", "ingest")
    elif isinstance(basis, Candidate):
        yield Finding(at, f"{basis}: what that module gave the last time here; name a release", "candidate")
    elif isinstance(basis, Secret):
        yield Finding(at, f"{basis}: a value of whoever runs it", "secret")


def _of_action(action: Action, place: Place) -> Iterator[Finding]:
    if isinstance(action, Exec | Script) and action.network is True:
        kind = "exec" if isinstance(action, Exec) else "script"
        yield Finding(pointer(((place, kind), "network")), "the action reaches the network", "network")
