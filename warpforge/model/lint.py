"""Warnings: what is allowed, and yet perhaps not what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from msgspec import UNSET

from .atoms import FilterMap, Literal, Mount, WareId
from .catalog import Mirrors, Release
from .findings import ROOT, Finding, Place, pointer
from .formula import Action, Exec, Formula, FormulaFile, GatherDirective, Script
from .ident import ALPHABET
from .plot import Plot, Protoformula, every_body, every_input, unreplayable
from .run import RunRecord

_HEX: Final = "0123456789abcdef"
# packtype -> letters of its hashes, and how many there may be (base58 drops leading zeros, so a few are seldom short)
_SHAPES: Final = {
    "tar": (ALPHABET, range(60, 67)),
    "zip": (ALPHABET, range(60, 67)),
    "ztar": (ALPHABET, range(40, 45)),
    "git": (_HEX, (40, 64)),
    "oci": (_HEX, (64,)),
}
_FILTER_KEYS: Final = frozenset(("uid", "gid", "mtime", "sticky", "setid", "dev", "mode"))


def lint(noun: Any, *, is_replay: bool = False) -> Iterator[Finding]:
    """Warnings about a valid noun, with pointers into its file (capsule included)."""
    if isinstance(noun, FormulaFile):
        yield from _lint_formula(noun.formula, ((ROOT, "formula"), "formula.v1"))
    elif isinstance(noun, Plot):
        yield from _lint_plot(noun, (ROOT, "plot.v1"), is_replay=is_replay)
    elif isinstance(noun, Release):
        for label, ware in noun.items.items():
            yield from _lint_ware(ware, ((ROOT, "items"), label))
    elif isinstance(noun, Mirrors) and noun.by_ware is not UNSET:
        for ware in noun.by_ware:
            yield from _lint_ware(ware, (((ROOT, "catalogmirrors.v1"), "byWare"), ware))
    elif isinstance(noun, RunRecord):
        for label, result in noun.results.items():
            yield from _lint_ware(result, ((ROOT, "results"), label))


def _lint_formula(formula: Formula, place: Place) -> Iterator[Finding]:
    for port, item in formula.inputs.items():
        yield from _lint_input(item.basis, item.filters, ((place, "inputs"), port))
    yield from _lint_body(formula.action, formula.outputs, place, is_replay=False)


def _lint_plot(plot: Plot, place: Place, *, is_replay: bool) -> Iterator[Finding]:
    if is_replay:
        for path, text in unreplayable(plot):
            yield Finding(pointer(place) + path, f"{text} is of one machine: this is no replay", "replay")
    for at, item in every_input(plot, place):
        yield from _lint_input(item.basis, item.filters, at)
    for at, body, _ in every_body(plot, place):
        if isinstance(body, Plot):
            yield from _lint_plot_filters(body, at)
        else:
            yield from _lint_protoformula(body, at, is_replay=is_replay)


def _lint_plot_filters(plot: Plot, place: Place) -> Iterator[Finding]:
    for label, item in plot.inputs.items():
        if item.filters:
            message = "filters on a plot's input do not enter any formula: put them on the step's input"
            yield _warn((((place, plot.spelling), label), "filters"), message, "filters")
    for label, output in plot.outputs.items():
        yield from _lint_filters(output.filters, ((place, "outputs"), label))


def _lint_protoformula(body: Protoformula, place: Place, *, is_replay: bool) -> Iterator[Finding]:
    yield from _lint_body(body.action, body.outputs, place, is_replay=is_replay)


def _lint_input(basis: Any, filters: Any, place: Place) -> Iterator[Finding]:
    yield from _lint_ware(basis, place)
    yield from _lint_filters(filters, place)
    if filters and isinstance(basis, Literal | Mount):
        yield _warn((place, "filters"), f"filters have no effect on {basis}", "filters")


def _lint_ware(basis: Any, place: Place) -> Iterator[Finding]:
    if not isinstance(basis, WareId):
        return
    if basis.is_missing:
        yield _warn(place, f"{basis} stands for an output that was missing: it exists nowhere", "wareid")
        return
    shape = _SHAPES.get(basis.packtype)
    if shape is None:
        yield _warn(place, f"unknown packtype {basis.packtype!r}", "packtype")
    elif len(basis.hash) not in shape[1] or basis.hash.strip(shape[0]):
        yield _warn(place, f"{basis} does not look like a {basis.packtype} hash", "wareid")


def _lint_filters(filters: Any, place: Place) -> Iterator[Finding]:
    if not isinstance(filters, FilterMap):
        return
    for key, _ in filters.pairs:
        if key not in _FILTER_KEYS:
            yield _warn(((place, "filters"), key), f"unknown filter {key!r}: an error once it is used", "filters")


def _lint_body(
    action: Action, outputs: dict[str, GatherDirective], place: Place, *, is_replay: bool
) -> Iterator[Finding]:
    yield from _lint_action(action, (place, "action"))
    for label, gather in outputs.items():
        at = ((place, "outputs"), label)
        yield from _lint_filters(gather.filters, at)
        packtype = gather.packtype
        if packtype is not UNSET and packtype not in _SHAPES:
            yield _warn((at, "packtype"), f"unknown packtype {packtype!r}: an error once it runs", "packtype")
        if is_replay and (gather.filters or (packtype is not UNSET and packtype != "tar")):
            yield _warn(
                at, "the original ignored filters and packtype here: the replay may give another ware", "replay"
            )


def _lint_action(action: Action, place: Place) -> Iterator[Finding]:
    if isinstance(action, Exec | Script) and action.network is True:
        kind = "exec" if isinstance(action, Exec) else "script"
        yield _warn(((place, kind), "network"), "with the network the run is not hermetic", "network")
    if isinstance(action, Exec) and not action.command:
        yield _warn(((place, "exec"), "command"), "the command is empty: it cannot run", "command")
    if not isinstance(action, Script):
        return
    is_shell = action.interpreter.rpartition("/")[2].endswith("sh")
    if is_shell and len(action.contents) > 1 and not any(map(sets_errexit, action.contents)):
        message = "without `set -e` only the last entry's status counts"
        yield _warn(((place, "script"), "contents"), message, "errexit")


def sets_errexit(entry: str) -> bool:
    """Whether a shell's lines have it end at the first command that fails, as far as one can see without running."""
    words = entry.replace(";", " ").split()
    return any(
        first == "set" and (second == "-o" or (second[:1] == "-" and "e" in second))
        for first, second in pairwise(words)
    )


def _warn(place: Place, message: str, reason: str) -> Finding:
    return Finding(pointer(place), message, reason)
