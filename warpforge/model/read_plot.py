"""Plain values -> the nouns of ``plot``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import UNSET

from warpforge.errors import Invalid

from .atoms import Candidate, CatalogRef, Ingest, Literal, Mount, Pipe, SandboxPort, Secret, WareId
from .findings import LIMIT, UNKNOWN_FIELD, Place
from .names import fault_of_label, fault_of_step
from .plot import STEP_SPELLINGS, Plot, PlotBasis, PlotInput, PlotOutput, Protoformula, Step
from .read_formula import BASIS, FILTERS, check_ports, read_action, read_outputs
from .reading import Reading

_NONE: Final[frozenset[str]] = frozenset()
_PLOT: Final = frozenset(("inputs", "steps", "outputs"))
_PLOT_DOCUMENTED: Final = frozenset(("input", "steps", "outputs"))
_PROTOFORMULA: Final = frozenset(("inputs", "action", "outputs"))

# how deep subplots may nest: the text reader's depth limit is reached before
PLOT_DEPTH: Final = 100


def read_plot(reading: Reading, value: Any, place: Place, depth: int = 0) -> Plot:
    if depth > PLOT_DEPTH:
        reading.refuse(place, f"plots are nested more than {PLOT_DEPTH} deep", LIMIT)
        return Plot({}, {}, {})
    spelling = "inputs"
    if type(value) is dict and "input" in value:
        spelling = "input"
        if "inputs" in value:
            reading.refuse((place, "input"), "the plot has both inputs and input: use one spelling")
            value = {name: member for name, member in value.items() if name != "inputs"}
    members = reading.fields(value, place, _PLOT if spelling == "inputs" else _PLOT_DOCUMENTED, _NONE)
    return Plot(
        _read_inputs(reading, members.get(spelling, {}), (place, spelling)),
        _read_steps(reading, members.get("steps", {}), (place, "steps"), depth),
        _read_outputs(reading, members.get("outputs", {}), (place, "outputs")),
        spelling,
    )


def _read_inputs(reading: Reading, value: Any, place: Place) -> dict[str, PlotInput]:
    found = {}
    for label, item in reading.mapping(value, place).items():
        if fault := fault_of_label(label):
            reading.refuse((place, label), fault)
        found[label] = _read_input(reading, item, (place, label))
    return found


def _read_input(reading: Reading, value: Any, place: Place) -> PlotInput:
    if type(value) is not dict:
        return reading.atom(_simple, value, place)
    text, basis, filters = _read_complex(reading, parse_plot_basis, value, place)
    return PlotInput(text, basis, filters, is_complex=True)


def _read_complex(reading: Reading, parse: Callable[[str], Any], value: Any, place: Place) -> tuple[str, Any, Any]:
    members = reading.fields(value, place, BASIS, FILTERS)
    basis = reading.atom(parse, members["basis"], (place, "basis")) if "basis" in members else None
    filters: Any = UNSET
    if "filters" in members:
        filters = reading.filters(members["filters"], (place, "filters"))
    return members.get("basis", ""), basis, filters


def _simple(text: str) -> PlotInput:
    return PlotInput(text, parse_plot_basis(text))


def parse_plot_basis(text: str) -> PlotBasis:
    """Any input of a plot, scheme included. Errors: ``invalid``, ``wareid-invalid``, ``catalog-name``."""
    scheme, _, rest = text.partition(":")
    if scheme == "ware":
        return WareId.parse(rest)
    if scheme == "catalog":
        return CatalogRef.parse(rest)
    parse = _SCHEMES.get(scheme)
    if parse is None or scheme == text:
        known = "ware: catalog: " + " ".join(f"{name}:" for name in _SCHEMES)
        raise Invalid("invalid", f"{text!r}: an input begins with one of {known}", value=text)
    return parse(text)


_SCHEMES: Final[dict[str, Callable[[str], PlotBasis]]] = {
    "pipe": Pipe.parse,
    "literal": Literal.parse,
    "mount": Mount.parse,
    "ingest": Ingest.parse,
    "candidate": Candidate.parse,
    "secret": Secret.parse,
}


def _read_steps(reading: Reading, value: Any, place: Place, depth: int) -> dict[str, Step]:
    found = {}
    for name, item in reading.mapping(value, place).items():
        if fault := fault_of_step(name):
            reading.refuse((place, name), fault)
        step = _read_step(reading, item, (place, name), depth)
        if step is not None:
            found[name] = step
    return found


def _read_step(reading: Reading, value: Any, place: Place, depth: int) -> Step | None:
    members = reading.mapping(value, place)
    if len(members) != 1:
        reading.refuse(place, "a step is an object with one member: protoformula or plot (or formula, subplot)")
        return None
    [(spelling, body)] = members.items()
    is_plot = STEP_SPELLINGS.get(spelling)
    place = (place, spelling)
    if is_plot is None:
        reading.refuse(place, f"unknown kind of step {spelling!r}: it is protoformula or plot", UNKNOWN_FIELD)
        return None
    if is_plot:
        return Step(read_plot(reading, body, place, depth + 1), spelling)
    return Step(_read_protoformula(reading, body, place), spelling)


def _read_protoformula(reading: Reading, value: Any, place: Place) -> Protoformula:
    members = reading.fields(value, place, _PROTOFORMULA, _NONE)
    at = (place, "inputs")
    inputs = {
        reading.atom(SandboxPort.parse, port, (at, port)): _read_input(reading, item, (at, port))
        for port, item in reading.mapping(members.get("inputs", {}), at).items()
    }
    check_ports(reading, inputs, at)
    return Protoformula(inputs, read_action(reading, members, place), read_outputs(reading, members, place))


def _read_outputs(reading: Reading, value: Any, place: Place) -> dict[str, PlotOutput]:
    found = {}
    for label, item in reading.mapping(value, place).items():
        at = (place, label)
        if fault := fault_of_label(label):
            reading.refuse(at, fault)
        if type(item) is dict:
            found[label] = PlotOutput(*_read_complex(reading, Pipe.parse, item, at), is_complex=True)
        else:
            found[label] = PlotOutput(item, reading.atom(Pipe.parse, item, at))
    return found
